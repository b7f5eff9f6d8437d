"""Clean foreground colours: what the subject looks like where the old background shines through.

A pixel at the edge of the hair is C = αF + (1 − α)B. Pasting C on a new background brings the old one along as a
fringe; pasting F does not.
"""

import cv2
import numpy as np

_EPSILON = 1e-5  # weight of the colour taken where no foreground (or background) is near


def estimate_foreground(image: np.ndarray, alpha: np.ndarray, radii: tuple[int, int] = (90, 6)) -> np.ndarray:
    """Foreground colours by blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021).

    F and B start as the colours around, averaged with weights α and 1 − α; the foreground then takes up what
    the composite leaves unexplained, F ← F + α(C − αF − (1 − α)B) (eq. 5). A pass with a wide window fills in
    far from known foreground, a second one with a narrow window restores local colour.

    Parameters
    ----------
    image : (H, W, 3) uint8
    alpha : (H, W) float32 in [0, 1]
    radii : window widths of the two passes, pixels

    Returns
    -------
    (H, W, 3) uint8; where no foreground is near, its mean colour, so that a cut-out does not carry the removed
    background along under transparent pixels
    """
    observed = image.astype(np.float32) / 255
    weight = alpha.astype(np.float32)[..., None]
    presence = weight + np.float32(_EPSILON)
    mean = np.array(cv2.mean(observed * presence)[:3], np.float32) / np.float32(cv2.mean(presence)[0])
    foreground = background = observed
    for radius in radii:
        foreground, background = _fuse(observed, foreground, background, weight, radius, mean)
    return np.rint(foreground * 255).astype(np.uint8)


def _fuse(
    observed: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    alpha: np.ndarray,
    radius: int,
    mean: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """One pass of blur fusion, equations 3–5."""
    smooth_alpha = _box(alpha, radius)[..., None]
    smooth_foreground = (_box(foreground * alpha, radius) + _EPSILON * mean) / (smooth_alpha + _EPSILON)
    smooth_background = (_box(background * (1 - alpha), radius) + _EPSILON * observed) / (
        1 - smooth_alpha + _EPSILON
    )
    residual = observed - alpha * smooth_foreground - (1 - alpha) * smooth_background
    return np.clip(smooth_foreground + alpha * residual, 0, 1), smooth_background


def _box(x: np.ndarray, radius: int) -> np.ndarray:
    return cv2.blur(x, (radius, radius), borderType=cv2.BORDER_REPLICATE)
