import pytest

from train.config import TrainConfig
from train.schedule import learning_rate

CONFIG = TrainConfig("run", steps=1000, warm_up=100, learning_rate=0.5)


def test_the_rate_rises_then_falls_to_a_hundredth():
    rates = [learning_rate(step, CONFIG) for step in range(1001)]
    assert rates[:100] == sorted(rates[:100]) and rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[100] == pytest.approx(0.5) and rates[-1] == pytest.approx(0.005)
