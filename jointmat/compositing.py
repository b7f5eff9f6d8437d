"""A subject in front of another background: αF + (1 − α)B, and what B can be."""

import os
import re
from numbers import Integral
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from PIL import ImageColor

from jointmat.errors import InputError
from jointmat.foreground import box_of, fringes, known_and_mixed, plain
from jointmat.io.arrays import Color
from jointmat.io.atomic import printable
from jointmat.io.image import ImageSource, load_image
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.ops.planes import Planes, channels_of, in_one

BackgroundSource: TypeAlias = ImageSource | tuple[int, int, int]
"""An image as in `jointmat.predict`, a colour ("white", "#rrggbb", (r, g, b) of 0–255), or "blur"."""

Fit: TypeAlias = Literal["fill", "fit"]
Light: TypeAlias = Literal["srgb", "linear"]

BLUR = "blur"
FITS: tuple[Fit, ...] = get_args(Fit)
LIGHTS: tuple[Light, ...] = get_args(Light)
_COLOURS = "#rrggbb such as #1e90ff, r,g,b such as 30,144,255, or a CSS name such as white"

_BLUR_SHARE = 0.025
"""standard deviation of the blur, of the long side"""
_BLUR_SIDE = 160
"""long side of the copy that is blurred, pixels"""
_EPSILON = 1e-4
"""weight of the mean colour of the background where the subject covers the whole blur"""

_LEVELS = np.arange(256, dtype=np.float32) / 255
_TO_LIGHT = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""IEC 61966-2-1: level to light, both of 0 to 1"""


def blend(foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, light: Light = "srgb") -> np.ndarray:
    """αF + (1 − α)B.

    Parameters
    ----------
    foreground, background : (H, W, 3) uint8 sRGB
    alpha : (H, W) float32 in [0, 1]
    light : "srgb" mixes the levels as they are stored, as image editors do and as mattes are made: what is put
        back on its old background is the image again. "linear" mixes light, as a lens does: translucent edges
        come out brighter on a dark background and less grey between two strong colours

    Returns
    -------
    (H, W, 3) uint8
    """
    if light not in LIGHTS:
        raise InputError(f"light={light!r}: expected {' or '.join(LIGHTS)}")
    box = box_of(alpha)
    result = background.copy()
    mix = _in_levels if light == "srgb" else _in_light
    result[box] = mix(foreground[box], alpha[box], background[box])
    return result


def blend_fused(image: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The same with the "fast" foreground of an image, mixed in stored levels, which is computed only where it is
    neither the image nor hidden: in 70 % of the time of the two steps.

    Parameters
    ----------
    image, background : (H, W, 3) uint8 sRGB
    alpha : (H, W) float32 in [0, 1]

    Returns
    -------
    (H, W, 3) uint8, within a level of `blend` of `estimate_foreground`
    """
    result = background.copy()
    put_fused([image], alpha, [result])
    return result


def put_fused(planes: Planes, alpha: np.ndarray, result: Planes) -> None:
    """`blend_fused` of an image in planes; `result` holds the background, uint8, and is changed."""
    for plane, whole, fringe in zip(planes, result, fringes(planes, alpha), strict=True):
        box, opaque, mixed, foreground, share = fringe
        inside = np.ascontiguousarray(whole[box])
        flat = inside.reshape(-1, inside.shape[2])
        behind = flat.take(mixed, axis=0).astype(np.float32)
        foreground -= behind
        foreground *= share
        foreground += behind
        cv2.copyTo(plane[box], opaque, inside)
        flat[mixed] = np.rint(foreground, out=foreground).astype(np.uint8)
        whole[box] = inside


def _in_levels(foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    return cv2.blendLinear(foreground, background, alpha, 1 - alpha)


def _in_light(foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    opaque, mixed = known_and_mixed(alpha)
    result = cv2.copyTo(foreground, opaque, background.copy())
    share = alpha.reshape(-1, 1).take(mixed, axis=0)
    front, behind = (_TO_LIGHT[x.reshape(-1, 3).take(mixed, axis=0)] for x in (foreground, background))
    levels = 255 * _from_light(behind + share * (front - behind))
    result.reshape(-1, 3)[mixed] = np.rint(levels).astype(np.uint8)
    return result


def backdrop(
    background: BackgroundSource,
    image: np.ndarray,
    alpha: np.ndarray,
    fit: Fit = "fill",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    color: Color = "RGB",
) -> np.ndarray:
    """The background at the image's size: (H, W, 3) uint8.

    Parameters
    ----------
    background : "blur" is the image itself out of focus, without the subject, which would leave a halo
    image, alpha : the image (H, W, 3) uint8 and its matte (H, W) float32
    fit : of an image: "fill" crops it around its middle to the image's shape; "fit" shows all of it, and beside
        it itself, out of focus
    max_pixels : of an image; larger ones are refused before they are decoded
    color : "RGB" or "BGR", the order of the channels of an array
    """
    if fit not in FITS:
        raise InputError(f"fit={fit!r}: expected {' or '.join(FITS)}")
    if isinstance(background, str) and background == BLUR:
        return blurred([image], 1 - alpha)[0]
    colour = color_of(background)
    if colour is not None:
        return plain(colour, image.shape)
    behind = load_image(background, color=color, max_pixels=max_pixels)  # type: ignore[arg-type]
    return placed(behind, alpha.shape, fit)


def placed(image: np.ndarray, size: tuple[int, ...], fit: Fit = "fill") -> np.ndarray:
    """An image (h, w, 3) uint8 brought to (H, W, 3): see `backdrop`."""
    if image.shape[:2] == size:
        return image
    height, width = size
    scale = max(height / image.shape[0], width / image.shape[1])
    # Cropped first: a strip scaled to cover an image of the other direction would be far larger than both.
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    filled = scaled(image[top : top + rows, left : left + columns], size)
    if fit == "fill":
        return filled
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    around = blurred([filled], np.ones(size, np.float32))[0]
    around[top : top + inner[0], left : left + inner[1]] = scaled(image, inner)
    return around


def parse_color(text: str) -> tuple[int, int, int]:
    """(r, g, b) of "#rrggbb", "#rgb", "r,g,b" or a CSS name such as "white"; InputError for anything else."""
    try:
        numbers = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", text)
        levels = tuple(map(int, numbers.groups())) if numbers else ImageColor.getrgb(text)
    except ValueError:
        levels = ()
    if len(levels) != 3 or max(levels) > 255:
        raise InputError(f"colour: got {text!r}, expected {_COLOURS}")
    return levels


def color_of(background: object) -> tuple[int, int, int] | None:
    """The colour that a background is, or None for "blur" and images; InputError for neither.

    A text that can be read as a colour is one: a file of that name is "./white".
    """
    if isinstance(background, tuple | list):
        if len(background) != 3 or not all(isinstance(x, Integral) and 0 <= int(x) <= 255 for x in background):
            raise InputError(f"colour: got {background!r}, expected (r, g, b), whole numbers of 0 to 255")
        red, green, blue = map(int, background)
        return red, green, blue
    if not isinstance(background, str) or background == BLUR:
        return None
    try:
        return parse_color(background)
    except InputError:
        if os.path.lexists(background):
            return None
        raise InputError(f"{printable(background)}: no such file or colour; expected {_COLOURS}") from None


def scaled(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """An image or plane at another size (H, W): averaged where that is smaller, else cubic."""
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def blurred(planes: Planes, weight: np.ndarray) -> list[np.ndarray]:
    """An image in planes, uint8, out of focus, every pixel counting by its weight (H, W) float32 in [0, 1]."""
    height, width = weight.shape
    scale = min(1.0, _BLUR_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    share = cv2.resize(weight, size[::-1], interpolation=cv2.INTER_AREA)
    small = in_one(planes, size)
    presence = share + np.float32(_EPSILON)
    mean = np.divide(cv2.mean(small * presence[..., None])[:3], cv2.mean(presence)[0]).astype(np.float32)
    sigma = _BLUR_SHARE * max(size)
    near = cv2.GaussianBlur(share, (0, 0), sigma)[..., None]
    colour = (cv2.GaussianBlur(small * share[..., None], (0, 0), sigma) + _EPSILON * mean) / (near + _EPSILON)
    levels = np.rint(np.clip(colour, 0, 255)).astype(np.uint8)
    result = []
    for plane, channels in zip(planes, channels_of(planes), strict=True):
        part = np.ascontiguousarray(levels[..., channels])
        result.append(np.atleast_3d(cv2.resize(part, plane.shape[1::-1], interpolation=cv2.INTER_CUBIC)))
    return result


def _from_light(light: np.ndarray) -> np.ndarray:
    """The inverse of `_TO_LIGHT`."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
