"""Backgrounds drawn here, so that a composite needs nobody's image."""

from collections.abc import Callable

import cv2
import numpy as np

_LONG_SIDE = 960


def sunset(height: int, width: int, seed: int = 7) -> np.ndarray:
    """An evening sky over three ranges of hills, a little out of focus: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    stops = np.array([[38, 44, 98], [150, 84, 138], [246, 142, 92], [255, 208, 130]], np.float32)
    image = np.broadcast_to(_blend(stops, np.minimum(y * 1.45, 1)), (height, width, 3)).copy()
    distance = np.hypot((x - 0.72) * width, (y - 0.5) * height) / max(height, width)
    image += np.exp(-((distance / 0.16) ** 2)) * np.array([70, 62, 34], np.float32)
    for level, colour in ((0.58, (124, 78, 118)), (0.7, (78, 54, 98)), (0.83, (36, 32, 62))):
        image = np.where(y > _ridge(rng, width, level)[None, :, None], np.array(colour, np.float32), image)
    image = cv2.GaussianBlur(image, (0, 0), max(height, width) / 220)
    return _levels(image)


def studio(height: int, width: int) -> np.ndarray:
    """A grey paper wall, lit from the upper left, over a lighter floor: (H, W, 3) uint8."""
    x, y = _places(height, width)
    light = np.exp(-(((x - 0.38) / 0.62) ** 2) - ((y - 0.34) / 0.6) ** 2)[..., None]
    wall = _blend(np.array([[74, 80, 90], [142, 148, 156], [214, 215, 214]], np.float32), light)
    floor = 34 * _step(y, 0.78, 0.09)[..., None]
    return _levels(wall + floor)


def bokeh(height: int, width: int, seed: int = 11) -> np.ndarray:
    """Lights of a town at night, out of focus: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    x, y = _places(height, width)
    image = _blend(np.array([[10, 14, 34], [26, 26, 58], [54, 36, 58]], np.float32), y[..., None])
    colours = np.array([[255, 176, 92], [255, 126, 84], [120, 190, 255], [255, 226, 160], [214, 130, 255]])
    for _ in range(46):
        column, row = rng.uniform(-0.05, 1.05) * width, rng.normal(0.55, 0.17) * height
        radius = rng.uniform(0.02, 0.075) * max(height, width)
        light = colours[rng.integers(len(colours))] * rng.uniform(0.12, 0.55)
        box = _around(row, 1.1 * radius), _around(column, 1.1 * radius)
        distance = np.hypot(x[box] * width - column, y[box] * height - row) / radius
        disk = _step(distance, 1, -0.12) * (0.62 + 0.38 * np.clip(distance, 0, 1) ** 4)  # a brighter rim
        image[box] += disk[..., None] * light.astype(np.float32)
    return _levels(image)


def aurora(height: int, width: int) -> np.ndarray:
    """Soft colours that flow into each other: (H, W, 3) uint8."""
    x, y = _places(height, width)
    bent_x = x + 0.13 * np.sin(2.6 * np.pi * y + 0.6)
    bent_y = y + 0.11 * np.sin(2.2 * np.pi * x)
    spots = (
        ((0.05, 0.1), (94, 104, 240)),
        ((0.95, 0.05), (52, 190, 214)),
        ((0.1, 0.95), (246, 128, 170)),
        ((0.9, 0.9), (255, 198, 130)),
        ((0.5, 0.45), (168, 130, 240)),
    )
    near = np.stack([np.exp(-((bent_x - a) ** 2 + (bent_y - b) ** 2) / 0.11) for (a, b), _ in spots], axis=-1)
    colours = np.array([colour for _, colour in spots], np.float32)
    return _levels(near @ colours / near.sum(axis=-1, keepdims=True))


DRAWN: dict[str, Callable[[int, int], np.ndarray]] = {
    "sunset": sunset,
    "studio": studio,
    "bokeh": bokeh,
    "aurora": aurora,
}
"""Every background here by its name: height and width to an image."""


def checkerboard(height: int, width: int, cell: int = 12) -> np.ndarray:
    """The checkerboard that image editors show behind transparency: (H, W, 3) uint8."""
    y, x = np.arange(height)[:, None] // cell, np.arange(width) // cell
    levels = np.where((x + y) % 2, 204, 255).astype(np.uint8)
    return cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB)


def draw(name: str, height: int, width: int) -> np.ndarray:
    """One of `DRAWN` for an image of any size: (H, W, 3) uint8.

    None has detail that is finer than what is drawn at `_LONG_SIDE` pixels, so a larger one is a scaled one.
    """
    scale = min(1.0, _LONG_SIDE / max(height, width))
    image = DRAWN[name](max(1, round(height * scale)), max(1, round(width * scale)))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def _places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel in [0, 1]: (H, W) float32 each."""
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)
    return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))


def _around(centre: float, radius: float) -> slice:
    return slice(max(0, int(centre - radius)), max(0, int(centre + radius) + 2))


def _step(x: np.ndarray, edge: float, softness: float) -> np.ndarray:
    """A smooth step from 0 to 1 around `edge`; with negative softness from 1 to 0."""
    place = np.clip((x - edge) / softness + 0.5, 0, 1)
    return place * place * (3 - 2 * place)


def _levels(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def _blend(stops: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Colours at `place` (…, 1) in [0, 1] between equally spaced stops (n, 3)."""
    scaled = place * (len(stops) - 1)
    first = np.minimum(scaled.astype(int), len(stops) - 2)
    part = scaled - first
    return stops[first[..., 0]] * (1 - part) + stops[first[..., 0] + 1] * part


def _ridge(rng: np.random.Generator, width: int, level: float) -> np.ndarray:
    """Height of a chain of hills along the image, in [0, 1]: a few sine waves of random phase."""
    x = np.linspace(0, 2 * np.pi, width)
    waves = [np.sin(k * x + rng.uniform(0, 2 * np.pi)) / k for k in (1, 2, 3, 5, 8)]
    return (level + 0.035 * np.sum(waves, axis=0)).astype(np.float32)
