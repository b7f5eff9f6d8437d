"""What an arm is judged by."""

from dataclasses import replace

import numpy as np
import pytest

from jointmat.evaluation.manifest import Kind
from jointmat.io.image import load_image
from jointmat.io.write import save_image
from jointmat.matte import Matte
from train.ablation.judge import judge, means, photos, true_trimap, true_unknown
from train.ablation.plan import JudgeConfig

CONFIG = JudgeConfig(band=4)


@pytest.fixture
def items(material):
    return photos(CONFIG, material)


def test_photos_are_the_first_of_each_source(material):
    assert [item.name for item in photos(CONFIG, material)] == ["a0", "a1", "a2", "a3"]
    assert [item.name for item in photos(replace(CONFIG, photos=3), material)] == ["a0", "a1", "a2"]
    train = photos(replace(CONFIG, split="train", photos=1), material)
    assert [item.name for item in train] == ["m0"]  # cut-outs and backgrounds have no label
    assert photos(replace(CONFIG, sources=("mattes",), photos=1), material)[0].source == "mattes"


def test_unknown_are_the_soft_pixels_and_a_band_around():
    alpha = np.zeros((1, 40))
    alpha[:, 20:], alpha[:, 20] = 1, 0.5
    trimap = true_unknown(alpha, band=3)[0]
    assert trimap.tolist() == [0] * 16 + [128] * 8 + [255] * 16  # the edge 19, 20 and three pixels to each side
    alpha[:, 5] = 0.3
    assert true_unknown(alpha, band=1)[0, 3:8].tolist() == [0, 128, 128, 128, 0]
    assert (true_unknown(np.zeros((5, 5)), band=1) == 0).all()


def test_the_trimap_of_the_data_goes_before(items, tmp_path):
    drawn = np.full((96, 96), 128, np.uint8)
    save_image(tmp_path / "trimap.png", drawn)
    assert (true_trimap(replace(items[0], trimap=tmp_path / "trimap.png"), 4) == 128).all()
    assert (true_trimap(items[0], 4) == true_unknown(items[0].alpha(), 4)).all()


def oracle(item, trimap):
    """The truth, with the left half of the picture unknown."""
    alpha = item.alpha()
    half = np.zeros(alpha.shape, np.uint8)
    half[:, :48] = 128
    return Matte(load_image(item.image), alpha, half if trimap is None else trimap, alpha)


def test_a_perfect_matte_with_a_trimap_of_one_half(items):
    values = judge(items[:1], oracle, CONFIG, true_trimap=False)["a0"]
    assert values["source"] == "mattes"
    errors = [f"{name}{where}" for name in ("sad", "mse", "mad", "grad", "conn") for where in ("", "_unknown")]
    assert {name: values[name] for name in errors} == dict.fromkeys(errors, 0.0)
    assert (values["mask_iou"], values["trimap_area"]) == (1.0, 0.5)
    assert values["trimap_recall"] == pytest.approx(0.5, abs=0.02)  # of a ring around the middle


def test_a_given_trimap_is_the_true_one(items):
    values = judge(items[:1], oracle, CONFIG, true_trimap=True)["a0"]
    unknown = true_unknown(items[0].alpha(), CONFIG.band) == 128
    assert values["trimap_area"] == pytest.approx(unknown.mean())
    assert values["trimap_recall"] == 1


def test_errors_are_those_of_the_eight_bit_alpha_and_of_each_region(items):
    def off(item, trimap):
        matte = oracle(item, trimap)
        return Matte(matte.image, np.clip(matte.alpha + 0.1, 0, 1), matte.trimap, matte.mask)

    values = judge(items[:1], off, CONFIG, true_trimap=False)["a0"]
    truth = items[0].alpha()
    error = np.rint(np.clip(truth + 0.1, 0, 1) * 255) / 255 - truth
    unknown = true_unknown(truth, CONFIG.band) == 128
    assert values["sad"] == pytest.approx(error.sum() / 1000, rel=1e-5)
    assert values["mad_unknown"] == pytest.approx(error[unknown].mean(), rel=1e-5)


def test_a_coarse_label_is_only_good_for_the_mask(material):
    item = photos(replace(CONFIG, split="train"), material)[0]
    assert item.kind is Kind.MASK
    assert judge([item], oracle, CONFIG, true_trimap=False) == {"m0": {"source": "masks", "mask_iou": 1.0}}


def test_means_are_over_the_photos_that_have_the_number():
    rows = [{"source": "a", "sad": 1.0, "mask_iou": 0.5}, {"source": "b", "mask_iou": 1.0}]
    assert means(rows) == {"sad": 1.0, "mask_iou": 0.75}
