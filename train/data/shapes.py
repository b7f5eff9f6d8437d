"""Drawn subjects: foliage, threads, holes and veils with exact alpha.

A trimap that is given may be of anything, so what the network learns from it must not depend on people. Here any
image becomes a foreground by a shape that is drawn, whose coverage of each pixel is known.
"""

import cv2
import numpy as np

_SUPERSAMPLING = 3
_POINTS = 16  # of the polyline that a thread is


def draw_shape(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Coverage (H, W) float32 in [0, 1] of a random subject: a body, and what makes its outline hard."""
    body = _ellipses(rng, size, int(rng.integers(1, 4)), (0.12, 0.4))
    draw = (_foliage, _threads, _veil)[int(rng.integers(3))]
    alpha = np.maximum(body, draw(rng, size, body))
    if rng.random() < 0.4:  # seen through
        alpha = alpha * (1 - _ellipses(rng, size, int(rng.integers(2, 30)), (0.005, 0.05)))
    return alpha


def _foliage(rng: np.random.Generator, size: tuple[int, int], _: np.ndarray) -> np.ndarray:
    """Many small leaves around a place, with gaps between."""
    height, width = size
    count = int(rng.integers(20, 160))
    spread = min(size) * rng.uniform(0.12, 0.35)
    centre = rng.normal((width / 2, height / 2), min(size) / 5)
    places = rng.normal(centre, spread, (count, 2))
    length = min(size) * rng.uniform(0.02, 0.08) * rng.uniform(0.5, 1.5, count)
    return _painted(rng, size, places, np.stack([length, length * rng.uniform(0.15, 0.6, count)], axis=1))


def _threads(rng: np.random.Generator, size: tuple[int, int], body: np.ndarray) -> np.ndarray:
    """Strands of one thickness that start on the body and run one way."""
    inside = np.argwhere(body > 0.5)
    count = int(rng.integers(10, 90))
    start = inside[rng.integers(len(inside), size=count)][:, ::-1]
    way = rng.uniform(0, 2 * np.pi) + rng.normal(0, rng.uniform(0.05, 0.6), (count, 1))
    turn = rng.normal(0, 0.12, (count, _POINTS)).cumsum(axis=1)
    step = min(size) * rng.uniform(0.1, 0.7) * rng.uniform(0.4, 1.0, (count, 1)) / _POINTS
    moves = np.stack([np.cos(way + turn), np.sin(way + turn)], axis=-1) * step[..., None]
    paths = start[:, None] + moves.cumsum(axis=1)  # count, points, 2
    canvas = _canvas(size)
    lines = np.rint(paths * _SUPERSAMPLING).astype(np.int32)
    thickness = max(1, round(float(np.exp(rng.uniform(np.log(0.5), np.log(6)))) * _SUPERSAMPLING))
    cv2.polylines(canvas, list(lines), isClosed=False, color=255, thickness=thickness)
    return _coverage(canvas, size)


def _veil(rng: np.random.Generator, size: tuple[int, int], body: np.ndarray) -> np.ndarray:
    """Something torn and partly translucent around the body: smooth noise, cut off softly."""
    height, width = size
    noise = np.zeros(size, np.float32)
    for cells in (4, 9, 20, 45):
        coarse = rng.standard_normal((cells, max(2, cells * width // height)), np.float32)
        noise += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / np.sqrt(cells)
    near = cv2.GaussianBlur(body, (0, 0), min(size) * float(rng.uniform(0.02, 0.1)))
    softness = float(np.exp(rng.uniform(np.log(0.01), np.log(0.5))))
    return np.clip((noise + 2.5 * near - 1) / softness, 0, 1) * np.float32(rng.uniform(0.6, 1.0))


def _ellipses(
    rng: np.random.Generator, size: tuple[int, int], count: int, extent: tuple[float, float]
) -> np.ndarray:
    """Ellipses anywhere, their longer half-axis a share of the shorter side in `extent`."""
    height, width = size
    places = rng.uniform((0.15 * width, 0.15 * height), (0.85 * width, 0.85 * height), (count, 2))
    longer = min(size) * rng.uniform(*extent, count)
    return _painted(rng, size, places, np.stack([longer, longer * rng.uniform(0.4, 1, count)], axis=1))


def _painted(rng: np.random.Generator, size: tuple[int, int], places: np.ndarray, axes: np.ndarray) -> np.ndarray:
    canvas = _canvas(size)
    for (x, y), (a, b) in zip(places * _SUPERSAMPLING, axes * _SUPERSAMPLING, strict=True):
        cv2.ellipse(canvas, ((x, y), (2 * a, 2 * b), float(rng.uniform(0, 360))), 255, -1)
    return _coverage(canvas, size)


def _canvas(size: tuple[int, int]) -> np.ndarray:
    return np.zeros((size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING), np.uint8)


def _coverage(canvas: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
