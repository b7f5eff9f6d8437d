"""Clean foreground colours: the subject's own colours where the old background shines through.

A pixel at the edge of the hair is C = αF + (1 − α)B. Pasting C on a new background brings the old one along as a
fringe; pasting F does not.

`python -m train.studies.foreground` measures what each method leaves of the fringe.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import cv2
import numpy as np

from jointmat.errors import DependencyError, InputError, pip_install
from jointmat.ops.planes import Planes, channels_of, in_one, sampled

Method: TypeAlias = Literal["fast", "ml"]
METHODS: tuple[Method, ...] = get_args(Method)

_WINDOWS = (64, 12)
"""of the two passes, pixels; with the published 90 and 6 the error on portraits is 8 % larger"""
_REDUCED = (8, 4)
"""Each pass runs on a copy smaller by this, since an average over its window needs no more: 10 times faster."""
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
    """The box around all pixels of a matte (H, W) float32 above 1/255, with `margin` pixels on each side.

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
    """An image of one colour, (H, W, 3) uint8; three times faster by rows than by pixels, as np.full does it."""
    row = np.broadcast_to(np.asarray(colour, np.uint8), (size[1], 3)).copy()
    return np.broadcast_to(row, (*size[:2], 3)).copy()


class Fringe(NamedTuple):
    """The colours of one plane that a composite cannot take from the image: those of mixed pixels."""

    box: tuple[slice, slice]
    """rows and columns (h, w) around the subject; the rest is background"""
    opaque: np.ndarray
    """(h, w) uint8 of 0 and 255"""
    mixed: np.ndarray
    """(N,) places in the flattened box"""
    foreground: np.ndarray
    """(N, C) float32 of these, in levels, not rounded"""
    share: np.ndarray
    """(N, 1) float32, alpha of these"""


def fringes(planes: Planes, alpha: np.ndarray) -> Iterator[Fringe]:
    """For every plane, the colours of `estimate_foreground` where they are not the image's own.

    Parameters
    ----------
    planes : uint8, see `Planes`
    alpha : (H, W) float32 in [0, 1], of the size of the first plane
    """
    box = _around(alpha)
    boxes = [_scaled_box(box, alpha.shape[0] // plane.shape[0]) for plane in planes]
    inside = [np.ascontiguousarray(plane[at]) for plane, at in zip(planes, boxes, strict=True)]
    alpha = np.ascontiguousarray(alpha[box])
    *averages, _ = _small_averages(inside, alpha)
    for plane, at, channels in zip(inside, boxes, channels_of(planes), strict=True):
        if plane.shape[:2] != alpha.shape:
            alpha = cv2.resize(alpha, plane.shape[1::-1], interpolation=cv2.INTER_AREA)
        opaque, mixed = known_and_mixed(alpha)
        observed = plane.reshape(-1, plane.shape[2]).take(mixed, axis=0).astype(np.float32)
        own = [np.ascontiguousarray(average[..., channels]) for average in averages]
        around, behind = (sampled(average, mixed, alpha.shape) for average in own)
        share = alpha.reshape(-1, 1).take(mixed, axis=0)
        yield Fringe(at, opaque, mixed, _explained(observed, around, behind, share), share)


def _blur_fusion(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Equations 3–5 in the box around the subject that the windows reach out of; beyond it the mean colour."""
    box = _around(alpha)
    inside, weight = np.ascontiguousarray(image[box]), np.ascontiguousarray(alpha[box])
    foreground, background, mean = _small_averages([inside], weight)
    fused = _at_full_size(inside, weight, foreground, background)
    if fused.shape == image.shape:
        return fused
    result = plain(_levels(mean), image.shape)
    result[box] = fused
    return result


def _around(alpha: np.ndarray) -> tuple[slice, slice]:
    """The box around the subject that the windows reach out of."""
    rows, columns = box_of(alpha, _WINDOWS[0] // 2)
    return _divisible(rows, alpha.shape[0]), _divisible(columns, alpha.shape[1])


def _scaled_box(box: tuple[slice, slice], factor: int) -> tuple[slice, slice]:
    rows, columns = (slice(part.start // factor, part.stop // factor) for part in box)
    return rows, columns


def _divisible(part: slice, length: int) -> slice:
    """A part of a side that holds `part`, from an even place, of a length that all of `_REDUCED` divide, if the
    side has as much: reduced by a whole number, an image takes a fifth of the time."""
    start = part.start - part.start % 2
    size = min(-(-(min(part.stop, length) - start) // _REDUCED[0]) * _REDUCED[0], length)
    start = min(start, (length - size) & ~1)
    return slice(start, start + size)


def _small_averages(planes: Planes, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equations 3–5: F and B are the colours around, averaged with the weights α and 1 − α, and the foreground
    then takes up what the composite leaves unexplained. A pass with a wide window fills in far from known
    foreground, a second one with a narrow window restores local colour.

    Returns
    -------
    the averages F and B around each pixel (h, w, 3) float32, the channels of all planes, at the size reduced by
    the last of `_REDUCED`; and the mean colour of F (3,) float32
    """
    averages: tuple[np.ndarray, np.ndarray] | None = None
    copies = _reduced_copies(planes, alpha)
    for window, factor, (observed, weight) in zip(_WINDOWS, _REDUCED, copies, strict=True):
        foreground = background = observed
        if averages:
            around, background = (cv2.resize(x, observed.shape[1::-1]) for x in averages)
            foreground = _explained(observed, around, background, weight)
        mean = _mean_colour(observed, weight)
        averages = _averages(observed, foreground, background, weight, mean, window // factor)
    assert averages is not None
    return (*averages, mean)


def _reduced_copies(planes: Planes, alpha: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Colours and weights (h, w, 3) float32, averaged over squares of `_REDUCED`, each from the one before."""
    copies: list[tuple[np.ndarray, np.ndarray]] = []
    full = alpha.shape
    for factor in reversed(_REDUCED):
        size = max(1, round(full[0] / factor)), max(1, round(full[1] / factor))
        planes, alpha = [in_one(planes, size)], cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_AREA)
        copies.insert(0, (planes[0].astype(np.float32), cv2.merge([alpha] * 3)))
    return copies


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
