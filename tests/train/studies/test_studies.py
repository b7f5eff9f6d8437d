"""The studies of foreground and flicker, on drawn material and small."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("av")
pytest.importorskip("onnx")

from jointmat.backgrounds import draw
from jointmat.errors import InputError
from jointmat.io.video import VideoReader
from jointmat.io.write import save_image
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.runtime.base import RawOutput
from tests.fakes import brightness_model
from train.ablation.synthetic import figure
from train.studies import flicker as flicker_study
from train.studies import foreground as foreground_study
from train.studies.films import film, record
from train.studies.flicker import steadiness, study
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


def test_the_sheet_of_the_fringe(layer, tmp_path):
    image = np.rint(255 * layer.colour).astype(np.uint8)
    draw_fringe(tmp_path / "fringe.jpg", Matte(image, layer.alpha, image, layer.alpha))
    assert (tmp_path / "fringe.jpg").stat().st_size > 1000


def short(layer, share=0.6, frames=6):
    return list(film(layer, draw("aurora", 96, 160), share, frames, (96, 160)))


def test_a_film_is_repeatable_and_moves_smoothly(layer):
    first, again = short(layer), short(layer)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    moved = [np.abs(b.alpha - a.alpha).mean() for a, b in pairwise(first)]
    assert min(moved) > 0 and max(moved) < 0.05


@pytest.mark.parametrize("share", [0.25, 0.8])
def test_people_are_as_high_as_asked_for_and_end_at_the_lower_edge(layer, share):
    for shot in short(layer, share):
        rows = np.flatnonzero((shot.alpha > 0.5).any(axis=1))
        assert rows[-1] >= 94 and rows.size == pytest.approx(96 * share, abs=7)


def test_a_film_is_recorded_with_its_colours(layer, tmp_path):
    shots = short(layer)
    record(shots, tmp_path / "film.mp4")
    with VideoReader(tmp_path / "film.mp4") as reader:
        frames = list(reader.frames())
    assert len(frames) == len(shots) and reader.rate == 30
    assert np.abs(frames[2].image.astype(int) - shots[2].image).mean() < 8


def test_steadiness_is_zero_for_the_truth_and_grows_with_noise(rng):
    truth = [np.full((20, 20), 0.5, np.float32)] * 8
    assert steadiness(truth, truth) == (0, 0, 0, 1)
    constant = steadiness([t + 0.1 for t in truth], truth)
    assert constant.error == pytest.approx(100, rel=1e-4) and constant.flicker == pytest.approx(0, abs=1e-3)
    noisy = steadiness([t + rng.normal(0, 0.01, t.shape) for t in truth], truth)
    assert noisy.dtssd == pytest.approx(1e3 * 0.01 * np.sqrt(2), rel=0.1)


def test_the_filter_is_judged_beside_the_plain_answer(layer):
    """On a network that knows the truth but for an error that changes from frame to frame."""
    shots = short(layer, 1.4, 8)

    class Unsteady:
        name, device, stride, engine = "none", "none", 32, "none"

        def __init__(self):
            self.rng, self.asked = np.random.default_rng(0), 0

        def run(self, image, trimap=None, prior=None):
            if image.shape[2:] == (96, 160):
                truth, self.asked = shots[self.asked].alpha, self.asked + 1
            else:
                truth = np.ones(image.shape[2:], np.float32)  # a search, in which somebody fills the frame
            edge = 4 * cv2.blur(truth, (5, 5)) * (1 - cv2.blur(truth, (5, 5)))
            error = cv2.blur(self.rng.normal(0, 1, truth.shape), (5, 5))
            noisy = np.clip(truth + edge * error, 0, 1).astype(np.float32)
            return RawOutput(noisy[None, None], np.zeros((1, 3, 24, 40), np.float32), noisy[None, None, ::4, ::4])

    plain, filtered = (
        study([lambda: iter(shots)], Predictor(Unsteady(), detail="fast", max_side=160), smooth)
        for smooth in (False, True)
    )
    assert filtered.flicker < 0.7 * plain.flicker and filtered.error < plain.error


@pytest.mark.parametrize("kinds", [(), ("cutout",), ("background",), ("cutout", "cutout", "background")])
def test_what_a_small_folder_lacks_is_told(layer, tmp_path, kinds):
    """The last one has one background too few for the study of the fringe."""
    rows = []
    for index, kind in enumerate(kinds):
        rgba = np.dstack([layer.colour, layer.alpha])
        save_image(
            tmp_path / f"{index}.png", np.rint(255 * rgba[..., : 4 if kind == "cutout" else 3]).astype(np.uint8)
        )
        rows.append(f"{index},train,own,CC0,{kind},{index}.png,,\n")
    (tmp_path / "manifest.csv").write_text("id,split,source,licence,kind,image,label,trimap\n" + "".join(rows))
    done = CliRunner().invoke(
        foreground_study.command, ["--data", str(tmp_path), "--count", "2", "-o", str(tmp_path)]
    )
    assert isinstance(done.exception, InputError), (done.exception, done.output)


def test_the_command_prints_errors_of_held_out_people(layer, tmp_path):
    colours = np.rint(255 * layer.colour).astype(np.uint8)
    save_image(tmp_path / "image.png", colours)
    save_image(tmp_path / "alpha.png", np.rint(255 * layer.alpha).astype(np.uint8))
    rows = "a,val,studio,CC0,alpha,image.png,alpha.png,\nb,train,own,CC0,background,image.png,,\n"
    (tmp_path / "manifest.csv").write_text(f"id,split,source,licence,kind,image,label,trimap\n{rows}")
    model = brightness_model(tmp_path / "brightness.onnx")
    arguments = ["--data", tmp_path, "--films", 1, "--frames", 2, "--share", "half-length", "--detail", "fast"]
    done = CliRunner().invoke(
        flicker_study.command, [*map(str, arguments), "--model", str(model)], catch_exceptions=False
    )
    header, _, off, on, *_ = done.stdout.splitlines()
    assert "dtSSD" in header and off.startswith("| half-length") and " off " in off and " on " in on


def test_cutouts_without_translucent_pixels_cannot_be_compared(layer, tmp_path):
    rgba = np.rint(255 * np.dstack([layer.colour, layer.alpha > 0.5])).astype(np.uint8)
    save_image(tmp_path / "a.png", rgba)
    save_image(tmp_path / "b.png", rgba[..., :3])
    rows = "a,train,own,CC0,cutout,a.png,,\nb,train,own,CC0,background,b.png,,\n"
    (tmp_path / "manifest.csv").write_text(f"id,split,source,licence,kind,image,label,trimap\n{rows}")
    done = CliRunner().invoke(foreground_study.command, ["--data", str(tmp_path), "-o", str(tmp_path)])
    assert "no cut-out with translucent pixels" in str(done.exception)
