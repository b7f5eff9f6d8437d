import dataclasses

import pytest
import torch

from tests.tiny import CONFIG, hard_planes, images, tiny_model
from train.config import LossConfig, TrainConfig
from train.data.dataset import Sample
from train.objective import Objective

TERMS = [field.name for field in dataclasses.fields(LossConfig)]


@pytest.fixture
def batch():
    image = images(2, 64, 64)
    alpha = image[:, :1].clone()
    return Sample(
        image,
        alpha,
        torch.ones_like(alpha),
        torch.ones(2),
        torch.full_like(alpha, 0.5),
        torch.zeros_like(image),
        torch.zeros_like(alpha),
    )


def test_the_total_is_the_weighted_sum_of_the_terms(batch):
    config = TrainConfig("run", CONFIG)
    total, terms = Objective(tiny_model(), config)(batch)
    expected = sum(getattr(config.loss, name) * terms[name].item() for name in TERMS)
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_the_trimap_and_the_earlier_alpha_reach_the_model(batch):
    objective = Objective(tiny_model(), TrainConfig("run", CONFIG))
    given = batch._replace(trimap=hard_planes(64, 64).expand(2, -1, -1, -1))
    prior = given._replace(prior=torch.rand(2, 1, 64, 64))
    totals = [objective(x)[0].item() for x in (batch, given, prior)]
    assert len(set(totals)) == 3
    assert objective(given)[1]["segmentation"] == 0


def test_bf16_stays_near_fp32(batch):
    exact, rounded = (Objective(tiny_model(), TrainConfig("run", CONFIG, bf16=on)) for on in (False, True))
    expected, found = (objective(batch)[0].item() for objective in (exact, rounded))
    assert found == pytest.approx(expected, rel=0.05) and found != expected
