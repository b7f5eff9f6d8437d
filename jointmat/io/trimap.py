"""The levels of a trimap, however a program has written them."""

import warnings

import cv2
import numpy as np

from jointmat.errors import InputError, JointmatWarning
from jointmat.io.arrays import in_colour

# Classes 0, 1 and 2 in the palette of Pascal VOC, which label tools write.
_LABELS = {(0, 0, 0): 0, (128, 0, 0): 128, (0, 128, 0): 255}
_NAMED = 6  # levels in a message
_EXPECTED = "expected grey: 0 background, 128 unknown, 255 foreground"


def trimap_levels(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """0 background, 128 unknown, 255 foreground.

    Understood are grey levels, 0 below 85, 255 from 170 on and 128 between; the class numbers 0, 1, 2; a mask of
    0 and 1; the first three colours of Pascal VOC; and each grey coding as the alpha channel of a black image.

    Parameters
    ----------
    rgb, alpha : (H, W, 3) and (H, W) uint8; what is transparent is background

    Returns
    -------
    (H, W) uint8 of 0, 128 and 255

    Raises
    ------
    InputError
        for colours, and for levels that would all be background.

    Warns
    -----
    JointmatWarning
        if nothing is unknown: then alpha is the trimap itself.
    """
    if alpha is not None:
        rgb = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB) if not rgb.any() else _over_black(rgb, alpha)
    trimap = _labels(rgb) if in_colour(rgb) else _grey(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    if not (trimap == 128).any():
        warnings.warn("trimap: nothing is unknown, so alpha is the trimap itself", JointmatWarning, stacklevel=2)
    return trimap


def _grey(levels: np.ndarray) -> np.ndarray:
    coarse = levels.max() <= 2
    middle, top = (1, 1 + int(levels.max() == 2)) if coarse else (85, 170)
    trimap = np.full(levels.shape, 128, np.uint8)
    trimap[levels < middle] = 0
    trimap[levels >= top] = 255
    if not trimap.any():
        found = np.unique(levels)
        raise InputError(f"trimap: levels {_listed(found)}: all background; {_EXPECTED}")
    return trimap


def _labels(rgb: np.ndarray) -> np.ndarray:
    trimap = np.full(rgb.shape[:2], 1, np.uint8)  # which is none of the levels
    for colour, level in _LABELS.items():
        trimap[(rgb == colour).all(axis=2)] = level
    if (trimap == 1).any():
        found = np.unique(rgb[trimap == 1][:1000], axis=0).tolist()
        raise InputError(f"trimap: colours {_listed(found)}; {_EXPECTED}")
    return trimap


def _over_black(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return cv2.multiply(rgb, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)


def _listed(found: "np.ndarray | list[list[int]]") -> str:
    shown = ", ".join(str(x) for x in found[:_NAMED])
    return shown + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
