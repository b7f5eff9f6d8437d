"""Backgrounds drawn here, so that a composite needs nobody's photo."""

import cv2
import numpy as np


def sunset(height: int, width: int, seed: int = 7) -> np.ndarray:
    """An evening sky over three ranges of hills, a little out of focus: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    stops = np.array([[38, 44, 98], [150, 84, 138], [246, 142, 92], [255, 208, 130]], np.float32)
    picture = np.broadcast_to(_blend(stops, np.minimum(y * 1.45, 1)), (height, width, 3)).copy()
    distance = np.hypot((x - 0.72) * width, (y - 0.5) * height) / max(height, width)
    picture += np.exp(-((distance / 0.16) ** 2)) * np.array([70, 62, 34], np.float32)
    for level, colour in ((0.58, (124, 78, 118)), (0.7, (78, 54, 98)), (0.83, (36, 32, 62))):
        picture = np.where(y > _ridge(rng, width, level)[None, :, None], np.array(colour, np.float32), picture)
    picture = cv2.GaussianBlur(picture, (0, 0), max(height, width) / 220)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)


def _blend(stops: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Colours at `place` (…, 1) in [0, 1] between equally spaced stops (n, 3)."""
    scaled = place * (len(stops) - 1)
    first = np.minimum(scaled.astype(int), len(stops) - 2)
    part = scaled - first
    return stops[first[..., 0]] * (1 - part) + stops[first[..., 0] + 1] * part


def _ridge(rng: np.random.Generator, width: int, level: float) -> np.ndarray:
    """Height of a chain of hills along the picture, in [0, 1]: a few sine waves of random phase."""
    x = np.linspace(0, 2 * np.pi, width)
    waves = [np.sin(k * x + rng.uniform(0, 2 * np.pi)) / k for k in (1, 2, 3, 5, 8)]
    return (level + 0.035 * np.sum(waves, axis=0)).astype(np.float32)
