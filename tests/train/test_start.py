"""What a run starts with."""

import pytest
import torch
from torch import nn

from jointmat.errors import ConfigError
from tests.tiny import CONFIG, tiny_model
from train.config import TrainConfig
from train.objective import Objective
from train.start import adamw, freeze, fresh_model, moving_average, set_training


def test_frozen_parts_do_not_learn_and_keep_their_statistics():
    config = TrainConfig("run", CONFIG, frozen=("encoder", "segmentation.to_maps"))
    model = tiny_model()
    freeze(model, config.frozen)
    set_training(model, config)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(config.frozen)}
    assert not model.encoder.training and model.decoder.training
    with pytest.raises(ConfigError, match="frozen=head: no such module; choose encoder, "):
        freeze(model, ["head"])


def test_every_parameter_that_learns_is_in_one_group():
    config = TrainConfig("run", CONFIG, encoder_lr_scale=0.2, weight_decay=0.3)
    model = tiny_model()
    freeze(model, ["neck"])
    found = {}
    for group in adamw(Objective(model, config), config).param_groups:
        found |= {id(p): (group["factor"], group["weight_decay"]) for p in group["params"]}
    for name, p in model.named_parameters():
        expected = (0.2 if name.startswith("encoder.") else 1.0, 0.0 if p.dim() < 2 else 0.3)
        assert found.get(id(p)) == (expected if p.requires_grad else None), name


def test_the_moving_average_forgets_a_fresh_start_and_then_moves_by_its_decay():
    model = nn.Linear(1, 1)
    average = moving_average(model, decay=0.5)
    expected = None
    for step in range(20):
        nn.init.constant_(model.weight, step)
        average.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = step if expected is None else decay * expected + (1 - decay) * step
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_a_fresh_model_starts_at_random_and_so_from_the_seed():
    first, again = (
        torch.manual_seed(3) and fresh_model(TrainConfig("run", CONFIG, imagenet=False)) for _ in "ab"
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
