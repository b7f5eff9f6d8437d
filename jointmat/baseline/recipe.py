"""The classic step between the two networks: from a mask to a hard trimap. It needs no torch."""

import cv2
import numpy as np

from jointmat.ops.morphology import BACKGROUND, FOREGROUND, UNKNOWN, hard_trimap


def trimap_planes(mask: np.ndarray, size: tuple[int, int], kernel: int, iterations: int) -> np.ndarray:
    """Planes of the classic trimaps of a batch of masks.

    Parameters
    ----------
    mask : (B, 1, h, w) float32, probability of foreground; foreground from .5 on
    size : (H, W) of the trimaps, to which the masks are enlarged first
    kernel, iterations : see `jointmat.ops.morphology.hard_trimap`

    Returns
    -------
    (B, 3, H, W) float32 of 0 and 1: background, unknown, foreground.
    """
    trimaps = np.stack([hard_trimap(_binary(plane, size), kernel, iterations) for plane in mask[:, 0]])
    return np.stack([trimaps == v for v in (BACKGROUND, UNKNOWN, FOREGROUND)], axis=1).astype(np.float32)


def fuse_planes(trimap: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Alpha (B, 1, H, W) with its known pixels set from the planes (B, 3, H, W): F + U·α."""
    return trimap[:, 2:3] + trimap[:, 1:2] * alpha


def _binary(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    full = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(full >= 0.5, 255, 0).astype(np.uint8)
