"""Arrays to image files: PNG by `jointmat.io.png`, the others by Pillow."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jointmat.errors import InputError, InputTypeError
from jointmat.io.arrays import as_planes
from jointmat.io.atomic import atomic_write, printable
from jointmat.io.png import QUICK, encode_png

_TIFF = {"compression": "tiff_adobe_deflate", "tiffinfo": {317: 2}}  # differences of neighbours, deflated
_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    # Of 12 megapixels, .9 s and 4.5 MB; with Pillow's method 4 and quality 80, 3.5 s and 3.2 MB.
    "webp": ("WEBP", {"lossless": True, "exact": True, "method": 0, "quality": 0}),
    "jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "tif": ("TIFF", _TIFF),
    "tiff": ("TIFF", _TIFF),
}


def save_image(
    path: str | os.PathLike[str],
    array: np.ndarray,
    *,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    quality: int | None = None,
    compression: int = QUICK,
) -> None:
    """Write an array to a file, whole or not at all (`atomic_write`), in the format of its extension.

    Parameters
    ----------
    path
        Ends in .png, .webp, .jpg, .jpeg, .tif or .tiff.
    array, icc, dpi, quality, compression
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
    extension, options = Path(path).suffix.removeprefix("."), (icc, dpi, quality, compression)
    with atomic_write(path) as file:
        file.write(_encode(array, extension, *options, printable(path)))


def check_extension(path: str | os.PathLike[str], transparent: bool = False) -> None:
    """InputError if `save_image` would not know the format that a file's name asks for.

    transparent : also if that format cannot hold an alpha channel
    """
    name = printable(path)
    writer, _ = _writer(name, Path(path).suffix.removeprefix("."))
    if transparent:
        _check_alpha(writer, name)


def encode_image(
    array: np.ndarray,
    format: str = "png",
    *,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    quality: int | None = None,
    compression: int = QUICK,
) -> bytes:
    """Return an array as the bytes of an image file; errors as in `save_image`.

    Parameters
    ----------
    array
        HxW or HxWx1 grey, HxWx3 RGB or HxWx4 RGBA with straight alpha; uint8.
    format
        "png", "webp" (lossless), "jpg" (quality 95, no chroma subsampling) or "tif" (deflate).
    icc
        The profile of the colours of `array`; none means sRGB.
    dpi
        Pixels per inch across and down, which WebP cannot hold. Nothing else is written: no EXIF, so neither an
        orientation nor a place.
    quality
        1 to 100, of JPEG, and of WebP, which is lossless without it. PNG and TIFF have none.
    compression
        0 to 9, of PNG: 9 makes files some 10 % smaller than the default in some ten times the time.
    """
    return _encode(array, format, icc, dpi, quality, compression, "<bytes>")


def _writer(name: str, extension: str) -> tuple[str, dict[str, Any]]:
    """Pillow's format and its options; InputError for an extension that is none of `_WRITERS`."""
    if extension.lower() not in _WRITERS:
        raise InputError(f"{name}: got the format {extension!r}, expected one of {', '.join(_WRITERS)}")
    return _WRITERS[extension.lower()]


def _check_alpha(writer: str, name: str) -> None:
    if writer == "JPEG":
        raise InputError(f"{name}: JPEG has no alpha: use .png or .webp")


def _encode(
    array: np.ndarray,
    extension: str,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    quality: int | None,
    compression: int,
    name: str,
) -> bytes:
    writer, options = _writer(name, extension)
    planes = _planes(array, name)
    if planes.shape[2] == 4:
        _check_alpha(writer, name)
    if writer == "PNG":
        if not 0 <= compression <= 9:
            raise InputError(f"compression={compression}: expected 0 to 9")
        return encode_png(planes, level=compression, icc=icc, dpi=dpi)
    if quality and writer != "TIFF":
        options = {**options, "quality": quality, "lossless": False, "method": 4}
    if dpi:
        options = {**options, "dpi": dpi}
    image = Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
    buffer = io.BytesIO()
    try:
        image.save(buffer, writer, icc_profile=icc, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be written as {writer}: {error}") from error
    return buffer.getvalue()


def _planes(array: np.ndarray, name: str) -> np.ndarray:
    """A view (H, W, C) of a uint8 array HxW, HxWx1, HxWx3 or HxWx4."""
    if array.dtype != np.uint8:
        raise InputTypeError(f"{name}: got dtype {array.dtype}, expected uint8: convert floats with to_uint8")
    planes = as_planes(array)
    if planes.size == 0:
        raise InputError(f"{name}: zero width or height: array of shape {array.shape}")
    return planes
