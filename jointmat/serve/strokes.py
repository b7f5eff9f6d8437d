"""A trimap corrected by brush strokes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Label = Literal["keep", "remove", "unsure"]

_LEVELS: dict[str, int] = {"keep": 255, "remove": 0, "unsure": 128}
_RING_SHARE = 0.5  # of the brush's radius
_RING_SIDES = 1 / 200  # of the long side, at least


@dataclass(frozen=True)
class Stroke:
    """A line drawn by a round brush."""

    label: Label
    radius: float
    """in pixels of the photo"""
    points: tuple[tuple[float, float], ...]
    """(x, y) in pixels of the photo, from its upper left corner"""


def painted(trimap: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """A trimap (H, W) uint8 of 0, 128 and 255 with strokes over it, later ones on top.

    What a stroke keeps ends somewhere beside it, and nobody draws along every hair: around it, what the trimap
    took for background becomes unknown, so that the network finds the edge; likewise around what it removes.
    """
    result = trimap.copy()
    margin = max(trimap.shape) * _RING_SIDES
    for label, opposite in (("keep", 0), ("remove", 255)):
        ring = np.zeros_like(trimap)
        for stroke in strokes:
            if stroke.label == label:
                _draw(ring, stroke, stroke.radius + max(margin, _RING_SHARE * stroke.radius), 1)
        result[(ring == 1) & (trimap == opposite)] = 128
    for stroke in strokes:
        _draw(result, stroke, stroke.radius, _LEVELS[stroke.label])
    return result


def _draw(plane: np.ndarray, stroke: Stroke, radius: float, level: int) -> None:
    points = np.rint(stroke.points).astype(np.int32)
    cv2.polylines(plane, [points], isClosed=False, color=level, thickness=max(1, round(2 * radius)))
    if len(points) == 1:  # which is no line
        cv2.circle(plane, tuple(map(int, points[0])), max(1, round(radius)), level, cv2.FILLED)
