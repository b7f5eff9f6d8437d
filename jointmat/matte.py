"""The result of matting one image, and its uses: cut-out, composite, files."""

import os
from collections.abc import Callable
from functools import cached_property, partial
from typing import BinaryIO, TypeAlias

import cv2
import numpy as np
from PIL import Image

from jointmat.backgrounds import checkerboard
from jointmat.compositing import BackgroundSource, Fit, Light, backdrop, blend, blend_fused, scaled
from jointmat.errors import InputError
from jointmat.foreground import Method, estimate_foreground
from jointmat.io.arrays import Color, to_uint8
from jointmat.io.atomic import atomic_write
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.io.write import check_extension, encode_image, save_image
from jointmat.memory import enough_memory

Plane: TypeAlias = np.ndarray | Callable[[], np.ndarray]
"""An array, or a function that makes it, called when it is first asked for."""

Target: TypeAlias = str | os.PathLike[str] | BinaryIO
"""Where a file goes: a path, or a binary file that is open for writing."""

_OPAQUE = 0.5
"""alpha that a pixel of somebody has"""
_VISIBLE = 0.05
"""alpha from which on a pixel counts for the box of a crop"""
_PREVIEW_SIDE = 512
"""long side of what a notebook shows, pixels"""


class Matte:
    """An image with its matte. All arrays have the image's height and width.

    Parameters
    ----------
    image, alpha, trimap, mask : see the attributes of these names. A plane may be given as a function: the
        network's planes are brought to the image's size only when somebody asks for them.
    """

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright"""
    dpi: tuple[float, float] | None
    """Pixels per inch across and down, where the image's file told them; `save` writes them."""

    def __init__(
        self,
        image: np.ndarray,
        alpha: Plane,
        trimap: Plane,
        mask: Plane,
        *,
        dpi: tuple[float, float] | None = None,
    ):
        self.image, self.dpi = image, dpi
        self._planes = {"alpha": alpha, "trimap": trimap, "mask": mask}
        self._foregrounds: dict[str, np.ndarray] = {}
        self._whole: tuple[Matte, tuple[slice, slice]] | None = None  # that this is a part of

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

    @cached_property
    def coverage(self) -> float:
        """Share of the image that is the subject, from 0 to 1: the mean of alpha."""
        return float(cv2.mean(self.alpha)[0])

    @cached_property
    def is_empty(self) -> bool:
        """Whether nobody was found: no pixel is more than half opaque."""
        return bool(self.alpha.max() <= _OPAQUE)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"Matte({width}×{height}, {self.coverage:.0%} subject)"

    def _repr_png_(self) -> bytes:
        """The view in a notebook: the cut-out on a checkerboard."""
        height, width = self.image.shape[:2]
        scale = min(1.0, _PREVIEW_SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        colours, alpha = scaled(self.foreground(), size), scaled(self.alpha, size)
        return encode_image(blend(colours, np.clip(alpha, 0, 1), checkerboard(*size)))

    def foreground(self, method: Method = "fast") -> np.ndarray:
        """Foreground colours without the old background's fringe: (H, W, 3) uint8.

        method : see `jointmat.foreground.estimate_foreground`
        """
        if method not in self._foregrounds:
            with enough_memory("foreground"):
                self._foregrounds[method] = self._estimated(method)
        return self._foregrounds[method]

    def cutout(self, method: Method = "fast") -> np.ndarray:
        """The subject alone in its own colours: (H, W, 4) uint8 RGBA, straight (not premultiplied) alpha."""
        with enough_memory("cutout"):
            rgba = cv2.cvtColor(self.foreground(method), cv2.COLOR_RGB2RGBA)
            return cv2.insertChannel(to_uint8(self.alpha), rgba, 3)

    def composite(
        self,
        background: BackgroundSource,
        *,
        fit: Fit = "fill",
        light: Light = "srgb",
        method: Method = "fast",
        max_pixels: int = DEFAULT_MAX_PIXELS,
        color: Color = "RGB",
    ) -> np.ndarray:
        """The subject in front of another background: (H, W, 3) uint8.

        Parameters
        ----------
        background : a colour ("white" or another CSS name, "#rrggbb", or (r, g, b) of 0–255), "blur" for the
            image itself out of focus, or an image as in `jointmat.predict`
        fit : of an image: "fill" crops it around its middle to the same shape; "fit" shows all of it, and
            beside it itself, out of focus
        light : "srgb" mixes stored levels, as image editors do; "linear" mixes light, see
            `jointmat.compositing.blend`
        method : of the foreground's colours, see `jointmat.foreground.estimate_foreground`
        max_pixels : of the background; larger ones are refused before they are decoded
        color : "RGB" or "BGR", the order of the channels of a background that is an array
        """
        with enough_memory("composite"):
            behind = backdrop(background, self.image, self.alpha, fit, max_pixels, color)
            if method == "fast" and light == "srgb" and not self._foregrounds and not self._whole:
                return blend_fused(self.image, self.alpha, behind)
            return blend(self.foreground(method), self.alpha, behind, light)

    def crop(self, margin: int = 0) -> "Matte":
        """The part of the matte around the subject; the whole one if it is empty.

        margin : pixels to keep on each side of the box around all that is visible
        """
        if margin < 0:
            raise InputError(f"margin={margin}: expected at least 0")
        left, top, width, height = cv2.boundingRect((self.alpha >= _VISIBLE).astype(np.uint8))
        if not width:
            return self
        rows, columns = (
            slice(max(0, low - margin), low + n + margin) for low, n in ((top, height), (left, width))
        )
        planes = (partial(self._part, name, rows, columns) for name in self._planes)
        part = Matte(self.image[rows, columns], *planes, dpi=self.dpi)
        part._whole = self, (rows, columns)
        return part

    def adjust_edge(self, *, shift: int = 0, feather: float = 0.0) -> "Matte":
        """The matte with its edge moved, then softened; trimap and mask stay.

        Parameters
        ----------
        shift : pixels outwards, or inwards below 0
        feather : width of the softened edge, pixels
        """
        if feather < 0:
            raise InputError(f"feather={feather}: expected at least 0")
        alpha = self.alpha
        with enough_memory("edge"):
            if shift:
                disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(shift) + 1,) * 2)
                alpha = (cv2.dilate if shift > 0 else cv2.erode)(alpha, disk)
            if feather:
                alpha = cv2.GaussianBlur(alpha, (0, 0), feather / 2)
        return Matte(self.image, alpha, self._planes["trimap"], self._planes["mask"], dpi=self.dpi)

    def capped(self, opacity: np.ndarray) -> "Matte":
        """The matte of an image that had transparent parts itself: nothing becomes more opaque than it was.

        opacity : (H, W) uint8
        """
        trimap, mask = (partial(self._made, name) for name in ("trimap", "mask"))
        return Matte(self.image, partial(self._capped, opacity), trimap, mask, dpi=self.dpi)

    def inverted(self) -> "Matte":
        """The matte of everything but the subject."""
        planes = (partial(self._inverse, name) for name in self._planes)
        return Matte(self.image, *planes, dpi=self.dpi)

    def to_pil(self, method: Method = "fast") -> Image.Image:
        """The cut-out as a Pillow image of mode RGBA."""
        image = Image.fromarray(self.cutout(method))
        if self.dpi:
            image.info["dpi"] = self.dpi
        return image

    def save(self, target: Target, *, format: str | None = None) -> None:
        """Write the cut-out.

        Parameters
        ----------
        target : a path, whose extension chooses the format unless `format` does, or a binary file
        format : "png", which is the default for files, "webp" or "tif"; it must hold transparency
        """
        _check(target, format, transparent=True)  # before the work
        _write(target, format, self.cutout(), self.dpi)

    def save_alpha(self, target: Target, *, format: str | None = None) -> None:
        """Write alpha as a grey image; arguments as of `save`, and "jpg" is possible."""
        _check(target, format)
        _write(target, format, to_uint8(self.alpha), self.dpi)

    def _made(self, name: str) -> np.ndarray:
        plane = self._planes[name]
        if callable(plane):
            with enough_memory(name):
                plane = self._planes[name] = plane()
        return plane

    def _capped(self, opacity: np.ndarray) -> np.ndarray:
        return capped(self.alpha, opacity)

    def _inverse(self, name: str) -> np.ndarray:
        plane = getattr(self, name)
        return np.where(plane == 128, plane, 255 - plane) if name == "trimap" else 1 - plane

    def _part(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        return getattr(self, name)[rows, columns]

    def _estimated(self, method: Method) -> np.ndarray:
        if self._whole:
            whole, box = self._whole  # whose background tells more about the edges than a tight box does
            return whole.foreground(method)[box]
        return estimate_foreground(self.image, self.alpha, method)


def capped(alpha: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """min(alpha, opacity / 255): (H, W) float32 and uint8 → (H, W) float32."""
    return np.minimum(alpha, np.multiply(opacity, 1 / 255, dtype=np.float32))


def _check(target: Target, format: str | None, *, transparent: bool = False) -> None:
    if format is None and isinstance(target, str | os.PathLike):
        check_extension(target, transparent)
    else:
        check_extension(f"image.{format or 'png'}", transparent)


def _write(target: Target, format: str | None, array: np.ndarray, dpi: tuple[float, float] | None) -> None:
    if not isinstance(target, str | os.PathLike):
        target.write(encode_image(array, format or "png", dpi=dpi))
    elif format is None:
        save_image(target, array, dpi=dpi)
    else:
        with atomic_write(target) as file:
            file.write(encode_image(array, format, dpi=dpi))
