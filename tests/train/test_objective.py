import dataclasses
import math

import pytest
import torch

from tests.tiny import CONFIG, pictures, tiny_model
from train.config import LossConfig, TrainConfig
from train.data.dataset import Sample
from train.objective import Objective

TERMS = [field.name for field in dataclasses.fields(LossConfig)]


@pytest.fixture
def batch():
    image = pictures(2, 64, 64)
    alpha = image[:, :1].clone()
    return Sample(image, alpha, torch.ones_like(alpha), torch.ones(2), torch.full_like(alpha, 0.5), torch.ones(2))


def test_the_total_is_the_weighted_sum_of_the_terms(batch):
    config = TrainConfig("run", CONFIG)
    total, terms = Objective(tiny_model(), config)(batch, None)
    expected = sum(getattr(config.loss, name) * terms[name].item() for name in TERMS)
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_learned_weights_start_as_the_fixed_ones_and_balance_at_the_terms_own_size(batch):
    fixed, learned = (
        Objective(tiny_model(), TrainConfig("run", CONFIG, learned_weights=on)) for on in (False, True)
    )
    total, terms = learned(batch, None)
    assert total.item() == pytest.approx(fixed(batch, None)[0].item(), rel=1e-6)
    with torch.no_grad():
        for name, spread in learned.log_variances.items():
            spread.fill_(math.log(terms[name].item()))
    learned(batch, None)[0].backward()
    for spread in learned.log_variances.values():
        assert abs(float(spread.grad)) < 1e-4  # s = log L is where the total is smallest


def test_bf16_stays_near_fp32(batch):
    exact, rounded = (Objective(tiny_model(), TrainConfig("run", CONFIG, bf16=on)) for on in (False, True))
    expected, found = (objective(batch, None)[0].item() for objective in (exact, rounded))
    assert found == pytest.approx(expected, rel=0.05) and found != expected
