"""From a photo and a coarse mask to an alpha and the confidence in it.

Closed-form matting needs a colour line in every small window and, to tell one end of it from the other, known
pixels nearby. Where subject and background share colours it answers anything between 0 and 1, confidently wrong.
So the mask takes part as a soft constraint, weak where the colours on both sides separate and firm where they
do not, and the same measure is handed on as confidence.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from jointmat.errors import InputError

_NOISE = 0.02  # of a colour in [0, 1]: two colours closer than this do not separate, however even they are
_EPSILON = 1e-5  # regularisation of the matting Laplacian; 1e-7 follows JPEG noise
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # channels, of a symmetric 3x3 matrix


@dataclass(frozen=True)
class PseudoSettings:
    """Lengths are shares of the photo's long side."""

    band: float = 0.012
    """How far inside of the mask's edge alpha is unknown; outside it is twice as far, for masks cut hair off."""
    blur: float = 0.003
    """Standard deviation of the blur that makes the mask a soft constraint."""
    reach: float = 0.018
    """Standard deviation of the windows in which colours are compared."""
    separated: float = 6.0
    """Separation, in standard deviations, from which confidence is 1."""
    weak: float = 1e-3
    """Weight of the mask where confidence is 1, relative to the matting Laplacian."""
    firm: float = 1.0
    """Weight of the mask where confidence is 0."""


class PseudoAlpha(NamedTuple):
    """All (H, W) float32 in [0, 1]."""

    alpha: np.ndarray
    confidence: np.ndarray
    """1 outside of the band"""
    soft_mask: np.ndarray
    """the blurred mask, which alpha falls back on"""
    band: np.ndarray
    """(H, W) bool: where alpha was unknown"""


def pseudo_alpha(image: np.ndarray, mask: np.ndarray, settings: PseudoSettings | None = None) -> PseudoAlpha:
    """Alpha in a band along the edge of a coarse mask.

    Parameters
    ----------
    image : (H, W, 3) uint8
    mask : (H, W) bool

    Raises
    ------
    InputError
        if sizes differ, or the mask leaves nothing to be known of one side, so that there is nothing to tell.
    """
    if image.shape[:2] != mask.shape:
        raise InputError(f"photo is {image.shape[:2]} and mask {mask.shape}: expected one size")
    settings = settings or PseudoSettings()
    long_side = max(mask.shape)
    trimap = band_of(mask, settings.band * long_side)
    band = trimap == 128
    if not (band.any() and (trimap == 0).any() and (trimap == 255).any()):
        raise InputError("the mask has no inside or no outside beyond the band: nothing to compare colours with")
    colours = image.astype(np.float32) / 255
    separation = colour_separation(colours, trimap == 255, trimap == 0, settings.reach * long_side)
    confidence = np.where(band, np.clip(separation / settings.separated, 0, 1), 1).astype(np.float32)
    soft_mask = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), settings.blur * long_side)
    trust = settings.firm ** (1 - confidence) * settings.weak**confidence
    return PseudoAlpha(solve(colours, trimap, soft_mask, trust), confidence, soft_mask, band)


def band_of(mask: np.ndarray, width: float) -> np.ndarray:
    """Trimap (H, W) uint8 of 0, 128, 255: unknown up to `width` pixels inside of the edge, twice that outside."""
    inside = mask.astype(np.uint8)
    inward = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outward = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.select([inward > width, outward > 2 * width], [255, 0], 128).astype(np.uint8)


def colour_separation(
    image: np.ndarray, foreground: np.ndarray, background: np.ndarray, sigma: float
) -> np.ndarray:
    """How far apart the colours on both sides are near each pixel, in their standard deviations: (H, W).

    Fisher's criterion |μF − μB| / (σF + σB) along the line between the two means, with Gaussian windows.

    Parameters
    ----------
    image : (H, W, 3) float32 in [0, 1]
    foreground, background : (H, W) bool, the pixels that are known
    """
    mean_f, second_f = _moments(image, foreground, sigma)
    mean_b, second_b = _moments(image, background, sigma)
    difference = mean_f - mean_b
    distance = np.linalg.norm(difference, axis=2)
    line = difference / np.maximum(distance, 1e-6)[..., None]
    spread = _spread(mean_f, second_f, line) + _spread(mean_b, second_b, line)
    return distance / (spread + _NOISE)


def solve(image: np.ndarray, trimap: np.ndarray, prior: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """argmin αᵀLα + Σ trustᵢ(αᵢ − priorᵢ)² with α fixed where the trimap is known.

    L is the matting Laplacian of Levin, Lischinski & Weiss, "A Closed-Form Solution to Natural Image Matting",
    PAMI 2008 (eq. 12), whose constraints (eq. 13) are soft here.
    """
    from pymatting import cf_laplacian, cg, ichol
    from scipy import sparse

    alpha = (trimap == 255).astype(np.float32)
    rows, columns = (_extent(trimap == 128, axis) for axis in (1, 0))
    part = np.s_[rows, columns]
    known = (trimap[part] != 128).ravel()
    unknown = ~known
    laplacian = cf_laplacian(image[part].astype(np.float64), epsilon=_EPSILON, is_known=known)[unknown]
    weights = trust[part].ravel()[unknown].astype(np.float64)
    system = (laplacian[:, unknown] + sparse.diags(weights)).tocsr()
    given = alpha[part].ravel()[known].astype(np.float64)
    right = weights * prior[part].ravel()[unknown] - laplacian[:, known] @ given
    inside = alpha[part]
    inside[~known.reshape(inside.shape)] = np.clip(cg(system, right, M=ichol(system)), 0, 1)
    return alpha


def _moments(image: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour (H, W, 3) and mean products of channels (H, W, 6) of the known pixels around."""
    weight = known.astype(np.float32)[..., None]
    products = np.stack([image[..., a] * image[..., b] for a, b in _PAIRS], axis=-1)
    count = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None] + np.float32(1e-6)
    return tuple(  # type: ignore[return-value]
        np.dstack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in cv2.split(x * weight)]) / count
        for x in (image, products)
    )


def _spread(mean: np.ndarray, second: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Standard deviation of the colours along `line` (H, W, 3, unit length): (H, W)."""
    square = sum(
        (1 if a == b else 2) * second[..., i] * line[..., a] * line[..., b] for i, (a, b) in enumerate(_PAIRS)
    )
    return np.sqrt(np.maximum(square - (mean * line).sum(axis=2) ** 2, 0))


def _extent(region: np.ndarray, axis: int, margin: int = 2) -> slice:
    """The rows (axis 1) or columns (axis 0) that a region covers, and a few more."""
    where = np.flatnonzero(region.any(axis=axis))
    return slice(max(0, int(where[0]) - margin), int(where[-1]) + 1 + margin)
