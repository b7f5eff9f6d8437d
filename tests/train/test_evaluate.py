"""What predictions are scored against, and what is drawn of it."""

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind
from jointmat.io.image import load_alpha
from train.data.decoded import read_grey
from train.evaluate import draw_worst, evaluate, score

MATTE = np.array([[0, 64], [128, 255]], np.uint8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_a_label_is_read_for_scoring_as_it_is_for_training(tmp_path, mode):
    matte = Image.fromarray(MATTE)
    picture = matte.convert(mode)
    if mode in ("RGBA", "LA"):  # as AISegment keeps it: what the colours are does not matter
        picture = Image.new(mode[:-1], matte.size, 200 if mode == "LA" else (200, 30, 90))
        picture.putalpha(matte)
    path = tmp_path / "label.png"
    picture.save(path)
    np.testing.assert_allclose(load_alpha(path) * 255, MATTE, atol=1e-4)
    if mode != "LA":
        item = Item(Kind.ALPHA, "own", "a", path, label=path)
        np.testing.assert_array_equal(read_grey(item), MATTE)


@pytest.mark.parametrize("give", [False, True])
def test_the_mattes_that_are_drawn_are_those_that_were_scored(tmp_path, give):
    Image.new("RGB", (32, 24)).save(tmp_path / "photo.png")
    Image.new("L", (32, 24), 255).save(tmp_path / "label.png")
    Image.new("L", (32, 24), 128).save(tmp_path / "trimap.png")
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", label=tmp_path / "label.png")
    item = Item(**vars(item) | {"trimap": tmp_path / "trimap.png"})
    asked = []

    def predict(_, trimap):
        asked.append(None if trimap is None else int(trimap.max()))
        return np.zeros((24, 32), np.float32)

    scores = evaluate([item], predict, give_trimaps=give)
    draw_worst(tmp_path / "worst.jpg", scores, predict, give_trimaps=give)
    assert asked == [128 if give else None] * 2
    assert (tmp_path / "worst.jpg").stat().st_size > 0


def test_sad_is_split_into_too_much_and_too_little():
    truth = np.array([[0.0, 0.5, 1.0, 1.0]], np.float32)
    values = score(np.array([[0.25, 0.25, 1.0, 0.0]], np.float32), truth, Kind.ALPHA)
    assert values["sad_above"] == pytest.approx(0.25 / 1000)
    assert values["sad_below"] == pytest.approx(1.25 / 1000)
    assert values["sad"] == pytest.approx(1.5 / 1000)


def test_what_the_trimap_knows_is_right_before_its_unknown_region_is_scored(tmp_path):
    truth, trimap = np.zeros((24, 32), np.uint8), np.full((24, 32), 128, np.uint8)
    truth[:, 16:], trimap[:, :8], trimap[:, 24:] = 255, 0, 255
    for name, plane in (("photo", truth), ("label", truth), ("trimap", trimap)):
        Image.fromarray(plane).save(tmp_path / f"{name}.png")
    paths = {name: tmp_path / f"{name}.png" for name in ("label", "trimap")}
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", **paths)
    wrong = np.where(trimap == 128, truth / 255, 1 - truth / 255).astype(np.float32)
    [score] = evaluate([item], lambda *_: wrong)
    assert all(score.values[f"{name}_unknown"] == 0 for name in ("sad", "mse", "mad", "grad", "conn"))
    assert score.values["sad"] == pytest.approx(24 * 16 / 1000) and score.values["grad"] > 0


def test_what_has_no_label_is_not_scored(tmp_path):
    Image.new("L", (32, 24), 255).save(tmp_path / "label.png")
    unlabelled = Item(Kind.BACKGROUND, "own", "b", tmp_path / "photo.png")
    labelled = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", label=tmp_path / "label.png")
    (scored,) = evaluate([unlabelled, labelled], lambda *_: np.ones((24, 32), np.float32))
    assert scored.item is labelled and scored.values["sad"] == 0
    with pytest.raises(InputError, match="no picture with a label to compare with"):
        evaluate([unlabelled], lambda *_: np.ones((24, 32), np.float32))
