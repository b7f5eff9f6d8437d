"""Drawn hair: thin strands with exact alpha on the outline of a cut-out.

Mattes that were made by an algorithm are smooth where hair is fine. Strands are drawn here as geometry, so that
their coverage of each pixel is known, and take their colour from the subject beneath.
"""

import cv2
import numpy as np

from train.data.compose import Layer, over

_SUPERSAMPLING = 4
_POINTS = 12  # of the polyline that a strand is
_REDUCTION = 4  # colours are spread at this fraction of the size


def add_hair(rng: np.random.Generator, layer: Layer, head: float = 0.35) -> Layer:
    """The layer with bundles of strands growing out of its outline.

    Parameters
    ----------
    layer : a person whose upper end is the head
    head : strands start within this upper share of the subject's height

    Returns
    -------
    The layer itself where there is no outline to grow from.
    """
    roots, outward = _outline(layer.alpha, head)
    if not len(roots):
        return layer
    height = float(np.ptp(np.nonzero(layer.alpha.max(axis=1) > 0.5)[0]) + 1)
    strands = np.concatenate([_bundle(rng, roots, outward, height) for _ in range(int(rng.integers(4, 20)))])
    coverage = _draw(rng, strands, layer.alpha.shape) * np.float32(rng.uniform(0.5, 1.0))
    return over(layer, Layer(_spread_colour(layer, 0.02 * height), coverage))


def _outline(alpha: np.ndarray, head: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) as x, y on the outline of the subject's upper part, and the directions out of it."""
    inside = (alpha > 0.5).astype(np.uint8)
    rows = np.nonzero(inside.any(axis=1))[0]
    if not len(rows):
        return np.empty((0, 2)), np.empty((0, 2))
    lowest = rows[0] + head * (rows[-1] - rows[0])
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(contours, key=len)[:, 0]
    width = alpha.shape[1]
    free = (points[:, 0] > 1) & (points[:, 0] < width - 2) & (points[:, 1] > 1) & (points[:, 1] < lowest)
    points = points[free]
    smooth = cv2.GaussianBlur(alpha, (0, 0), 3.0)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], axis=-1)
    outward = -slope[points[:, 1], points[:, 0]]
    return points.astype(np.float64), outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)


def _bundle(rng: np.random.Generator, roots: np.ndarray, outward: np.ndarray, height: float) -> np.ndarray:
    """Strands (S, points, 2) that share a place, a direction and a curl, each with a little of its own."""
    count = int(rng.integers(3, 30))
    first = int(rng.integers(len(roots)))
    spread = max(2, int(len(roots) * rng.uniform(0.01, 0.12)))
    picked = (first + rng.integers(0, spread, count)) % len(roots)
    length = height * rng.uniform(0.02, 0.16) * rng.uniform(0.3, 1.0, (count, 1))
    turn = rng.normal(0, 0.5) + rng.normal(0, 0.25, (count, 1))
    curl = rng.normal(0, 1.2) + rng.normal(0, 0.4, (count, 1))
    along = np.linspace(-0.25, 1, _POINTS)[None]  # from beneath the outline
    angle = np.arctan2(outward[picked, 1], outward[picked, 0])[:, None] + turn + curl * along
    step = length * (along[0, 1] - along[0, 0])
    path = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * step[..., None], axis=1)
    start = roots[picked] - 0.25 * length * outward[picked]
    sag = np.stack([np.zeros_like(angle), rng.uniform(0, 0.5) * length * np.maximum(along, 0) ** 2], axis=-1)
    return start[:, None] + path + sag


def _draw(rng: np.random.Generator, strands: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Coverage (H, W) float32 of strands that get thinner to their tips, by supersampling."""
    height, width = size
    canvas = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
    lines = np.rint((strands + 0.5) * _SUPERSAMPLING).astype(np.int32)
    base = float(rng.uniform(0.3, 1.3))  # pixels
    for end, share in ((_POINTS, 0.5), (2 * _POINTS // 3, 1.0)):
        thickness = max(1, round(base * share * _SUPERSAMPLING))
        cv2.polylines(canvas, list(lines[:, :end]), isClosed=False, color=255, thickness=thickness)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _spread_colour(layer: Layer, reach: float) -> np.ndarray:
    """(H, W, 3): the subject's colours, carried on past its outline by normalised blurring, near before far."""
    height, width = layer.alpha.shape
    small = (max(1, width // _REDUCTION), max(1, height // _REDUCTION))
    alpha = cv2.resize(layer.alpha, small, interpolation=cv2.INTER_AREA)
    premultiplied = cv2.resize(layer.colour * layer.alpha[..., None], small, interpolation=cv2.INTER_AREA)
    result = np.zeros_like(premultiplied)
    missing = np.ones_like(alpha)
    for sigma in (reach, 4 * reach, 16 * reach):
        blur = max(sigma / _REDUCTION, 0.5)
        weight = cv2.GaussianBlur(alpha, (0, 0), blur)
        share = missing * np.minimum(1, 20 * weight)
        result += (share / np.maximum(weight, 1e-4))[..., None] * cv2.GaussianBlur(premultiplied, (0, 0), blur)
        missing = missing - share
    return np.clip(cv2.resize(result, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
