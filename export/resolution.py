"""The error of guided upsampling from the working size to the image's, beside that of bilinear interpolation."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import mean

import cv2
import numpy as np
from tqdm import tqdm

from jointmat import metrics
from jointmat.evaluation.manifest import Item
from jointmat.evaluation.table import number, table
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.ops.guided_upsampling import upsample_guided
from jointmat.predictor import Predictor
from jointmat.preprocess import Geometry, plan, preprocess

MEGAPIXELS = (0.25, 0.5, 1, 2, 4, 8, 12, 24)
_SHAPE = (3, 4)  # height : width

Matte = Callable[[Item, np.ndarray, Geometry], np.ndarray]
"""(item, network's input, geometry) → alpha at the working size"""


def image_sizes() -> dict[str, tuple[int, int]]:
    """(height, width) of images by their megapixels."""
    height, width = _SHAPE
    scales = {f"{million:g} MP": (million * 1e6 / (height * width)) ** 0.5 for million in MEGAPIXELS}
    return {name: (round(height * scale), round(width * scale)) for name, scale in scales.items()}


def upsampling_table(predictor: Predictor, items: Sequence[Item], sides: Sequence[int]) -> str:
    """Mean SAD at full size, in thousands, of both ways to upsample, by source and working size.

    What is upsampled is the network's alpha, and, because its own errors hide those of upsampling, also the true
    alpha reduced to the working size.
    """
    ways: dict[str, Matte] = {"network": partial(_network, predictor), "true alpha": _truth}
    found: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    for item in tqdm(items, disable=None, unit="image"):
        image, truth = load_image(item.image), item.alpha()
        for side in sides:
            geometry = plan(image.shape[:2], side, predictor.backend.stride)
            height, width = geometry.resized
            tensor = preprocess(image, geometry)
            for name, matte in ways.items():
                alpha = matte(item, tensor, geometry)
                guided = upsample_guided(alpha, tensor[0, :, :height, :width], [image])
                bilinear = cv2.resize(alpha, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
                sads = _sad(bilinear, truth), _sad(guided, truth)
                found.setdefault((item.source, side, name), []).append(sads)
    lines = [["images", "working size", "matte from", "bilinear", "guided", "change"]]
    for (source, side, name), pairs in sorted(found.items(), key=lambda item: item[0][0]):
        bilinear_sad, guided_sad = map(mean, zip(*pairs, strict=True))
        change = f"{guided_sad / bilinear_sad - 1:+.1%}" if bilinear_sad else "–"
        lines.append(
            [f"{len(pairs)} {source}", str(side), name, number(bilinear_sad, 3), number(guided_sad, 3), change]
        )
    return table(lines, "pipe")


def _network(predictor: Predictor, _: Item, tensor: np.ndarray, geometry: Geometry) -> np.ndarray:
    height, width = geometry.resized
    return predictor.backend.run(tensor).alpha[0, 0, :height, :width]


def _truth(item: Item, _: np.ndarray, geometry: Geometry) -> np.ndarray:
    return cv2.resize(item.alpha(), geometry.resized[::-1], interpolation=cv2.INTER_AREA)


def _sad(alpha: np.ndarray, truth: np.ndarray) -> float:
    return metrics.sad(to_uint8(alpha) / 255, truth)
