"""The images that the benchmark makes of others, and its table."""

import numpy as np
import pytest
from click.testing import CliRunner

from jointmat.evaluation.manifest import Item, read_labelled
from jointmat.io.image import load_image
from tests.fakes import brightness_model
from train import benchmark
from train.evaluate import command
from train.scores import Prediction

ROOM = np.full((300, 500, 3), (10, 20, 30), np.uint8)


@pytest.fixture
def items(material):
    return read_labelled(material, "val")


def test_reduced_images_keep_their_label(items, tmp_path):
    made = list(benchmark.reduced(items, tmp_path / "small"))
    assert len(made) == len(items) and {item.source for item in made} == {"64 px"}
    for item, original in zip(made, items, strict=True):
        image, alpha = load_image(item.image), item.alpha()
        assert image.shape == (64, 64, 3) and alpha.shape == (64, 64)
        assert alpha.mean() == pytest.approx(original.alpha().mean(), abs=0.01)


def test_small_people_stand_on_the_lower_edge_of_a_scene(items, tmp_path):
    made = list(benchmark.composed(items, [ROOM], tmp_path / "scenes"))
    assert len(made) == len(items)
    for item in made:
        image, alpha = load_image(item.image), item.alpha()
        assert image.shape[:2] == alpha.shape == (768, 1024)
        rows = np.flatnonzero((alpha > 0.5).any(axis=1))
        assert rows.size == pytest.approx(768 / 8, abs=2) and rows[-1] == 767
        assert (image[alpha == 0] == (10, 20, 30)).all() and (image[alpha > 0.9] != (10, 20, 30)).any()
    again = list(benchmark.composed(items, [ROOM], tmp_path / "again"))
    assert [item.image.read_bytes() for item in again] == [item.image.read_bytes() for item in made]


def test_every_source_and_both_robustness_rows(items):
    def truth(item: Item, trimap):
        assert trimap is None
        return Prediction(item.alpha(), np.full(item.alpha().shape, 128, np.uint8))

    scores = benchmark.run(items, truth, [ROOM])
    assert [s.item.source for s in scores] == ["mattes"] * 4 + ["64 px"] * 4 + ["person 1/8"] * 4
    assert all(s.values["iou"] == 1 for s in scores)
    assert scores[0].values["trimap_recall"] == 1 and set(scores[-1].values) == {"iou"}


def test_the_table(material, tmp_path):
    model = brightness_model(tmp_path / "model.onnx")
    arguments = ["--data", str(material), "--model", str(model), "--benchmark", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    _, head, *rows = [line for line in done.output.splitlines() if line[:1] not in ("", "-")]
    assert [name in head for name in ("sad", "soft_mad", "trimap_recall", "trimap_area")] == [True] * 4
    assert [row.split("  ")[0] for row in rows[:3]] == ["mattes", "64 px", "person 1/8"]
    assert (tmp_path / "out" / "scores.csv").is_file()
