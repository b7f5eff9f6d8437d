"""Composites with exact alpha: foregrounds over backgrounds.

C = αF + (1 − α)B. A layer is float32 RGB in [0, 1] with its alpha; F is the clean foreground colour, never the
photo, whose fringe holds the old background.
"""

from typing import NamedTuple

import cv2
import numpy as np

from train.data.decoded import Pyramid


class Layer(NamedTuple):
    """A foreground and how much of it is seen."""

    colour: np.ndarray  # H, W, 3 float32 in [0, 1]
    alpha: np.ndarray  # H, W float32 in [0, 1]


def over(front: Layer, back: Layer) -> Layer:
    """`front` over `back` (Porter & Duff, 1984): α = α₁ + α₂(1 − α₁), αF = α₁F₁ + α₂(1 − α₁)F₂."""
    behind = back.alpha * (1 - front.alpha)
    alpha = front.alpha + behind
    premultiplied = front.colour * front.alpha[..., None] + back.colour * behind[..., None]
    colour = premultiplied / np.maximum(alpha, 1e-6)[..., None]
    return Layer(np.where(alpha[..., None] > 0, colour, front.colour), alpha)


def composite(layer: Layer, background: np.ndarray) -> np.ndarray:
    """C = αF + (1 − α)B: (H, W, 3) float32 in [0, 1]."""
    return background + layer.alpha[..., None] * (layer.colour - background)


def window(
    levels: Pyramid, matrix: np.ndarray, size: tuple[int, int], border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """The part of an image that a 2×3 matrix maps to a window of `size` (height, width), anti-aliased.

    It is taken from the level of the pyramid that is at most twice as large, and only from the pixels that it
    shows.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    number = int(np.clip(np.floor(-np.log2(scale)), 0, len(levels) - 1))
    image = levels[number]
    factor = np.array([levels[0].shape[1] / image.shape[1], levels[0].shape[0] / image.shape[0]])
    matrix = np.hstack([matrix[:, :2] * factor, matrix[:, 2:] + (matrix[:, :2] @ (factor - 1) / 2)[:, None]])
    corners = np.array([[0, 0], [size[1], 0], [0, size[0]], [size[1], size[0]]], float) - matrix[:, 2]
    seen = corners @ np.linalg.inv(matrix[:, :2]).T
    limits = np.array([image.shape[1], image.shape[0]])
    first = np.clip(np.floor(seen.min(axis=0)).astype(int) - 2, 0, limits - 1)
    last = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 3, first + 1, limits)
    part = np.ascontiguousarray(image[first[1] : last[1], first[0] : last[0]])
    moved = np.hstack([matrix[:, :2], matrix[:, 2:] + (matrix[:, :2] @ first)[:, None]])
    return cv2.warpAffine(part, moved, size[::-1], flags=cv2.INTER_LINEAR, borderMode=border)


def random_window(
    rng: np.random.Generator,
    image_size: tuple[int, int],
    size: tuple[int, int],
    zoom: tuple[float, float],
    rotation: float,
    inside: tuple[bool, bool, bool, bool] = (True, True, True, True),
    around: tuple[float, float] | None = None,
) -> np.ndarray:
    """A random 2×3 matrix from an image to a window.

    Parameters
    ----------
    image_size, size : (height, width) of the image and of the window
    zoom : range of the window's extent relative to the largest window that fits in the image; above 1 the
        image is smaller than the window, as far as `inside` allows
    rotation : standard deviation, degrees
    inside : left, top, right, bottom: sides of the image that the window should not look past, because the
        subject is cut off there
    around : (x, y) to bring to the window's middle, as far as `inside` allows; None for anywhere
    """
    height, width = image_size
    fit = min(height / size[0], width / size[1])  # image pixels per window pixel at zoom 1
    step = fit * float(np.exp(rng.uniform(*np.log(zoom))))
    left, top, right, bottom = inside
    if left and right:
        step = min(step, width / size[1])
    if top and bottom:
        step = min(step, height / size[0])
    at_x, at_y = around or (None, None)
    x = _place(rng, width, step * size[1], left, right, at_x)
    y = _place(rng, height, step * size[0], top, bottom, at_y)
    angle = np.deg2rad(rng.normal(0, rotation))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle) / step, np.sin(angle) / step
    linear = np.array([[flip * cos, sin], [-flip * sin, cos]])
    centre = np.array([x, y])
    middle = np.array([size[1] / 2, size[0] / 2])
    return np.hstack([linear, (middle - linear @ centre)[:, None]])


def soft_pixel(rng: np.random.Generator, alpha: Pyramid) -> tuple[float, float] | None:
    """(x, y) of a random soft pixel of an alpha (H, W) uint8, None if it has none.

    A window around it is the crop on unknown of Deep Image Matting (Xu et al., CVPR 2017).
    """
    coarse = alpha[min(1, len(alpha) - 1)]
    soft = np.flatnonzero((coarse > 12) & (coarse < 243))
    if not len(soft):
        return None
    y, x = np.unravel_index(soft[int(rng.integers(len(soft)))], coarse.shape)
    factor = alpha[0].shape[0] / coarse.shape[0]
    return float(factor * x), float(factor * y)


def blob(rng: np.random.Generator, size: tuple[int, int], extent: tuple[float, float]) -> np.ndarray:
    """Coverage (H, W) float32 of a smooth random shape with a sharp edge: an object's outline.

    extent : range of its radius as a share of the shorter side
    """
    height, width = size
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones_like(angles)
    for wave in range(2, 6):
        radius += rng.normal(0, 0.25 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    radius *= min(size) * rng.uniform(*extent)
    stretch = np.exp(rng.normal(0, 0.4))
    x = rng.uniform(0, width) + radius * np.cos(angles) * stretch
    y = rng.uniform(0, height) + radius * np.sin(angles) / stretch
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    cv2.fillPoly(canvas, [np.rint(2 * np.stack([x, y], axis=-1)).astype(np.int32)], 255)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _place(
    rng: np.random.Generator, length: float, extent: float, low: bool, high: bool, wanted: float | None
) -> float:
    """Centre of a stretch of `extent` on [0, length]: free to hang over an end that is not to be kept."""
    spare = length - extent
    slack = 0.25 * extent
    first = 0.0 if low else -slack
    last = spare if high else spare + slack
    if first > last:  # the stretch is longer than what it must stay in: keep the end that must be kept
        start = spare if high and not low else 0.0 if low and not high else spare / 2
    elif wanted is None:
        start = rng.uniform(first, last)
    else:
        start = min(max(wanted - extent / 2, first), last)
    return start + extent / 2
