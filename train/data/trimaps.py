"""Trimaps given with a sample: as a user draws them, or as an overview leaves them for the second look."""

from typing import NamedTuple

import cv2
import numpy as np

_DAUBS = 4  # at most, of needlessly unknown places


class Given(NamedTuple):
    """A given trimap and its prior; float32 in [0, 1]."""

    trimap: np.ndarray  # 3, H, W: background, unknown, foreground, sum 1; or all 0: nothing is given
    prior: np.ndarray  # 1, H, W: an earlier alpha


def nothing(size: tuple[int, int]) -> Given:
    """For an image that the network sees for the first time."""
    return Given(np.zeros((3, *size), np.float32), np.zeros((1, *size), np.float32))


def of_a_user(rng: np.random.Generator, alpha: np.ndarray, weight: np.ndarray, max_width: int) -> Given:
    """A hard trimap that covers all that is soft, and more; the prior is derived from it.

    The band passes the soft pixels by another width to each side, and daubs of unknown lie anywhere, since a
    trimap from a person or from a mask is neither even nor tight. Where alpha is not trusted, all is unknown.

    Parameters
    ----------
    alpha, weight : (H, W) float32 in [0, 1]
    max_width : pixels by which the band passes the soft ones, at most
    """
    soft = (alpha > 0.01) & (alpha < 0.99)
    inside = alpha > 0.5
    outward, inward = rng.integers(1, max_width + 1, 2)
    far = _distance(soft | (cv2.dilate(inside.astype(np.uint8), np.ones((3, 3))) > inside))
    unknown = (far <= np.where(inside, inward, outward)) | (weight < 0.99) | _daubs(rng, alpha.shape)
    planes = np.stack([~unknown & ~inside, unknown, ~unknown & inside]).astype(np.float32)
    return Given(planes, _uninformed(planes))


def of_an_overview(rng: np.random.Generator, alpha: np.ndarray, weight: np.ndarray, max_width: int) -> Given:
    """What an overview at a fraction of this size might predict: blurred, wrong in places, strands missing.

    The band follows from that coarse alpha with a width of its own on each side, so that it does not cover every
    strand; planes are those of a network at 1/4, upsampled to full size.

    Parameters
    ----------
    alpha, weight : (H, W) float32 in [0, 1]
    max_width : pixels by which the band passes the coarse soft ones, at most
    """
    height, width = alpha.shape
    factor = float(np.exp(rng.uniform(np.log(1.2), np.log(6))))
    small = max(4, round(width / factor)), max(4, round(height / factor))
    coarse = cv2.resize(cv2.resize(alpha, small, interpolation=cv2.INTER_AREA), (width, height))
    coarse = cv2.GaussianBlur(coarse, (0, 0), factor * float(rng.uniform(0.2, 1.0)))
    gain, shift = float(np.exp(rng.uniform(0, 1))), float(rng.normal(0, 0.12))
    doubt = 4 * coarse * (1 - coarse)  # it is wrong at its soft places first
    noise = _smooth_noise(rng, alpha.shape, int(rng.integers(4, 24))) * min(float(rng.exponential(0.12)), 0.4)
    prior = np.clip((coarse - 0.5) * gain + 0.5 + shift * doubt + noise * (0.1 + doubt) * (coarse > 0.01), 0, 1)

    cells = (max(1, width // 4), max(1, height // 4))
    cell_alpha = cv2.resize(prior, cells, interpolation=cv2.INTER_AREA)
    inside = cell_alpha > 0.5
    soft = (cell_alpha > 0.08) & (cell_alpha < 0.92)
    outward, inward = rng.uniform(0.5, max_width / 4, 2)
    spread = 1 + 0.5 * _smooth_noise(rng, cell_alpha.shape, 6)
    edge = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3))) > inside
    unknown = _distance(soft | edge) <= np.where(inside, inward, outward) * np.maximum(spread, 0.2)
    planes = np.stack([~unknown & ~inside, unknown, ~unknown & inside], axis=-1).astype(np.float32)
    full = cv2.resize(planes, (width, height))  # H, W, 3
    full[..., 1] = np.maximum(full[..., 1], weight < 0.99)
    full[..., ::2] *= (1 - full[..., 1:2]) / np.maximum(full[..., ::2].sum(axis=2, keepdims=True), 1e-6)
    trimap = np.ascontiguousarray(full.transpose(2, 0, 1))
    trimap[1] = 1 - trimap[0] - trimap[2]
    return Given(trimap, prior[None].astype(np.float32))


def without_prior(given: Given) -> Given:
    """The same trimap with a prior that is derived from it."""
    return given._replace(prior=_uninformed(given.trimap))


def _uninformed(planes: np.ndarray) -> np.ndarray:
    """F + U/2 (1, H, W)"""
    return planes[2:] + planes[1:2] / 2


def _distance(where: np.ndarray) -> np.ndarray:
    """Pixels to the next True, (H, W) float32; far away everywhere if there is none."""
    if not where.any():
        return np.full(where.shape, np.inf, np.float32)
    return cv2.distanceTransform((~where).astype(np.uint8), cv2.DIST_L2, 3)


def _smooth_noise(rng: np.random.Generator, size: tuple[int, ...], cells: int) -> np.ndarray:
    """(H, W) float32 of variance about 1, smooth over 1/`cells` of the size."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    return cv2.resize(coarse, size[1::-1], interpolation=cv2.INTER_CUBIC)


def _daubs(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: up to `_DAUBS` disks."""
    canvas = np.zeros(size, np.uint8)
    for y, x, radius in rng.random((_DAUBS, 3)):
        if radius > 0.5:
            centre = round(x * size[1]), round(y * size[0])
            cv2.circle(canvas, centre, round((radius - 0.5) * 0.2 * min(size)), 1, cv2.FILLED)
    return canvas > 0
