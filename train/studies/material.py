"""Cut-outs and backgrounds for the studies: of a data set, or the packaged portrait and drawn ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from jointmat.assets import PORTRAIT
from jointmat.backgrounds import DRAWN, draw
from jointmat.cli.options import path_option
from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind, read_labelled, read_manifest
from jointmat.foreground import estimate_foreground
from jointmat.io.image import load_image
from jointmat.predictor import Predictor
from train.data.compose import Layer
from train.data.decoded import read_rgba

T = TypeVar("T")

_SPLITS = "train_cutout", "train"
_HELD_OUT = "studio", "rendered"

from_data = path_option("--data", help="Folder with a manifest.csv.", show_default="packaged portrait")
"""The option of a study that names its material."""


def cutouts(data: Path | None, count: int, predictor: Predictor) -> list[Layer]:
    """`count` of the cut-outs of a folder with a manifest, evenly spread, or the portrait by its predicted alpha.

    A composite of a cut-out has exactly the cut-out's alpha, however good that is.
    """
    if data is None:
        matte = predictor.matte(PORTRAIT)
        return [Layer(matte.foreground().astype(np.float32) / 255, matte.alpha)]
    return [_layer(read_rgba(item)) for item in _spread(_items(data, _SPLITS, Kind.CUTOUT), count)]


def held_out(data: Path | None, count: int, predictor: Predictor) -> list[Layer]:
    """The same of images that a folder keeps for judging: their people by exact alphas, in clean colours."""
    if data is None:
        return cutouts(None, count, predictor)
    layers = []
    for item in _spread(read_labelled(data, "val", _HELD_OUT, kinds=[Kind.ALPHA]), count):
        image, alpha = load_image(item.image), item.alpha()
        layers.append(Layer(estimate_foreground(image, alpha).astype(np.float32) / 255, alpha))
    return layers


def backgrounds(data: Path | None, count: int, size: tuple[int, int]) -> list[np.ndarray]:
    """`count` backgrounds (H, W, 3) uint8, at most: of the folder, at their own size, or drawn ones."""
    if data is None:
        names = list(DRAWN)
        return [draw(names[i % len(names)], *size) for i in range(count)]
    return [load_image(item.image) for item in _spread(_items(data, ("train*",), Kind.BACKGROUND), count)]


def _items(data: Path, splits: Sequence[str], kind: Kind) -> list[Item]:
    items = [item for item in read_manifest(data, splits) if item.kind is kind]
    if not items:
        raise InputError(f"{data}: no item of kind {kind} in splits {', '.join(splits)}; expected at least one")
    return items


def _layer(rgba: np.ndarray) -> Layer:
    levels = rgba.astype(np.float32) / 255
    return Layer(levels[..., :3], np.ascontiguousarray(levels[..., 3]))


def _spread(items: Sequence[T], count: int) -> list[T]:
    return [items[i * len(items) // count] for i in range(min(count, len(items)))]
