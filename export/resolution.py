"""What the step from the working size to the photo's is worth: its error beside plain bilinear interpolation."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import mean

import cv2
import numpy as np
from tqdm import tqdm

from export.text import table
from jointmat import metrics
from jointmat.evaluation.manifest import Item
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.ops.guided_upsampling import upsample_guided
from jointmat.predictor import Predictor
from jointmat.preprocess import Geometry, plan, preprocess

MEGAPIXELS = (0.25, 0.5, 1, 2, 4, 8, 12, 24)
_SHAPE = (3, 4)  # height : width

Matte = Callable[[Item, np.ndarray, Geometry], np.ndarray]
"""(row, network's input, geometry) → alpha at the working size"""


def photo_sizes() -> dict[str, tuple[int, int]]:
    """(height, width) of photos by their megapixels."""
    height, width = _SHAPE
    scales = {f"{million:g} MP": (million * 1e6 / (height * width)) ** 0.5 for million in MEGAPIXELS}
    return {name: (round(height * scale), round(width * scale)) for name, scale in scales.items()}


def upsampling_table(predictor: Predictor, rows: Sequence[Item], sides: Sequence[int]) -> str:
    """Mean SAD at the photos' size, in thousands, of both ways up, by source and working size.

    The mattes that are brought up are the network's, and, since its own errors hide those of the way up, also the
    true alpha reduced to the working size.
    """
    ways: dict[str, Matte] = {"network": partial(_network, predictor), "true alpha": _truth}
    found: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    for row in tqdm(rows, disable=None, unit="photo"):
        photo, truth = load_image(row.image), row.alpha()
        for side in sides:
            geometry = plan(photo.shape[:2], side, predictor.backend.stride)
            height, width = geometry.resized
            tensor = preprocess(photo, geometry)
            for name, matte in ways.items():
                alpha = matte(row, tensor, geometry)
                guided = upsample_guided(alpha, tensor[0, :, :height, :width], photo)
                bilinear = cv2.resize(alpha, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)
                sads = _sad(bilinear, truth), _sad(guided, truth)
                found.setdefault((row.source, side, name), []).append(sads)
    lines = [["photos", "working size", "matte from", "bilinear", "guided", "change"]]
    for (source, side, name), pairs in sorted(found.items(), key=lambda item: item[0][0]):
        bilinear_sad, guided_sad = map(mean, zip(*pairs, strict=True))
        change = f"{guided_sad / bilinear_sad - 1:+.1%}" if bilinear_sad else "–"
        lines.append(
            [f"{len(pairs)} {source}", str(side), name, f"{bilinear_sad:.3f}", f"{guided_sad:.3f}", change]
        )
    return table(lines)


def _network(predictor: Predictor, _: Item, tensor: np.ndarray, geometry: Geometry) -> np.ndarray:
    height, width = geometry.resized
    return predictor.backend.run(tensor).alpha[0, 0, :height, :width]


def _truth(row: Item, _: np.ndarray, geometry: Geometry) -> np.ndarray:
    return cv2.resize(row.alpha(), geometry.resized[::-1], interpolation=cv2.INTER_AREA)


def _sad(alpha: np.ndarray, truth: np.ndarray) -> float:
    return metrics.sad(to_uint8(alpha) / 255, truth)
