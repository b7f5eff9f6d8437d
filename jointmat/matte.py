"""The result of matting one photo, and what people do with it."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np

from jointmat.errors import InputError
from jointmat.foreground import estimate_foreground
from jointmat.io.image import ImageSource, load_image, save_image, to_uint8

Plane: TypeAlias = np.ndarray | Callable[[], np.ndarray]


class _WhenAsked:
    """A field that is given as an array, or as a function that makes it, called when the field is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __set__(self, matte: "Matte", plane: Plane) -> None:
        matte.__dict__[self._name] = plane

    def __get__(self, matte: "Matte | None", owner: type) -> np.ndarray:
        if matte is None:
            raise AttributeError(f"{owner.__name__}: the field has no default")
        plane: Plane = matte.__dict__[self._name]
        if callable(plane):
            plane = matte.__dict__[self._name] = plane()
        return plane


@dataclass(frozen=True, eq=False)
class Matte:
    """A photo with its matte. All arrays have the photo's height and width.

    Of the network's trimap and mask, the planes of the photo's size are made when they are first asked for:
    most callers want alpha alone.
    """

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright"""
    alpha: np.ndarray
    """(H, W) float32 in [0, 1]"""
    trimap: _WhenAsked = _WhenAsked()
    """(H, W) uint8: 0 background, 128 unknown, 255 foreground; the given or the predicted one"""
    mask: _WhenAsked = _WhenAsked()
    """(H, W) float32 in [0, 1]: probability of foreground, before matting"""
    _kept: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def foreground(self) -> np.ndarray:
        """Foreground colours without the old background's fringe: (H, W, 3) uint8."""
        if "foreground" not in self._kept:
            self._kept["foreground"] = estimate_foreground(self.image, self.alpha)
        return self._kept["foreground"]

    def cutout(self) -> np.ndarray:
        """The subject alone: (H, W, 4) uint8 RGBA, straight (not premultiplied) alpha."""
        return np.dstack([self.foreground(), to_uint8(self.alpha)])

    def composite(self, background: "ImageSource | str | tuple[int, int, int]") -> np.ndarray:
        """αF + (1 − α)B on a new background, in sRGB values as image editors do: (H, W, 3) uint8.

        Parameters
        ----------
        background : "#rrggbb", an (r, g, b) of 0–255, or a picture as in `jointmat.predict`, which is cropped
            around its middle to the photo's shape and scaled to its size
        """
        backdrop = _backdrop(background, self.alpha.shape)
        alpha = self.alpha[..., None]
        return np.rint(backdrop + alpha * (self.foreground() - backdrop)).astype(np.uint8)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cut-out; the extension chooses the format, which must hold transparency."""
        save_image(path, self.cutout())


def parse_color(text: str) -> tuple[int, int, int]:
    """(r, g, b) of "#rrggbb" or "#rgb"; InputError for anything else."""
    if not re.fullmatch("#([0-9a-fA-F]{3}){1,2}", text):
        raise InputError(f"colour: got {text!r}, expected #rrggbb such as #1e90ff")
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _backdrop(background: "ImageSource | str | tuple[int, int, int]", size: tuple[int, ...]) -> np.ndarray:
    """(H, W, 3) or (3,) float32 of 0–255."""
    if isinstance(background, str) and background.startswith("#"):
        background = parse_color(background)
    if isinstance(background, tuple):
        if len(background) != 3 or not all(0 <= level <= 255 for level in background):
            raise InputError(f"colour: got {background}, expected (r, g, b) of 0 to 255")
        return np.array(background, np.float32)
    picture = load_image(background)
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    # Cropped first: a strip scaled to cover a photo of the other direction would be far larger than both.
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    crop = picture[top : top + rows, left : left + columns]
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(crop, (width, height), interpolation=interpolation).astype(np.float32)
