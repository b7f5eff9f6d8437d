"""Where the images of a run come from."""

from pathlib import Path

import pytest

from jointmat.evaluation.manifest import Item, Kind
from jointmat.weights import save_weights, sha256
from tests.tiny import CONFIG, tiny_model
from train.config import TrainConfig
from train.record import joined_sources, sources_of, starting_point


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


def test_sources_of_two_data_sets_are_joined():
    first, second = ({"source": "a", "licence": "CC0", "pictures": n} for n in (3, 5))
    other, again = ({"source": s, "licence": "MIT", "pictures": 1} for s in ("b", "a"))
    assert joined_sources([first, other], [second, again]) == [second, again, other]


def test_weights_to_start_from_bring_their_record_along(tmp_path):
    path = tmp_path / "start.safetensors"
    save_weights(tiny_model(), path, {"sources": ["all of them"]})
    start = starting_point(TrainConfig("run", CONFIG, str(path)))
    assert start == {"weights": path.name, "sha256": sha256(path), "training": {"sources": ["all of them"]}}


@pytest.mark.parametrize("imagenet", [False, True])
def test_a_run_without_weights_starts_at_random_or_from_its_encoder(imagenet):
    start = starting_point(TrainConfig("run", CONFIG, imagenet=imagenet))
    assert (start == {"source": "random weights"}) != imagenet
