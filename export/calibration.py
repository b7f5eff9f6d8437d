"""Images to calibrate with: training cut-outs on training backgrounds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from jointmat.assets import PORTRAIT
from jointmat.errors import ImageError, InputError
from jointmat.evaluation.manifest import Item, Kind, read_manifest
from jointmat.io.image import load_image
from jointmat.ops.morphology import hard_trimap
from jointmat.predictor import Predictor
from jointmat.preprocess import plan, preprocess, preprocess_trimap


@dataclass(frozen=True)
class Composite:
    """An image with its alpha."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB"""
    alpha: np.ndarray
    """(H, W) float32 in [0, 1]"""


def composites(data: Path, count: int, split: str = "train*") -> Iterator[Composite]:
    """`count` composites of training splits of a data folder, the same ones every time.

    split : name or pattern; take the one that the weights were trained on

    Raises
    ------
    InputError
        if its manifest lists no cut-outs (RGBA images) or no backgrounds for training.
    """
    items = read_manifest(data, [split])
    cutouts, backgrounds = ([i for i in items if i.kind is kind] for kind in (Kind.CUTOUT, Kind.BACKGROUND))
    if not cutouts or not backgrounds:
        raise InputError(
            f"{data}: {len(cutouts)} cut-outs and {len(backgrounds)} backgrounds in its training splits; "
            "expected at least one of each"
        )
    rng = np.random.default_rng(0)
    for cutout, background in zip(_drawn(cutouts, count, rng), _drawn(backgrounds, count, rng), strict=True):
        colours, alpha = _read_cutout(cutout)
        backdrop = cv2.resize(load_image(background.image), alpha.shape[::-1], interpolation=cv2.INTER_AREA)
        image = backdrop + alpha[..., None] * (colours - backdrop.astype(np.float32))
        yield Composite(np.rint(image).astype(np.uint8), alpha)


def portrait(model: Path) -> Composite:
    """The packaged portrait, which is in no training set, with the alpha by an exported file."""
    image = load_image(PORTRAIT)
    return Composite(image, Predictor(model).predict(image))


def feeds(images: Iterable[Composite], inputs: list[str], stride: int, side: int) -> list[dict[str, np.ndarray]]:
    """Feeds of an exported graph with these inputs, the long side at most `side` pixels; an image without a
    trimap, and with one where the graph takes it."""
    found = []
    for composite in images:
        geometry = plan(composite.alpha.shape, side, stride)
        image = preprocess(composite.image, geometry)
        if "trimap" not in inputs:
            found.append({"image": image})
            continue
        mask = np.where(composite.alpha > 0.5, 255, 0).astype(np.uint8)
        trimap = preprocess_trimap(hard_trimap(mask), geometry)
        for planes in (np.zeros_like(trimap), trimap):
            found.append({"image": image, "trimap": planes, "prior": planes[:, 2:] + planes[:, 1:2] / 2})
    return found


def _drawn(items: list[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` items in random order; each once before any comes again."""
    rounds = [rng.permutation(len(items)) for _ in range(-(-count // len(items)))]
    return [items[i] for i in np.concatenate(rounds)[:count]] if count else []


def _read_cutout(item: Item) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) of 0–255 and alpha (H, W) in [0, 1], float32, of an RGBA image, or of two files."""
    if item.label:
        return load_image(item.image).astype(np.float32), item.alpha()
    pixels = cv2.imread(str(item.image), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise ImageError(f"{item.image}: expected a readable 8-bit RGBA image as a cut-out")
    return pixels[..., 2::-1].astype(np.float32), pixels[..., 3].astype(np.float32) / 255
