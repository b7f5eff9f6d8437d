"""Scores of predictions against labels."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind, read_labelled
from jointmat.io.image import load_alpha
from jointmat.io.write import save_image
from train.data.decoded import read_grey
from train.scores import Prediction, by_source, evaluate, means, score, trimap_of, true_trimap

MATTE = np.array([[0, 64], [128, 255]], np.uint8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_a_label_is_read_for_scoring_as_it_is_for_training(tmp_path, mode):
    matte = Image.fromarray(MATTE)
    image = matte.convert(mode)
    if mode in ("RGBA", "LA"):  # as AISegment keeps it: what the colours are does not matter
        image = Image.new(mode[:-1], matte.size, 200 if mode == "LA" else (200, 30, 90))
        image.putalpha(matte)
    path = tmp_path / "label.png"
    image.save(path)
    np.testing.assert_allclose(load_alpha(path) * 255, MATTE, atol=1e-4)
    if mode != "LA":
        item = Item(Kind.ALPHA, "own", "a", path, label=path)
        np.testing.assert_array_equal(read_grey(item), MATTE)


def test_sad_is_split_into_too_much_and_too_little():
    truth = np.array([[0.0, 0.5, 1.0, 1.0]], np.float32)
    values = score(Prediction(np.array([[0.2, 0.2, 1.0, 0.0]], np.float32)), truth, Kind.ALPHA)
    assert values["sad_above"] == pytest.approx(0.2 / 1000)
    assert values["sad_below"] == pytest.approx(1.3 / 1000)
    assert values["sad"] == pytest.approx(1.5 / 1000)


def test_what_the_trimap_knows_is_right_before_its_unknown_region_is_scored(tmp_path):
    truth, trimap = np.zeros((24, 32), np.uint8), np.full((24, 32), 128, np.uint8)
    truth[:, 16:], trimap[:, :8], trimap[:, 24:] = 255, 0, 255
    for name, plane in (("photo", truth), ("label", truth), ("trimap", trimap)):
        Image.fromarray(plane).save(tmp_path / f"{name}.png")
    paths = {name: tmp_path / f"{name}.png" for name in ("label", "trimap")}
    item = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", **paths)
    wrong = np.where(trimap == 128, truth / 255, 1 - truth / 255).astype(np.float32)
    [score] = evaluate([item], lambda *_: Prediction(wrong))
    assert all(score.values[f"{name}_unknown"] == 0 for name in ("sad", "mse", "mad", "grad", "conn"))
    assert score.values["sad"] == pytest.approx(24 * 16 / 1000) and score.values["grad"] > 0


def test_what_has_no_label_is_not_scored(tmp_path):
    Image.new("L", (32, 24), 255).save(tmp_path / "label.png")
    unlabelled = Item(Kind.BACKGROUND, "own", "b", tmp_path / "photo.png")
    labelled = Item(Kind.ALPHA, "own", "a", tmp_path / "photo.png", label=tmp_path / "label.png")
    (scored,) = evaluate([unlabelled, labelled], lambda *_: Prediction(np.ones((24, 32), np.float32)))
    assert scored.item is labelled and scored.values["sad"] == 0
    with pytest.raises(InputError, match="no image with a label to compare with"):
        evaluate([unlabelled], lambda *_: Prediction(np.ones((24, 32), np.float32)))


def test_a_prediction_of_another_size_is_refused(material):
    items = read_labelled(material, "val")
    with pytest.raises(InputError, match=r"a0: prediction is \(2, 3\), its label \(96, 96\)"):
        evaluate(items, lambda *_: Prediction(np.zeros((2, 3), np.float32)))


def test_unknown_are_the_soft_pixels_and_a_band_around():
    alpha = np.zeros((1, 40))
    alpha[:, 20:], alpha[:, 20] = 1, 0.5
    trimap = true_trimap(alpha, band=3)[0]
    assert trimap.tolist() == [0] * 16 + [128] * 8 + [255] * 16  # the edge 19, 20 and three pixels to each side
    alpha[:, 5] = 0.3
    assert true_trimap(alpha, band=1)[0, 3:8].tolist() == [0, 128, 128, 128, 0]
    assert (true_trimap(np.zeros((5, 5)), band=1) == 0).all()


def test_the_trimap_of_the_data_goes_first(material, tmp_path):
    item = read_labelled(material, "val")[0]
    save_image(tmp_path / "trimap.png", np.full((96, 96), 128, np.uint8))
    given = dataclasses.replace(item, trimap=tmp_path / "trimap.png")
    assert (trimap_of(given, item.alpha(), 4) == 128).all()
    assert (trimap_of(item, item.alpha(), 4) == true_trimap(item.alpha(), 4)).all()
    assert trimap_of(item, item.alpha()) is None


def half(item, trimap):
    """The truth, with the left half of the image unknown."""
    alpha = item.alpha()
    unknown = np.zeros(alpha.shape, np.uint8)
    unknown[:, :48] = 128
    return Prediction(alpha, unknown if trimap is None else trimap, alpha)


def test_a_perfect_matte_with_a_trimap_of_one_half(material):
    [found] = evaluate(read_labelled(material, "val", most=1), half, band=4)
    errors = [f"{name}{where}" for name in ("sad", "mse", "mad", "grad", "conn") for where in ("", "_unknown")]
    assert {name: found.values[name] for name in errors} == pytest.approx(dict.fromkeys(errors, 0.0), abs=1e-6)
    assert [found.values[name] for name in ("iou", "mask_iou", "trimap_area")] == [1, 1, 0.5]
    assert found.values["trimap_recall"] == pytest.approx(0.5, abs=0.02)  # of a ring around the middle


def test_a_given_trimap_is_the_true_one(material):
    items = read_labelled(material, "val", most=1)
    [found] = evaluate(items, half, give_trimaps=True, band=4)
    assert found.values["trimap_area"] == pytest.approx((true_trimap(items[0].alpha(), 4) == 128).mean())
    assert found.values["trimap_recall"] == 1


def test_errors_are_those_of_the_eight_bit_alpha_and_of_each_region(material):
    items = read_labelled(material, "val", most=1)
    [found] = evaluate(items, lambda i, _: Prediction(np.clip(i.alpha() + 0.1, 0, 1)), band=4)
    truth = items[0].alpha()
    error = np.rint(np.clip(truth + 0.1, 0, 1) * 255) / 255 - truth
    unknown, soft = true_trimap(truth, 4) == 128, (truth > 0.02) & (truth < 0.98)
    assert found.values["sad"] == pytest.approx(error.sum() / 1000, rel=1e-5)
    assert found.values["mad_unknown"] == pytest.approx(error[unknown].mean(), rel=1e-5)
    assert found.values["soft_mad"] == pytest.approx(error[soft].mean(), rel=1e-5)


def test_a_coarse_label_is_only_good_for_masks(material):
    item = read_labelled(material, "train", most=1)[0]
    assert item.kind is Kind.MASK
    [found] = evaluate([item], half, band=4)
    assert found.values == {"iou": 1.0, "mask_iou": 1.0}


def test_means_are_over_the_images_that_have_the_number(material):
    assert means([{"sad": 1.0, "iou": 0.5}, {"iou": 1.0}]) == {"sad": 1.0, "iou": 0.75}
    scores = evaluate(read_labelled(material, "val", most=2), half)
    assert {source: len(values) for source, values in by_source(scores).items()} == {"mattes": 2}
