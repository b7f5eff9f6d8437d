"""The result of matting one image, and what people do with it."""

import os
from collections.abc import Callable
from functools import cached_property
from typing import TypeAlias

import numpy as np

from jointmat.compositing import BackgroundSource, backdrop, blend
from jointmat.foreground import estimate_foreground
from jointmat.io.arrays import to_uint8
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.io.write import check_extension, save_image
from jointmat.memory import enough_memory

Plane: TypeAlias = np.ndarray | Callable[[], np.ndarray]
"""An array, or a function that makes it, called when it is first asked for."""


class Matte:
    """An image with its matte. All arrays have the image's height and width.

    Parameters
    ----------
    image, alpha, trimap, mask : see the attributes of these names. A plane may be given as a function: the
        network's planes are brought to the image's size only when somebody asks for them.
    """

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright"""

    def __init__(self, image: np.ndarray, alpha: Plane, trimap: Plane, mask: Plane):
        self.image = image
        self._planes = {"alpha": alpha, "trimap": trimap, "mask": mask}
        self._foregrounds: dict[str, np.ndarray] = {}

    @cached_property
    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1]: how much of each pixel is the subject."""
        return self._made("alpha")

    @cached_property
    def trimap(self) -> np.ndarray:
        """(H, W) uint8: 0 background, 128 unknown, 255 foreground; the given or the predicted one."""
        return self._made("trimap")

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) float32 in [0, 1]: probability of foreground, before matting."""
        return self._made("mask")

    def foreground(self, method: str = "fast") -> np.ndarray:
        """Foreground colours without the old background's fringe: (H, W, 3) uint8.

        method : see `jointmat.foreground.estimate_foreground`
        """
        if method not in self._foregrounds:
            with enough_memory("foreground"):
                self._foregrounds[method] = estimate_foreground(self.image, self.alpha, method)
        return self._foregrounds[method]

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
        background : "#rrggbb", an (r, g, b) of 0–255, "blur" for the image itself out of focus, or an image as
            in `jointmat.predict`
        fit : of an image: "fill" crops it around its middle to the same shape; "fit" shows all of it, and
            beside it itself, out of focus
        light : "srgb" mixes stored levels, as image editors do; "linear" mixes light, see
            `jointmat.compositing.blend`
        method : of the foreground's colours, see `jointmat.foreground.estimate_foreground`
        max_pixels : of the background; larger ones are refused before they are decoded
        """
        with enough_memory("composite"):
            behind = backdrop(background, self.image, self.alpha, fit, max_pixels)
            return blend(self.foreground(method), self.alpha, behind, light)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cut-out; the extension chooses the format, which must hold transparency."""
        check_extension(path, transparent=True)  # before the work
        save_image(path, self.cutout())

    def _made(self, name: str) -> np.ndarray:
        plane = self._planes[name]
        if callable(plane):
            with enough_memory(name):
                plane = self._planes[name] = plane()
        return plane
