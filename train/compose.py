"""Composites with exact alpha: foregrounds over backgrounds.

C = αF + (1 − α)B. A layer is float32 RGB in [0, 1] with its alpha; F is the clean foreground colour, never the
photo, whose fringe holds the old background.
"""

from typing import NamedTuple

import cv2
import numpy as np


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
    picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int], border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """The part of `picture` that a 2×3 matrix maps to a window of `size` (height, width), anti-aliased."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.5:  # the bilinear kernel would skip pixels: reduce by area first
        factor = 2 * scale
        reduced = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        fx, fy = reduced.shape[1] / picture.shape[1], reduced.shape[0] / picture.shape[0]
        picture, matrix = reduced, matrix / np.array([[fx, fy, 1.0]])
    return cv2.warpAffine(picture, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=border)


def random_window(
    rng: np.random.Generator,
    picture_size: tuple[int, int],
    size: tuple[int, int],
    zoom: tuple[float, float],
    rotation: float,
    inside: tuple[bool, bool, bool, bool] = (True, True, True, True),
) -> np.ndarray:
    """A random 2×3 matrix from a picture to a window.

    Parameters
    ----------
    picture_size, size : (height, width) of the picture and of the window
    zoom : range of the window's extent relative to the largest window that fits in the picture; above 1 the
        picture is smaller than the window, as far as `inside` allows
    rotation : standard deviation, degrees
    inside : left, top, right, bottom: sides of the picture that the window should not look past, because the
        subject is cut off there
    """
    height, width = picture_size
    fit = min(height / size[0], width / size[1])  # picture pixels per window pixel at zoom 1
    step = fit * float(np.exp(rng.uniform(*np.log(zoom))))
    left, top, right, bottom = inside
    if left and right:
        step = min(step, width / size[1])
    if top and bottom:
        step = min(step, height / size[0])
    x = _place(rng, width, step * size[1], left, right)
    y = _place(rng, height, step * size[0], top, bottom)
    angle = np.deg2rad(rng.normal(0, rotation))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle) / step, np.sin(angle) / step
    linear = np.array([[flip * cos, sin], [-flip * sin, cos]])
    centre = np.array([x, y])
    middle = np.array([size[1] / 2, size[0] / 2])
    return np.hstack([linear, (middle - linear @ centre)[:, None]])


def _place(rng: np.random.Generator, length: float, extent: float, low: bool, high: bool) -> float:
    """Centre of a stretch of `extent` on [0, length]: free to hang over an end that is not to be kept."""
    spare = length - extent
    slack = 0.4 * extent
    first = 0.0 if low else -slack
    last = spare if high else spare + slack
    if first > last:  # the stretch is longer than what it must stay in: keep the end that must be kept
        start = spare if high and not low else 0.0 if low and not high else spare / 2
    else:
        start = rng.uniform(first, last)
    return start + extent / 2
