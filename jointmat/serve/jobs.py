"""The workers' jobs. Every function here is called in a worker; its arguments are pickled."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from jointmat.backgrounds import DRAWN, draw
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load, load_image, load_trimap
from jointmat.io.write import encode_image
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.serve.strokes import Stroke, painted
from jointmat.serve.worker import Result
from jointmat.subject import Subject

PLANES = ("alpha", "trimap", "cutout")
"""Images of a matte that are kept of a photo."""

Plane = Literal["alpha", "trimap", "cutout"]


class Upload(io.BytesIO):
    """The bytes of an uploaded file. Messages call it by its field, for the client's file name is not trusted."""

    def __init__(self, data: bytes, field: str):
        super().__init__(data)
        self.name = field


@dataclass(frozen=True)
class Cut:
    """A photo, and what of it is the subject."""

    image: bytes
    subject: Subject = "all"
    fill_holes: bool = False
    trimap: bytes | None = None
    """instead of the predicted one; then `subject` and `fill_holes` are to be left out"""
    strokes: tuple[Stroke, ...] = ()
    """painted over the predicted or the given trimap"""

    def matte(self, predictor: Predictor) -> Matte:
        return self.matte_and_base(predictor)[0]

    def matte_and_base(self, predictor: Predictor) -> tuple[Matte, np.ndarray]:
        """The matte, and the trimap (H, W) uint8 that strokes go over."""
        photo, opacity, dpi = load(Upload(self.image, "image"), max_pixels=predictor.max_pixels)
        base = None
        if self.trimap is not None and self.strokes:
            base = load_trimap(Upload(self.trimap, "trimap"), photo.shape[:2])
        else:
            given = None if self.trimap is None else Upload(self.trimap, "trimap")
            matte = predictor.matte(photo, trimap=given, subject=self.subject, fill_holes=self.fill_holes)
            base = matte.trimap
        if self.strokes:
            matte = predictor.matte(photo, trimap=painted(base, self.strokes))
        matte.dpi = dpi
        return matte if opacity is None else matte.capped(opacity), base


@dataclass(frozen=True)
class Scene:
    """The scene behind a subject."""

    background: str | bytes
    """a name of `DRAWN`, "blur", a colour, or an image"""
    fit: Literal["fill", "fit"] = "fill"
    light: Literal["srgb", "linear"] = "srgb"

    def composite(self, matte: Matte, max_pixels: int) -> np.ndarray:
        behind: np.ndarray | str
        if isinstance(self.background, bytes):
            behind = load_image(Upload(self.background, "background_image"), max_pixels=max_pixels)
        elif self.background in DRAWN:
            behind = draw(self.background, *matte.alpha.shape)
        else:
            behind = self.background
        return matte.composite(behind, fit=self.fit, light=self.light, max_pixels=max_pixels)


def one_plane(predictor: Predictor, cut: Cut, plane: Plane, format: str) -> Result:
    """One image of a photo's matte."""
    matte = cut.matte(predictor)
    return Result(_facts(matte), {plane: encode_image(_PLANES[plane](matte), format, dpi=matte.dpi)})


def composite(predictor: Predictor, cut: Cut, scene: Scene, format: str) -> Result:
    """The subject in front of another background."""
    matte = cut.matte(predictor)
    image = scene.composite(matte, predictor.max_pixels)
    return Result(_facts(matte), {"composite": encode_image(image, format, dpi=matte.dpi)})


def all_planes(predictor: Predictor, cut: Cut) -> Result:
    """Every image of a photo's matte, as PNG, and the trimap without its strokes as `base`."""
    matte, base = cut.matte_and_base(predictor)
    planes = {name: encode_image(_PLANES[name](matte), dpi=matte.dpi) for name in PLANES}
    return Result(_facts(matte), {**planes, "base": encode_image(base)})


def resized(
    predictor: Predictor,
    cut: Cut,
    scene: Scene | None,
    alpha: bool,
    crop: bool,
    pixels: int | None,
    format: str,
) -> Result:
    """The cut-out, the subject in a scene, or alpha; cropped to the subject, with at most this many pixels."""
    matte = cut.matte(predictor)
    facts = _facts(matte)
    if crop:
        matte = matte.crop()
    if alpha:
        image = to_uint8(matte.alpha)
    else:
        image = scene.composite(matte, predictor.max_pixels) if scene else matte.cutout()
    height, width = image.shape[:2]
    if pixels and height * width > pixels:
        scale = (pixels / (height * width)) ** 0.5
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    height, width = image.shape[:2]
    return Result({**facts, "height": height, "width": width}, {"image": encode_image(image, format)})


def upright_photo(predictor: Predictor, image: bytes) -> Result:
    """The photo as every browser shows it."""
    photo = load_image(Upload(image, "image"), max_pixels=predictor.max_pixels)
    return Result(files={"photo": encode_image(photo, "jpg")})


_PLANES: dict[str, Callable[[Matte], np.ndarray]] = {
    "alpha": lambda matte: to_uint8(matte.alpha),
    "trimap": lambda matte: matte.trimap,
    "cutout": Matte.cutout,
}


def _facts(matte: Matte) -> dict[str, Any]:
    height, width = matte.alpha.shape
    return {"width": width, "height": height, "coverage": matte.coverage, "is_empty": matte.is_empty}
