"""`python -m train.studies.flicker`: how much mattes of video flicker, with and without the filter.

Clips are composites with a known alpha in every frame: a cut-out that sways smoothly in front of a background,
with sensor noise. Two metrics over all pixels and frames, in units of 1/1000:

* flicker, the mean of |Δα − Δα*|, where Δ is the change from one frame to the next and * the truth;
* dtSSD (Erofeev et al., "Perceptually Motivated Benchmark for Video Matting", BMVC 2015), the root of the mean of
  (Δα − Δα*)², averaged over the frames.

The mean error |α − α*| shows whether a filter only smears.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from typing import NamedTuple

import click
import cv2
import numpy as np
from tqdm import tqdm

from jointmat.cli.errors import run
from jointmat.compositing import placed
from jointmat.evaluation.table import number, table
from jointmat.predictor import Predictor
from jointmat.video.frames import DEFAULT_MAX_SIDE, FrameMatter
from train.data.compose import Layer, composite
from train.studies.material import backgrounds, cutouts

_NOISE = 2.5 / 255  # standard deviation of sensor noise in room light
_SWAY = 0.04  # of the image's width, to either side
_PERIOD = 50  # frames


class Steadiness(NamedTuple):
    """Errors of a clip's mattes, in units of 1/1000."""

    error: float
    flicker: float
    dtssd: float


class Shot(NamedTuple):
    """One frame of a clip with its alpha."""

    image: np.ndarray  # H, W, 3 uint8
    alpha: np.ndarray  # H, W float32


def clip(layer: Layer, background: np.ndarray, frames: int, seed: int = 0) -> Iterator[Shot]:
    """The cut-out sways, turns and moves closer and back; the background drifts, as with a hand-held camera."""
    rng = np.random.default_rng(seed)
    height, width = layer.alpha.shape
    behind = placed(background, (height, width)).astype(np.float32) / 255
    for index in range(frames):
        phase = 2 * np.pi * index / _PERIOD
        near = 0.95 + 0.05 * np.sin(0.7 * phase)
        move = cv2.getRotationMatrix2D((width / 2, height), 2 * np.sin(phase), near)
        move[0, 2] += _SWAY * width * np.sin(0.9 * phase)
        drift = np.array([[1, 0, 1.5 * np.sin(0.5 * phase)], [0, 1, np.cos(0.4 * phase)]])
        size = width, height
        moved = Layer(
            cv2.warpAffine(layer.colour, move, size, borderMode=cv2.BORDER_REPLICATE),
            cv2.warpAffine(layer.alpha, move, size),
        )
        still = cv2.warpAffine(behind, drift, size, borderMode=cv2.BORDER_REPLICATE)
        light = composite(moved, still) + rng.normal(0, _NOISE, (height, width, 3))
        yield Shot(np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8), moved.alpha)


def steadiness(predicted: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Steadiness:
    """Errors of alphas (H, W) in [0, 1], frame by frame."""
    difference = [p - t for p, t in zip(predicted, truth, strict=True)]
    change = [after - before for before, after in pairwise(difference)]
    return Steadiness(
        1e3 * float(np.mean([np.abs(d).mean() for d in difference])),
        1e3 * float(np.mean([np.abs(c).mean() for c in change])),
        1e3 * float(np.mean([np.sqrt(np.square(c).mean()) for c in change])),
    )


def study(clips: Sequence[Callable[[], Iterator[Shot]]], predictor: Predictor) -> dict[str, Steadiness]:
    """Means over the clips, without the filter and with it."""
    means = {}
    for name, smooth in (("as predicted", False), ("filtered", True)):
        found = []
        for shots in tqdm(clips, unit="clip", desc=name, disable=None):
            matter = FrameMatter(predictor, smooth=smooth)
            alphas = [(matter(shot.image).alpha, shot.alpha) for shot in shots()]
            found.append(steadiness(*zip(*alphas, strict=True)))
        means[name] = Steadiness(*np.mean(found, axis=0).tolist())
    return means


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with a manifest.csv.",
    show_default="packaged portrait",
)
@click.option("--clips", type=click.IntRange(min=1), default=8, help="Number of cut-outs.")
@click.option("--frames", type=click.IntRange(min=2), default=50, help="Frames of each clip.")
@click.option("--model", default="lite", help="Model name or path.")
@click.option("--max-side", type=int, default=DEFAULT_MAX_SIDE, help="Long side that the network sees, pixels.")
@click.option("--threads", type=int, help="CPU threads.")
def command(data: Path | None, clips: int, frames: int, model: str, max_side: int, threads: int | None) -> None:
    """Measure the flicker of mattes of video, with and without the filter."""
    layers = cutouts(data, clips, Predictor(model, threads=threads))
    behind = backgrounds(data, len(layers), layers[0].alpha.shape[:2])
    shots = [
        partial(clip, layer, background, frames, seed)
        for seed, (layer, background) in enumerate(zip(layers, cycle(behind), strict=False))
    ]
    means = study(shots, Predictor(model, detail="fast", max_side=max_side, threads=threads))
    click.echo(f"{len(shots)} clips of {frames} frames, long side at {max_side} px, in units of 1/1000")
    rows = [[name, *(number(value, 2) for value in values)] for name, values in means.items()]
    click.echo(table([["", "|α − α*|", "flicker", "dtSSD"], *rows]))


if __name__ == "__main__":
    run(command)
