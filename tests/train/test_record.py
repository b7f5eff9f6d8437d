"""Where the images of a run come from."""

from dataclasses import replace
from pathlib import Path

import pytest

from jointmat.evaluation.manifest import Item, Kind
from jointmat.weights import save_weights, sha256
from tests.tiny import CONFIG, tiny_model
from train.config import TrainConfig
from train.record import sources_of, starting_point, training_record


def test_sources_are_counted_by_name_and_licence():
    items = [
        Item(Kind.BACKGROUND, source, str(n), Path(f"{n}.png"), licence=licence)
        for n, (source, licence) in enumerate([("b", "CC0"), ("a", "MIT"), ("b", "CC0"), ("b", "MIT")])
    ]
    assert sources_of(items) == [
        {"source": "a", "licence": "MIT", "pictures": 1},
        {"source": "b", "licence": "CC0", "pictures": 2},
        {"source": "b", "licence": "MIT", "pictures": 1},
    ]


def test_weights_to_start_from_bring_their_record_along(tmp_path):
    path = tmp_path / "start.safetensors"
    source = {"source": "a", "licence": "CC0", "pictures": 3}
    save_weights(tiny_model(), path, {"steps": 2, "samples": 8, "sources": [source]})  # in the older form
    config = TrainConfig("run", CONFIG, str(path))
    record = training_record(config, starting_point(config), [], 5, 20, 7200)
    assert record["sources"] == [source]
    assert (record["samples"], record["hours"]) == (28, 2)
    assert [stage["steps"] for stage in record["stages"]] == [2, 5]
    assert record["stages"][1]["started_from"] == {"stage": 1, "weights": path.name, "sha256": sha256(path)}


def test_settings_that_a_file_gave_back_are_no_others(tmp_path):
    path = tmp_path / "start.safetensors"
    config = TrainConfig("run", CONFIG)
    save_weights(tiny_model(), path, training_record(config, starting_point(config), [], 5, 20, 7200))
    config = replace(config, initial_weights=str(path))
    changed = training_record(config, starting_point(config), [], 5, 20, 7200)["stages"][1]["changed"]
    assert changed == {"initial_weights": {"from": "", "to": path.name}}


@pytest.mark.parametrize("imagenet", [False, True])
def test_a_run_without_weights_starts_at_random_or_from_its_encoder(imagenet):
    start = starting_point(TrainConfig("run", CONFIG, imagenet=imagenet))
    assert (start == {"source": "random weights"}) != imagenet
