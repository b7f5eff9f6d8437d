"""`python -m train.studies.foreground`: what each way to estimate the foreground leaves of the old background.

A cut-out, whose own colours are known, is put on one background; the foreground is estimated from that composite
and its true alpha, and put on a second one. The error is that of the second composite against the truth, where
the subject is translucent, in levels of 0–255. "image" takes the composite itself for the foreground, as a plain
paste does.

The picture shows the packaged portrait with its predicted matte on a colour, before and after.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from tqdm import tqdm

from jointmat.assets import PORTRAIT
from jointmat.cli.errors import run
from jointmat.compositing import blend, placed
from jointmat.errors import DependencyError, InputError
from jointmat.evaluation.sheet import save_sheet
from jointmat.foreground import estimate_foreground, known_and_mixed
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from train.data.compose import Layer
from train.studies.material import backgrounds, cutouts

_COLOUR = 24, 60, 140  # of the picture: dark blue shows what is left of a bright background
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
    """Means over the cut-outs, each on its background and then on the next one; methods that are there."""
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
    """The methods whose packages are installed."""
    names = []
    for name, method in METHODS.items():
        try:
            method(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.float32))
        except DependencyError as error:
            click.echo(f"{name} left out: {error}", err=True)
        else:
            names.append(name)
    return names


def milliseconds(method: Method, matte: Matte, size: tuple[int, int]) -> float:
    """Of the fastest of a few rounds, for the portrait at a size (H, W)."""
    image = placed(matte.image, size)
    alpha = placed(np.repeat(np.rint(255 * matte.alpha)[..., None], 3, axis=2).astype(np.uint8), size)
    plane = alpha[..., 0].astype(np.float32) / 255
    spent = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        method(image, plane)
        spent.append(time.perf_counter() - start)
    return 1e3 * min(spent)


def draw(path: Path, matte: Matte) -> None:
    """photo | pasted as it is | with clean colours: where the hair is, enlarged."""
    behind = np.full_like(matte.image, _COLOUR)
    pasted = blend(matte.image, matte.alpha, behind)
    window = _hair(matte.alpha)
    save_sheet(path, [[picture[window] for picture in (matte.image, pasted, matte.composite(_COLOUR))]], 340)


def _hair(alpha: np.ndarray) -> tuple[slice, slice]:
    """The square, a third of the picture wide, with the most translucent pixels of the upper half."""
    side = min(alpha.shape) // 3
    mixed = (4 * alpha * (1 - alpha))[: max(side, alpha.shape[0] // 2)]
    table = np.pad(mixed.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return slice(int(top), int(top) + side), slice(int(left), int(left) + side)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--data", type=click.Path(path_type=Path), help="Folder with a manifest.csv; else the astronaut.")
@click.option("--count", type=click.IntRange(min=1), default=60, help="How many cut-outs.")
@click.option("--model", default="lite", help="Name or path of a model, for the portrait.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out"), help="For the picture.")
def command(data: Path | None, count: int, model: str, output: Path) -> None:
    """Measure what is left of the old background in composites, and show it."""
    predictor = Predictor(model)
    matte = predictor.matte(PORTRAIT)
    layers = [layer for layer in cutouts(data, count, predictor) if known_and_mixed(layer.alpha)[1].size]
    if not layers:
        raise InputError(f"{data}: no cut-out has a translucent pixel, where the methods differ")
    behind = backgrounds(data, len(layers) + 1, layers[0].alpha.shape)
    if len(behind) < 2:
        raise InputError(f"{data}: has one background; expected two, to be put on one after the other")
    means = study(layers, behind)
    output.mkdir(parents=True, exist_ok=True)
    draw(output / "fringe.jpg", matte)
    click.echo(f"{len(layers)} cut-outs, errors of translucent pixels in levels of 0–255")
    click.echo(f"{'foreground':12}{'mean':>8}{'rms':>8}{'ms at 1080p':>14}")
    for name, left in means.items():
        spent = milliseconds(METHODS[name], matte, (1080, 1920))
        click.echo(f"{name:12}{left.mean:8.2f}{left.root_mean_square:8.2f}{spent:14.1f}")
    click.echo(f"wrote {output / 'fringe.jpg'}")


if __name__ == "__main__":
    run(command)
