"""Images as planes of different sizes, and colours at chosen places of them."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import cv2
import numpy as np

Planes: TypeAlias = Sequence[np.ndarray]
"""An image, uint8, as one plane (H, W, 3), or as luma (H, W, 1) and chroma (H/2, W/2, 2); the first one is of the
image's size."""

_ROW = 1024  # OpenCV remaps to rows of a limited length


def in_one(planes: Planes, size: tuple[int, ...]) -> np.ndarray:
    """(h, w, 3) uint8: all channels at another size, averaged where that is smaller."""
    kinds = (cv2.INTER_AREA if size[0] < plane.shape[0] else cv2.INTER_LINEAR for plane in planes)
    small = [cv2.resize(plane, size[::-1], interpolation=kind) for plane, kind in zip(planes, kinds, strict=True)]
    return small[0] if len(small) == 1 else cv2.merge(small)


def channels_of(planes: Planes) -> Iterator[slice]:
    """Which of all channels each plane has."""
    first = 0
    for plane in planes:
        yield slice(first, first + plane.shape[2])
        first += plane.shape[2]


def taken(plane: np.ndarray, places: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(N, C): the pixels of a plane (h, w, C) at places (N,) of a flattened full size (H, W), at most a whole
    number of times as large."""
    if plane.shape[:2] != size:
        factor = np.int32(size[0] // plane.shape[0])
        places = places.astype(np.int32)
        rows = places // np.int32(size[1])
        places = rows // factor * np.int32(plane.shape[1]) + (places - rows * np.int32(size[1])) // factor
    return plane.reshape(-1, plane.shape[2]).take(places, axis=0)


def sampled(plane: np.ndarray, places: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(N, C) float32: what `cv2.resize` of a plane (h, w, C) float32 would give, linearly, at places (N,) of a
    flattened full size (H, W), without enlarging the rest; C is at most 4."""
    count, channels = len(places), plane.shape[2]
    if not count:
        return np.empty((0, channels), np.float32)
    padded = np.zeros((-(-count // _ROW), _ROW), np.int32)
    padded.reshape(-1)[:count] = places
    rows = padded // np.int32(size[1])
    columns = padded - rows * np.int32(size[1])
    height, width = plane.shape[:2]
    x = (columns.astype(np.float32) + 0.5) * np.float32(width / size[1]) - 0.5
    y = (rows.astype(np.float32) + 0.5) * np.float32(height / size[0]) - 0.5
    found = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1, channels)[:count]
