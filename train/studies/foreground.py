"""`python -m train.studies.foreground`: how much of the old background each foreground estimation leaves.

A cut-out with known colours is composited on one background; the foreground is estimated from that composite and
its true alpha, and composited on a second background. The error is that of the second composite, where the
subject is translucent, in levels of 0–255. "image" takes the composite itself as the foreground.

The sheet shows the packaged portrait with its predicted matte on a colour, before and after.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from tqdm import tqdm

from jointmat.assets import PORTRAIT
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, count_option, path_option
from jointmat.compositing import blend, placed, scaled
from jointmat.errors import DependencyError, InputError
from jointmat.evaluation.sheet import save_sheet
from jointmat.evaluation.table import number, table
from jointmat.evaluation.timing import in_turns, warm
from jointmat.foreground import estimate_foreground, known_and_mixed
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from train.data.compose import Layer
from train.studies.material import backgrounds, cutouts, from_data

_COLOUR = 24, 60, 140  # dark blue, which shows remains of a bright background
_ROUNDS = 3

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(image (H, W, 3) uint8, alpha (H, W) float32) → foreground (H, W, 3) uint8"""

METHODS: dict[str, Method] = {
    "image": lambda image, _: image,
    "fast": estimate_foreground,
    "ml": lambda image, alpha: estimate_foreground(image, alpha, "ml"),
}


class Left(NamedTuple):
    """Errors of composites where the subject is translucent, in levels."""

    mean: float
    root_mean_square: float


def study(layers: Sequence[Layer], behind: Sequence[np.ndarray]) -> dict[str, Left]:
    """Means over the cut-outs, each on its background and then on the next one, by available method."""
    found: dict[str, list[Left]] = {name: [] for name in available()}
    for index, layer in enumerate(tqdm(layers, unit="cutout", disable=None)):
        size = layer.alpha.shape
        first, second = (placed(behind[(index + step) % len(behind)], size) for step in (0, 1))
        colour = np.rint(255 * layer.colour).astype(np.uint8)
        image = blend(colour, layer.alpha, first)
        truth = blend(colour, layer.alpha, second).astype(np.float32)
        mixed = known_and_mixed(layer.alpha)[1]
        for name, errors in found.items():
            result = blend(METHODS[name](image, layer.alpha), layer.alpha, second)
            difference = np.abs(result - truth).reshape(-1, 3)[mixed]
            errors.append(Left(float(difference.mean()), float(np.sqrt(np.square(difference).mean()))))
    return {name: Left(*np.mean(errors, axis=0).tolist()) for name, errors in found.items()}


def available() -> list[str]:
    """Methods whose packages are installed."""
    names = []
    for name, method in METHODS.items():
        try:
            method(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.float32))
        except DependencyError as error:
            click.echo(f"skipping {name}: {error}", err=True)
        else:
            names.append(name)
    return names


def milliseconds(methods: Sequence[str], matte: Matte, size: tuple[int, int]) -> dict[str, float]:
    """The fastest of a few calls of each method, for the portrait at a size (H, W)."""
    image, alpha = placed(matte.image, size), np.clip(scaled(matte.alpha, size), 0, 1)
    calls = {name: partial(warm, partial(METHODS[name], image, alpha)) for name in methods}
    return {name: min(times) for name, times in in_turns(calls, _ROUNDS).items()}


def draw(path: Path, matte: Matte) -> None:
    """image | pasted as it is | with clean colours: an enlarged window of the hair."""
    behind = np.full_like(matte.image, _COLOUR)
    pasted = blend(matte.image, matte.alpha, behind)
    window = _hair(matte.alpha)
    shown = {"image": matte.image, "pasted": pasted, "clean colours": matte.composite(_COLOUR)}
    save_sheet(path, [[image[window] for image in shown.values()]], 340, [list(shown)])


def _hair(alpha: np.ndarray) -> tuple[slice, slice]:
    """The square, a third of the image wide, with the most translucent pixels of the upper half."""
    side = min(alpha.shape) // 3
    mixed = (4 * alpha * (1 - alpha))[: max(side, alpha.shape[0] // 2)]
    integral = np.pad(mixed.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    above = integral[side:] - integral[:-side]
    sums = above[:, side:] - above[:, :-side]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return slice(int(top), int(top) + side), slice(int(left), int(left) + side)


@click.command(context_settings=SETTINGS)
@from_data
@count_option("--count", default=60, help="Number of cut-outs.")
@click.option("--model", default="lite", help="Model name or path.")
@path_option("-o", "--output", default=Path("out"), help="Folder for the sheet.")
def command(data: Path | None, count: int, model: str, output: Path) -> None:
    """Measure how much of the old background composites keep, and show it."""
    predictor = Predictor(model)
    matte = predictor.matte(PORTRAIT)
    layers = [layer for layer in cutouts(data, count, predictor) if known_and_mixed(layer.alpha)[1].size]
    if not layers:
        raise InputError(f"{data}: no cut-out with translucent pixels, where the methods differ")
    behind = backgrounds(data, len(layers) + 1, layers[0].alpha.shape)
    if len(behind) < 2:
        raise InputError(f"{data}: found one background, expected at least two")
    means = study(layers, behind)
    output.mkdir(parents=True, exist_ok=True)
    draw(output / "fringe.jpg", matte)
    spent = milliseconds(list(means), matte, (1080, 1920))
    rows = [[n, number(e.mean, 2), number(e.root_mean_square, 2), number(spent[n], 1)] for n, e in means.items()]
    click.echo(f"{len(layers)} cut-outs, errors of translucent pixels in levels of 0–255")
    click.echo(table([["foreground", "mean", "rms", "ms at 1080p"], *rows]))
    click.echo(f"wrote {output / 'fringe.jpg'}")


if __name__ == "__main__":
    run(command)
