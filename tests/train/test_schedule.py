import dataclasses

import pytest

from train.config import TrainConfig
from train.schedule import learning_rate, temperature

CONFIG = TrainConfig("run", steps=1000, warm_up=100, learning_rate=0.5, first_temperature=5.0)


def test_the_rate_rises_then_falls_to_a_hundredth():
    rates = [learning_rate(step, CONFIG) for step in range(1001)]
    assert rates[:100] == sorted(rates[:100]) and rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[100] == pytest.approx(0.5) and rates[-1] == pytest.approx(0.005)


def test_the_temperature_reaches_that_of_the_model_half_way():
    values = [temperature(step, CONFIG) for step in (0, 250, 500, 1000)]
    assert values == pytest.approx([5, 10, 20, 20])
    constant = dataclasses.replace(CONFIG, first_temperature=None)
    assert {temperature(step, constant) for step in (0, 250, 1000)} == {CONFIG.model.temperature}
