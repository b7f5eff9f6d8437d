import dataclasses

import pytest
import torch

from jointmat.build import load_model
from jointmat.errors import WeightsError
from jointmat.weights import read_training, save_weights, sha256
from tests.tiny import CONFIG, tiny_model
from train.average import average


@pytest.fixture
def ends(tmp_path):
    paths = [tmp_path / f"{seed}.safetensors" for seed in (1, 2)]
    for seed, path in enumerate(paths, start=1):
        save_weights(tiny_model(seed=seed), path, {"steps": seed})
    return paths


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_every_number_lies_between_the_two_at_the_share_that_was_asked_for(ends, tmp_path, share):
    average(*ends, tmp_path / "mixed.safetensors", share)
    first, second, mixed = (load_model(p).state_dict() for p in (*ends, tmp_path / "mixed.safetensors"))
    for name, value in mixed.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (1 - share) * first[name] + share * second[name])


def test_the_record_tells_of_both(ends, tmp_path):
    average(*ends, tmp_path / "mixed.safetensors", 0.25)
    record = read_training(tmp_path / "mixed.safetensors")
    assert [stage.get("steps") for stage in record["stages"]] == [1, 2, None]
    assert record["stages"][-1]["average_of"] == [
        {"stage": n, "weights": path.name, "sha256": sha256(path)} for n, path in enumerate(ends, 1)
    ]
    assert record["stages"][-1]["share_of_second"] == 0.25


def test_different_networks_are_refused_with_what_differs(ends, tmp_path):
    other = tmp_path / "other.safetensors"
    save_weights(tiny_model(dataclasses.replace(CONFIG, key_channels=16)), other)
    with pytest.raises(WeightsError, match="key_channels: 8 → 16"):
        average(ends[0], other, tmp_path / "mixed.safetensors", 0.5)
    assert not (tmp_path / "mixed.safetensors").exists()


def test_where_only_the_way_of_use_differs_that_of_the_second_counts(ends, tmp_path):
    save_weights(tiny_model(dataclasses.replace(CONFIG, saturation=0.3)), ends[1])
    average(*ends, tmp_path / "mixed.safetensors", 0.5)
    assert load_model(tmp_path / "mixed.safetensors").config.saturation == 0.3
