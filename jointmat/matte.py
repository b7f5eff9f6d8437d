"""The result of matting one photo, and what people do with it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from jointmat.compositing import BackgroundSource, backdrop, blend
from jointmat.foreground import estimate_foreground
from jointmat.io.arrays import to_uint8
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.io.write import check_extension, save_image
from jointmat.memory import enough_memory

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
            with enough_memory(self._name.removeprefix("_")):
                plane = matte.__dict__[self._name] = plane()
        return plane


@dataclass(frozen=True, eq=False)
class Matte:
    """A photo with its matte. All arrays have the photo's height and width.

    Of the network's trimap and mask, the planes of the photo's size are made when they are first asked for, since
    most callers want alpha alone; so is a video's alpha, in another thread than the network's.
    """

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright"""
    alpha: _WhenAsked = _WhenAsked()
    """(H, W) float32 in [0, 1]"""
    trimap: _WhenAsked = _WhenAsked()
    """(H, W) uint8: 0 background, 128 unknown, 255 foreground; the given or the predicted one"""
    mask: _WhenAsked = _WhenAsked()
    """(H, W) float32 in [0, 1]: probability of foreground, before matting"""
    _kept: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def foreground(self, method: str = "fast") -> np.ndarray:
        """Foreground colours without the old background's fringe: (H, W, 3) uint8.

        method : see `jointmat.foreground.estimate_foreground`
        """
        if method not in self._kept:
            with enough_memory("foreground"):
                self._kept[method] = estimate_foreground(self.image, self.alpha, method)
        return self._kept[method]

    def cutout(self, method: str = "fast") -> np.ndarray:
        """The subject alone in its own colours: (H, W, 4) uint8 RGBA, straight (not premultiplied) alpha."""
        with enough_memory("cutout"):
            return np.dstack([self.foreground(method), to_uint8(self.alpha)])

    def composite(
        self,
        background: BackgroundSource,
        *,
        fit: str = "fill",
        light: str = "srgb",
        method: str = "fast",
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> np.ndarray:
        """The subject in front of another background: (H, W, 3) uint8.

        Parameters
        ----------
        background : "#rrggbb", an (r, g, b) of 0–255, "blur" for the photo itself out of focus, or a picture as
            in `jointmat.predict`
        fit : of a picture: "fill" crops it around its middle to the photo's shape; "fit" shows all of it, and
            beside it itself, out of focus
        light : "srgb" mixes stored levels, as image editors do; "linear" mixes light, see
            `jointmat.compositing.blend`
        method : of the foreground's colours, see `jointmat.foreground.estimate_foreground`
        max_pixels : of the picture; larger ones are refused before they are decoded
        """
        with enough_memory("composite"):
            behind = backdrop(background, self.image, self.alpha, fit, max_pixels)
            return blend(self.foreground(method), self.alpha, behind, light)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cut-out; the extension chooses the format, which must hold transparency."""
        check_extension(path, transparent=True)  # before the work
        save_image(path, self.cutout())
