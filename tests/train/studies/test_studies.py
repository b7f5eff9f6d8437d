"""The studies of foreground and flicker, on drawn material and small."""

from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("av")

from jointmat.backgrounds import draw
from jointmat.errors import InputError
from jointmat.io.write import save_image
from jointmat.matte import Matte
from train.ablation.synthetic import figure
from train.studies import flicker as flicker_study
from train.studies import foreground as foreground_study
from train.studies.flicker import clip, steadiness, study
from train.studies.foreground import METHODS
from train.studies.foreground import draw as draw_fringe
from train.studies.foreground import study as study_foreground


@pytest.fixture
def layer(rng):
    return figure(rng)


def test_clean_colours_leave_less_of_the_old_background(layer, monkeypatch):
    monkeypatch.delitem(METHODS, "ml")
    left = study_foreground([layer], [draw(name, 192, 192) for name in ("bokeh", "studio")])
    assert set(left) == {"image", "fast"}
    assert left["fast"].mean < 0.7 * left["image"].mean and left["fast"].mean > 0


def test_the_picture_of_the_fringe(layer, tmp_path):
    image = np.rint(255 * layer.colour).astype(np.uint8)
    draw_fringe(tmp_path / "fringe.jpg", Matte(image, layer.alpha, image, layer.alpha))
    assert (tmp_path / "fringe.jpg").stat().st_size > 1000


def test_a_clip_is_repeatable_and_moves_smoothly(layer):
    first, again = (list(clip(layer, draw("aurora", 192, 192), 6)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    moved = [np.abs(b.alpha - a.alpha).mean() for a, b in pairwise(first)]
    assert min(moved) > 0 and max(moved) < 0.05


def test_steadiness_is_zero_for_the_truth_and_grows_with_noise(rng):
    truth = [np.full((20, 20), 0.5, np.float32)] * 8
    assert steadiness(truth, truth) == (0, 0, 0)
    constant = steadiness([t + 0.1 for t in truth], truth)
    assert constant.error == pytest.approx(100, rel=1e-4) and constant.flicker == pytest.approx(0, abs=1e-3)
    noisy = steadiness([t + rng.normal(0, 0.01, t.shape) for t in truth], truth)
    assert noisy.dtssd == pytest.approx(1e3 * 0.01 * np.sqrt(2), rel=0.1)


def test_the_filter_is_judged_beside_the_plain_answer(layer):
    """On a predictor that knows the truth but for an error that changes from frame to frame."""
    shots = list(clip(layer, draw("aurora", 192, 192), 8))

    class Unsteady:
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def _frame(self, image, edit):
            from jointmat.preprocess import plan, preprocess
            from jointmat.runtime.base import RawOutput

            truth = next(s.alpha for s in shots if s.image is image)
            alpha = np.clip(truth + self.rng.normal(0, 0.2, truth.shape), 0, 1).astype(np.float32)[None, None]
            geometry = plan(truth.shape, 192, 32)
            output = edit(RawOutput(alpha, alpha, alpha), preprocess(image, geometry), geometry)
            return Matte(image, output.alpha[0, 0], image, image)

    means = study([lambda: iter(shots)], Unsteady())
    assert means["filtered"].flicker < 0.7 * means["as predicted"].flicker
    assert means["filtered"].error < means["as predicted"].error


@pytest.mark.parametrize("kinds", [(), ("cutout",), ("background",), ("cutout", "cutout", "background")])
def test_what_a_small_folder_lacks_is_told(layer, tmp_path, kinds):
    """The last one has all that the study of flicker needs, and one background too few for the other."""
    rows = []
    for index, kind in enumerate(kinds):
        rgba = np.dstack([layer.colour, layer.alpha])
        save_image(
            tmp_path / f"{index}.png", np.rint(255 * rgba[..., : 4 if kind == "cutout" else 3]).astype(np.uint8)
        )
        rows.append(f"{index},train,own,CC0,{kind},{index}.png,,\n")
    (tmp_path / "manifest.csv").write_text("id,split,source,licence,kind,image,label,trimap\n" + "".join(rows))
    flicker = ["--data", str(tmp_path), "--clips", "2", "--frames", "2", "--max-side", "64"]
    fringe = ["--data", str(tmp_path), "--count", "2", "-o", str(tmp_path)]
    for command, arguments in ((flicker_study.command, flicker), (foreground_study.command, fringe)):
        done = CliRunner().invoke(command, arguments)
        enough = len(kinds) == 3 and command is flicker_study.command
        assert isinstance(done.exception, type(None) if enough else InputError), (done.exception, done.output)


def test_cutouts_without_translucent_pixels_cannot_be_compared(layer, tmp_path):
    rgba = np.rint(255 * np.dstack([layer.colour, layer.alpha > 0.5])).astype(np.uint8)
    save_image(tmp_path / "a.png", rgba)
    save_image(tmp_path / "b.png", rgba[..., :3])
    rows = "a,train,own,CC0,cutout,a.png,,\nb,train,own,CC0,background,b.png,,\n"
    (tmp_path / "manifest.csv").write_text(f"id,split,source,licence,kind,image,label,trimap\n{rows}")
    done = CliRunner().invoke(foreground_study.command, ["--data", str(tmp_path), "-o", str(tmp_path)])
    assert "no cut-out with translucent pixels" in str(done.exception)
