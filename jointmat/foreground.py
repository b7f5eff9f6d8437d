"""Clean foreground colours: what the subject looks like where the old background shines through.

A pixel at the edge of the hair is C = αF + (1 − α)B. Pasting C on a new background brings the old one along as a
fringe; pasting F does not.

`python -m train.studies.foreground` measures what each method leaves of the fringe.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np

from jointmat.errors import DependencyError, InputError, pip_install

Method: TypeAlias = Literal["fast", "ml"]
METHODS: tuple[Method, ...] = get_args(Method)

_WINDOWS = (64, 12)
"""of the two passes, pixels; with the published 90 and 6 the error on portraits is 8 % larger"""
_REDUCED = (8, 4)
"""Each pass runs on a copy smaller by this, since an average over its window needs no more: 10 times faster."""
_ROW = 1024
_EPSILON = 1e-5
"""weight of the colour taken where no foreground (or background) is near"""


def estimate_foreground(image: np.ndarray, alpha: np.ndarray, method: Method = "fast") -> np.ndarray:
    """The colours that the subject has by itself.

    Parameters
    ----------
    image : (H, W, 3) uint8
    alpha : (H, W) float32 in [0, 1]
    method : "fast": blur fusion in two passes (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021)
        "ml": multi-level estimation (Germer et al., "Fast Multi-Level Foreground Estimation", ICPR 2020) by
        pymatting, some twenty times slower

    Returns
    -------
    (H, W, 3) uint8; the image itself where alpha is 1. With "fast", far from any foreground its mean colour, so
    that a cut-out does not carry the removed background along under transparent pixels

    Raises
    ------
    InputError
        for an unknown method.
    DependencyError
        if the package of the method is not there.
    """
    if method == "fast":
        return _blur_fusion(image, alpha)
    if method == "ml":
        return _multi_level(image, alpha)
    raise InputError(f"method={method!r}: expected {' or '.join(METHODS)}")


def known_and_mixed(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a matte (H, W) float32 is 1 in 8 bits, (H, W) uint8 of 0 and 255, and the places, in the flattened
    matte, of what is neither 0 nor 1."""
    levels = cv2.convertScaleAbs(alpha, alpha=255)
    mixed = cv2.inRange(levels, 1, 254).view(bool)  # places of bytes would take seven times as long to find
    return cv2.inRange(levels, 255, 255), np.flatnonzero(mixed)


def box_of(alpha: np.ndarray, margin: int = 0) -> tuple[slice, slice]:
    """The box around what a matte (H, W) float32 has above one level of 255, and `margin` pixels on each side.

    Returns
    -------
    its rows and its columns; all of them for an empty matte
    """
    above = cv2.convertScaleAbs(alpha, alpha=127)  # rounds to 0 up to half of 1/127, about a level
    left, top, width, height = cv2.boundingRect(above)
    if not width:
        left, top, width, height = 0, 0, alpha.shape[1], alpha.shape[0]
    return slice(max(0, top - margin), top + height + margin), slice(max(0, left - margin), left + width + margin)


def plain(colour: Sequence[int] | np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A picture of one colour, (H, W, 3) uint8; three times faster by rows than by pixels, as np.full does it."""
    row = np.broadcast_to(np.asarray(colour, np.uint8), (size[1], 3)).copy()
    return np.broadcast_to(row, (*size[:2], 3)).copy()


def _blur_fusion(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Equations 3–5 in the box around the subject that the windows reach out of; beyond it the mean colour."""
    box = _around(alpha)
    inside = np.ascontiguousarray(image[box]), np.ascontiguousarray(alpha[box])
    foreground, background, mean = _small_averages(*inside)
    fused = _at_full_size(*inside, foreground, background)
    if fused.shape == image.shape:
        return fused
    result = plain(_levels(mean), image.shape)
    result[box] = fused
    return result


def fringe(
    image: np.ndarray, alpha: np.ndarray
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a composite needs of `estimate_foreground`, whose colours are the image's own but for mixed pixels.

    Parameters
    ----------
    image, alpha : as of `estimate_foreground`

    Returns
    -------
    the box around the subject, as rows and columns (h, w); in it the opaque pixels (h, w) uint8 of 0 and 255, the
    places of the N mixed ones in the flattened box, their foreground (N, 3) float32 in levels, not rounded, and
    their alpha (N, 1)
    """
    box = _around(alpha)
    image, alpha = np.ascontiguousarray(image[box]), np.ascontiguousarray(alpha[box])
    foreground, background, _ = _small_averages(image, alpha)
    opaque, mixed = known_and_mixed(alpha)
    observed = image.reshape(-1, 3).take(mixed, axis=0).astype(np.float32)
    around, behind = _sampled([foreground, background], mixed, alpha.shape)
    weight = alpha.reshape(-1, 1).take(mixed, axis=0)
    return box, opaque, mixed, _explained(observed, around, behind, weight), weight


def _sampled(planes: Sequence[np.ndarray], places: np.ndarray, size: tuple[int, ...]) -> list[np.ndarray]:
    """Small planes (h, w, 3) float32, between their pixels linearly, at places of the flattened full size (H, W):
    (N, 3) each, without enlarging the rest."""
    count = len(places)
    padded = np.zeros((-(-count // _ROW), _ROW), places.dtype)  # OpenCV remaps to rows of a limited length
    padded.reshape(-1)[:count] = places
    rows = padded // size[1]
    columns = padded - rows * size[1]
    height, width = planes[0].shape[:2]
    x = (columns.astype(np.float32) + 0.5) * np.float32(width / size[1]) - 0.5
    y = (rows.astype(np.float32) + 0.5) * np.float32(height / size[0]) - 0.5
    at: list[np.ndarray] = []
    for plane in planes:
        found = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) if count else plane
        at.append(found.reshape(-1, 3)[:count])
    return at


def _around(alpha: np.ndarray) -> tuple[slice, slice]:
    """The box around the subject that the windows reach out of."""
    rows, columns = box_of(alpha, _WINDOWS[0] // 2)
    return _divisible(rows, alpha.shape[0]), _divisible(columns, alpha.shape[1])


def _divisible(part: slice, length: int) -> slice:
    """A part of a side that holds `part`, of a length that all of `_REDUCED` divide, if the side has as much:
    reduced by a whole number, a picture takes a fifth of the time."""
    size = min(-(-(min(part.stop, length) - part.start) // _REDUCED[0]) * _REDUCED[0], length)
    start = min(part.start, length - size)
    return slice(start, start + size)


def _small_averages(image: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equations 3–5: F and B are the colours around, averaged with the weights α and 1 − α, and the foreground
    then takes up what the composite leaves unexplained. A pass with a wide window fills in far from known
    foreground, a second one with a narrow window restores local colour.

    Returns
    -------
    the averages F and B around each pixel (h, w, 3) float32, at the size reduced by the last of `_REDUCED`; and
    the mean colour of F (3,) float32
    """
    averages: tuple[np.ndarray, np.ndarray] | None = None
    for window, factor in zip(_WINDOWS, _REDUCED, strict=True):
        height, width = (max(1, round(side / factor)) for side in alpha.shape)
        observed: np.ndarray = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        weight = cv2.merge([cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)] * 3)
        foreground = background = observed
        if averages:
            around, background = (cv2.resize(x, (width, height)) for x in averages)
            foreground = _explained(observed, around, background, weight)
        mean = _mean_colour(observed, weight)
        averages = _averages(observed, foreground, background, weight, mean, window // factor)
    assert averages is not None
    return (*averages, mean)


def _mean_colour(observed: np.ndarray, weight: np.ndarray) -> np.ndarray:
    presence = weight + np.float32(_EPSILON)
    return np.divide(cv2.mean(observed * presence)[:3], cv2.mean(presence)[:3]).astype(np.float32)


def _averages(
    observed: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    window: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Equations 3 and 4; where there is no foreground in the window, its mean, and no background, the image."""
    smooth_weight = _box(weight, window)
    smooth_foreground = (_box(foreground * weight, window) + _EPSILON * mean) / (smooth_weight + _EPSILON)
    rest = 1 - weight
    smooth_background = _box(background * rest, window) + _EPSILON * observed
    smooth_background /= 1 + _EPSILON - smooth_weight
    return smooth_foreground, smooth_background


def _explained(
    observed: np.ndarray, foreground: np.ndarray, background: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Equation 5, F ← F + α(C − αF − (1 − α)B), in levels of 0 to 255."""
    residual = observed - background - weight * (foreground - background)
    return np.clip(foreground + weight * residual, 0, 255)


def _at_full_size(
    image: np.ndarray, alpha: np.ndarray, foreground: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Equation 5 at the pixels that are mixtures; the rest is known."""
    size = alpha.shape[1], alpha.shape[0]
    around, behind = cv2.resize(_levels(foreground), size), cv2.resize(_levels(background), size)
    opaque, mixed = known_and_mixed(alpha)
    result = cv2.copyTo(image, opaque, around)
    observed, around, behind = (
        x.reshape(-1, 3).take(mixed, axis=0).astype(np.float32) for x in (image, around, behind)
    )
    weight = alpha.reshape(-1, 1).take(mixed, axis=0)
    result.reshape(-1, 3)[mixed] = _levels(_explained(observed, around, behind, weight))
    return result


def _multi_level(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    try:
        from pymatting import estimate_foreground_ml
    except ImportError as error:
        raise DependencyError(f"method='ml' needs pymatting: {pip_install('foreground')}") from error
    height, width = alpha.shape
    # pymatting fails below 2 × 2 pixels.
    border = 0, max(0, 2 - height), 0, max(0, 2 - width)
    observed = cv2.copyMakeBorder(image, *border, cv2.BORDER_REPLICATE) / 255
    weight = cv2.copyMakeBorder(alpha, *border, cv2.BORDER_REPLICATE)
    return _levels(estimate_foreground_ml(observed, weight.astype(np.float64))[:height, :width] * 255)


def _box(x: np.ndarray, window: int) -> np.ndarray:
    return cv2.blur(x, (window, window), borderType=cv2.BORDER_REPLICATE)


def _levels(x: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(x, 0, 255)).astype(np.uint8)
