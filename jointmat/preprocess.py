"""From an image to the network's input and back: two functions that undo each other, and their geometry."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Geometry:
    """The change of an image's size by `preprocess`, which `postprocess` undoes. Sizes are (height, width)."""

    original: tuple[int, int]
    """of the image"""
    resized: tuple[int, int]
    """that the network sees the image at"""
    padded: tuple[int, int]
    """of the network's input: `resized` up to the next multiple of the stride, filled at the bottom and right"""


OVERVIEW = 512
"""long side of an image in the first look, pixels"""
_ENLARGED = 4
"""times that a small image is enlarged at most: nobody is seen in what is more blurred than that"""


def plan(original: tuple[int, int], side: int, stride: int) -> Geometry:
    """Sizes for an image of (height, width): its long side becomes `side` pixels, or four times its own if less.

    Small images are enlarged: a network that learned at one scale does not see people at a tenth of it.
    """
    height, width = original
    scale = min(side / max(height, width), _ENLARGED)
    resized = max(1, round(height * scale)), max(1, round(width * scale))
    padded = _multiple(resized[0], stride), _multiple(resized[1], stride)
    return Geometry(original, resized, padded)


def preprocess(image: np.ndarray, geometry: Geometry) -> np.ndarray:
    """(H, W, 3) uint8 → (1, 3, h, w) float32 in [0, 1], C-contiguous."""
    return to_tensor(_resize(image, geometry.resized), geometry)


def to_tensor(small: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The same of an image that has `geometry.resized` as its size."""
    return cv2.dnn.blobFromImage(_padded(small, geometry), 1 / 255)


def preprocess_trimap(trimap: np.ndarray, geometry: Geometry) -> np.ndarray:
    """(H, W) uint8 of 0, 128 and 255 → (1, 3, h, w) float32: background, unknown, foreground, sum 1.

    A pixel of the network that covers several of the trimap is known only as far as they are.
    """
    planes = np.stack([trimap == 0, trimap == 128, trimap == 255], axis=-1).astype(np.float32)
    small = _padded(_resize(planes, geometry.resized), geometry)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None])


def postprocess(plane: np.ndarray, geometry: Geometry) -> np.ndarray:
    """(h, w) float32 in [0, 1], at the network's size or a fraction of it → (H, W) float32 in [0, 1]."""
    if plane.shape != geometry.padded:
        plane = cv2.resize(plane, geometry.padded[::-1], interpolation=cv2.INTER_LINEAR)
    height, width = geometry.resized
    inside = np.ascontiguousarray(plane[:height, :width], np.float32)
    full = _resize(inside, geometry.original) if geometry.original != geometry.resized else inside
    return np.clip(full, 0, 1)


def _multiple(length: int, stride: int) -> int:
    return -(-length // stride) * stride


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area average downwards, bilinear upwards; both keep the pixel centres aligned."""
    if image.shape[:2] == size:
        return image
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _padded(image: np.ndarray, geometry: Geometry) -> np.ndarray:
    below, right = (p - r for p, r in zip(geometry.padded, geometry.resized, strict=True))
    if not below and not right:
        return image
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
