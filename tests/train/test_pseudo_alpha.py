import csv
import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from jointmat.errors import InputError
from jointmat.manifest import read_manifest
from tests.train.conftest import disk
from train.pseudo_alpha import folder
from train.pseudo_alpha.__main__ import command
from train.pseudo_alpha.judge import coarse_mask, judge, verdict
from train.pseudo_alpha.matting import PseudoSettings, band_of, colour_separation, pseudo_alpha

WIDE = PseudoSettings(band=0.08, reach=0.1, blur=0.01)


def portrait(foreground, background, noise=0.01, size=96, soft=10):
    """A disk with a soft edge, photo and truth, and a mask that is coarse."""
    rng = np.random.default_rng(0)
    alpha = disk(size, soft).astype(np.float32) / 255
    photo = alpha[..., None] * np.float32(foreground) + (1 - alpha[..., None]) * np.float32(background)
    photo = np.clip(photo + rng.normal(0, noise, photo.shape), 0, 1)
    return np.rint(photo * 255).astype(np.uint8), alpha, coarse_mask(alpha)


def test_where_colours_separate_alpha_is_found_and_trusted():
    photo, truth, mask = portrait((0.9, 0.2, 0.1), (0.1, 0.3, 0.8))
    result = pseudo_alpha(photo, mask, WIDE)
    error = {name: np.abs(x - truth)[result.band].mean() for name, x in (("mask", mask), ("ours", result.alpha))}
    assert error["ours"] < 0.25 * error["mask"] and error["ours"] < 0.03
    assert np.abs(result.soft_mask - truth)[result.band].mean() > 2 * error["ours"]
    assert result.confidence[result.band].min() > 0.9


def test_where_colours_are_the_same_alpha_stays_the_mask_and_is_not_trusted():
    photo, _, mask = portrait((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), noise=0.1)
    result = pseudo_alpha(photo, mask, WIDE)
    assert result.confidence[result.band].max() < 0.3
    assert np.abs(result.alpha - result.soft_mask)[result.band].mean() < 0.1


def test_outside_of_the_band_the_mask_is_kept_and_believed():
    photo, _, mask = portrait((0.9, 0.2, 0.1), (0.1, 0.3, 0.8))
    result = pseudo_alpha(photo, mask, WIDE)
    assert (result.alpha == mask)[~result.band].all()
    assert (result.confidence == 1)[~result.band].all()


def test_the_band_is_twice_as_wide_outside():
    mask = np.zeros((9, 80), bool)
    mask[:, :40] = True
    trimap = band_of(mask, 5)
    assert [int((trimap[4] == level).sum()) for level in (255, 128, 0)] == [35, 15, 30]


def test_separation_is_the_distance_of_the_means_in_standard_deviations():
    rng = np.random.default_rng(0)
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    image = np.where(left[..., None], 0.7, 0.3) + rng.normal(0, 0.05, (64, 64, 1)) * np.ones(3)
    separation = colour_separation(image.astype(np.float32), left, ~left, sigma=200)
    distance, spread = 0.4 * 3**0.5, 2 * 0.05 * 3**0.5
    np.testing.assert_allclose(separation[32, 32], distance / (spread + 0.02), rtol=0.05)


def test_a_mask_that_is_empty_or_of_another_size_is_refused():
    photo = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(InputError, match="no inside or no outside"):
        pseudo_alpha(photo, np.zeros((40, 40), bool))
    with pytest.raises(InputError, match="expected one size"):
        pseudo_alpha(photo, np.zeros((40, 41), bool))


def test_a_coarse_mask_has_lost_what_is_thin_and_kept_the_rest():
    alpha = disk(96, 4).astype(np.float32) / 255
    strand = alpha.copy()
    strand[2:12, 47] = 1
    assert (coarse_mask(strand) == coarse_mask(alpha)).all()
    assert np.abs(coarse_mask(alpha).mean() - (alpha >= 0.5).mean()) < 0.01


def written(tmp_path, count=2):
    data = tmp_path / "data"
    data.mkdir()
    rows = []
    for index in range(count):
        photo, alpha, mask = portrait((0.9, 0.2, 0.1), (0.1, 0.3, 0.8))
        cv2.imwrite(str(data / f"photo{index}.png"), photo[..., ::-1])
        cv2.imwrite(str(data / f"mask{index}.png"), 255 * mask.astype(np.uint8))
        cv2.imwrite(str(data / f"alpha{index}.png"), np.rint(255 * alpha).astype(np.uint8))
        rows.append((f"m{index}", "train", "drawn", "CC0", "mask", f"photo{index}.png", f"mask{index}.png"))
        rows.append((f"a{index}", "val", "drawn", "CC0", "alpha", f"photo{index}.png", f"alpha{index}.png"))
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "source", "licence", "kind", "image", "label", "trimap"])
        writer.writerows([*row, ""] for row in rows)
    return data


def test_the_judge_prefers_the_pseudo_alpha_where_colours_separate(tmp_path):
    item = read_manifest(written(tmp_path), ["val"])[0]
    labels = judge(item, WIDE)
    assert labels[0].subset == "all" and labels[0].share == 1
    assert labels[0].mad["pseudo"] < min(labels[0].mad["mask"], labels[0].mad["blurred mask"])
    assert "1/1" in verdict([labels]).splitlines()[1]


def test_a_folder_is_made_in_processes_and_goes_on_where_it_stopped(tmp_path):
    data, out = written(tmp_path), tmp_path / "out"
    (data / "photo1.png").write_bytes(b"not a picture")
    arguments = ["--data", str(data), "-o", str(out), "--workers", "1", "--band", "0.08"]
    result = CliRunner().invoke(command, arguments)
    assert "1 of 2 masks were left out" in str(result.exception)
    assert "m1" in result.stderr and "Traceback" not in result.stderr

    items = {item.name: item for item in read_manifest(out, ["train", "val", "pseudo"])}
    assert set(items) == {"m0", "a0", "m1", "a1", "pseudo_m0"}
    assert items["m0"].image.samefile(data / "photo0.png")
    label = cv2.imread(str(items["pseudo_m0"].label), cv2.IMREAD_UNCHANGED)
    assert items["pseudo_m0"].weight.samefile(out / "weight" / "m0.png")
    assert label.shape == (96, 96) and 0.1 < ((label > 20) & (label < 235)).mean() < 0.5

    cv2.imwrite(str(data / "photo1.png"), portrait((0.9, 0.2, 0.1), (0.1, 0.3, 0.8))[0][..., ::-1])
    before = items["pseudo_m0"].label.stat().st_mtime_ns
    result = CliRunner().invoke(command, arguments)
    assert result.exception is None and "2 pseudo-alphas" in result.stdout
    assert items["pseudo_m0"].label.stat().st_mtime_ns == before


def test_results_of_other_settings_are_not_mixed(tmp_path):
    folder.make([], tmp_path, PseudoSettings(), 1)
    assert json.loads((tmp_path / "settings.json").read_text())["band"] == PseudoSettings().band
    with pytest.raises(InputError, match="other settings"):
        folder.make([], tmp_path, PseudoSettings(band=0.02), 1)
