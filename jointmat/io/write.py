"""Arrays to picture files."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jointmat.errors import InputError, InputTypeError
from jointmat.io.arrays import as_planes
from jointmat.io.atomic import atomic_write, printable

_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True, "exact": True}),
    "jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
}


def save_image(
    path: str | os.PathLike[str], array: np.ndarray, *, icc: bytes | None = None, quality: int | None = None
) -> None:
    """Write an array to a file, whole or not at all (`atomic_write`), in the format of its extension.

    Parameters
    ----------
    path
        Ends in .png, .webp, .jpg, .jpeg, .tif or .tiff.
    array, icc, quality
        As in `encode_image`.

    Raises
    ------
    InputError
        An unknown extension, alpha in a JPEG, a wrong shape, or a path that cannot be written.
    InputTypeError
        A dtype other than uint8.
    JointmatError
        The disk is full or failed.
    """
    with atomic_write(path) as file:
        file.write(_encode(array, Path(path).suffix.removeprefix("."), icc, quality, printable(path)))


def check_extension(path: str | os.PathLike[str], transparent: bool = False) -> None:
    """InputError if `save_image` would not know the format that a file's name asks for.

    transparent : also if that format cannot hold an alpha channel
    """
    name = printable(path)
    writer, _ = _writer(name, Path(path).suffix.removeprefix("."))
    if transparent:
        _check_alpha(writer, name)


def encode_image(
    array: np.ndarray, format: str = "png", *, icc: bytes | None = None, quality: int | None = None
) -> bytes:
    """Return an array as the bytes of an image file; errors as in `save_image`.

    Parameters
    ----------
    array
        HxW or HxWx1 grey, HxWx3 RGB or HxWx4 RGBA with straight alpha; uint8.
    format
        "png", "webp" (lossless), "jpg" (quality 95, no chroma subsampling) or "tif" (deflate).
    icc
        The profile of the colours of `array`; none means sRGB. Nothing else is written besides the pixels: no
        EXIF, so neither an orientation nor a place.
    quality
        1 to 100, of JPEG, and of WebP, which is lossless without it. PNG and TIFF have none.
    """
    return _encode(array, format, icc, quality, "<bytes>")


def _writer(name: str, extension: str) -> tuple[str, dict[str, Any]]:
    """Pillow's format and its options; InputError for an extension that is none of `_WRITERS`."""
    if extension.lower() not in _WRITERS:
        raise InputError(f"{name}: got the format {extension!r}, expected one of {', '.join(_WRITERS)}")
    return _WRITERS[extension.lower()]


def _check_alpha(writer: str, name: str) -> None:
    if writer == "JPEG":
        raise InputError(f"{name}: JPEG has no alpha: use .png or .webp")


def _encode(array: np.ndarray, extension: str, icc: bytes | None, quality: int | None, name: str) -> bytes:
    writer, options = _writer(name, extension)
    if quality and writer in ("JPEG", "WEBP"):
        options = {**options, "quality": quality, "lossless": False}
    picture = _to_picture(array, name)
    if picture.mode == "RGBA":
        _check_alpha(writer, name)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, writer, icc_profile=icc, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be written as {writer}: {error}") from error
    return buffer.getvalue()


def _to_picture(array: np.ndarray, name: str) -> Image.Image:
    """Wrap a uint8 array HxW, HxWx1, HxWx3 or HxWx4 as a Pillow image of mode L, RGB or RGBA."""
    if array.dtype != np.uint8:
        raise InputTypeError(f"{name}: got dtype {array.dtype}, expected uint8: convert floats with to_uint8")
    planes = as_planes(array)
    if planes.size == 0:
        raise InputError(f"{name}: zero width or height: array of shape {array.shape}")
    return Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
