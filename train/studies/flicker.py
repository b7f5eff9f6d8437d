"""`python -m train.studies.flicker`: how true and how steady mattes of video are.

Films are composites with a known alpha in every frame, see `train.studies.films`: held-out cut-outs that move
as people and hand-held cameras do. Over all pixels and frames, in units of 1/1000:

* error, the mean of |α − α*|, where * is the truth;
* flicker, the mean of |Δα − Δα*|, where Δ is the change from one frame to the next;
* dtSSD (Erofeev et al., "Perceptually Motivated Benchmark for Video Matting", BMVC 2015), the root of the mean of
  (Δα − Δα*)², averaged over the frames;
* and the IoU at ½, of 1.

The error shows whether a filter only smears.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from tqdm import tqdm

from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, count_option
from jointmat.evaluation.table import number, table
from jointmat.metrics import iou
from jointmat.predictor import Predictor
from jointmat.video.frames import DEFAULT_MAX_SIDE, FrameMatter
from train.studies.films import SHARES, SIZE, Shot, film
from train.studies.material import backgrounds, from_data, held_out


class Steadiness(NamedTuple):
    """Errors of a film's mattes; all but the last in units of 1/1000."""

    error: float
    flicker: float
    dtssd: float
    iou: float


def steadiness(predicted: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Steadiness:
    """The errors of alphas (H, W) in [0, 1], frame by frame."""
    difference = [p - t for p, t in zip(predicted, truth, strict=True)]
    change = [after - before for before, after in pairwise(difference)]
    return Steadiness(
        1e3 * float(np.mean([np.abs(d).mean() for d in difference])),
        1e3 * float(np.mean([np.abs(c).mean() for c in change])),
        1e3 * float(np.mean([np.sqrt(np.square(c).mean()) for c in change])),
        float(np.mean([iou(p, t) for p, t in zip(predicted, truth, strict=True)])),
    )


def study(films: Sequence[Callable[[], Iterator[Shot]]], predictor: Predictor, smooth: bool) -> Steadiness:
    """Means over films.

    smooth : with the filter
    """
    found = []
    for shots in tqdm(films, unit="film", disable=None, leave=False):
        matter = FrameMatter(predictor, smooth=smooth)
        alphas = [(matter(shot.image).alpha, shot.alpha) for shot in shots()]
        found.append(steadiness(*zip(*alphas, strict=True)))
    return Steadiness(*np.mean(found, axis=0).tolist())


def _several(name: str, variable: str, choices: list[str], text: str) -> Any:
    return click.option(name, variable, type=click.Choice(choices), multiple=True, default=choices, help=text)


@click.command(context_settings=SETTINGS)
@from_data
@count_option("--films", default=6, help="Number of cut-outs.")
@click.option("--frames", type=click.IntRange(min=2), default=24, help="Frames of each film.")
@_several("--share", "shares", list(SHARES), "Size of people in the frame.")
@_several("--detail", "details", ["fast", "fine"], "One look or two.")
@_several("--filter", "filters", ["off", "on"], "Smoothing over time.")
@click.option(
    "--max-side",
    "sides",
    type=int,
    multiple=True,
    default=[DEFAULT_MAX_SIDE],
    help="Long side of the network's input in the fast look.",
)
@click.option("--model", default="lite", help="Model name or path.")
@click.option("--precision", default="fp32", help="Precision of the model.")
@click.option("--threads", type=int, help="CPU threads.")
def command(
    data: Path | None,
    films: int,
    frames: int,
    shares: tuple[str, ...],
    sides: tuple[int, ...],
    details: tuple[str, ...],
    filters: tuple[str, ...],
    model: str,
    precision: str,
    threads: int | None,
) -> None:
    """Measure how true and how steady mattes of video are, with and without the second look and the filter."""
    layers = held_out(data, films, Predictor(model, threads=threads))
    behind = backgrounds(data, len(layers), SIZE)
    rows = []
    for share, side, detail in product(shares, sides, details):
        # The second look is at native resolution, which has a bound of its own.
        bound = {"max_side": side} if detail == "fast" else {}
        predictor = Predictor(model, precision=precision, detail=detail, threads=threads, **bound)  # type: ignore[arg-type]
        moving = [
            partial(film, layer, background, SHARES[share], frames, seed=seed)
            for seed, (layer, background) in enumerate(zip(layers, cycle(behind), strict=False))
        ]
        for filtered in filters:
            found = study(moving, predictor, filtered == "on")
            shown = str(side) if detail == "fast" else "512"
            errors = (number(value, 2) for value in found[:3])
            rows.append([share, shown, detail, filtered, *errors, number(found.iou, 3)])
    header = ["film", "long side", "detail", "filter", "error", "flicker", "dtSSD", "IoU"]
    click.echo(table([header, *rows], "pipe"))
    click.echo(f"\n{len(layers)} cut-outs, {frames} frames of {SIZE[1]}×{SIZE[0]} each, {precision}")


if __name__ == "__main__":
    run(command)
