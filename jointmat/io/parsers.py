"""Pillow's parsers, called by what a file begins with, and their complaints in this package's words.

`PIL.Image.open` would try one parser after the other, and apply `PIL.Image.MAX_IMAGE_PIXELS` instead of
`max_pixels`. So the format is told from the first bytes, and no other parser ever sees the file.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from jointmat.errors import ImageError, ImageTooLarge, JointmatError, JointmatWarning, pip_install

PARSERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
_KINDS = (*PARSERS, "HEIC")

# How each format begins: those that are read, then those that are only named in the refusal.
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF....WEBP",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "GIF": rb"GIF8[79]a",
    "PPM": rb"P[1-6f]\s",
    "AVIF": rb"....ftypavi[fs]",
    "HEIC": rb"....ftyp(he|mif1|msf1)",
    "EPS": rb"%!PS|\xc5\xd0\xd3\xc6",
    "PDF": rb"%PDF",
    "SVG": rb"(\xef\xbb\xbf)?\s*<(svg|[?!].*<svg)",
    "PSD": rb"8BPS",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "ICO": rb"\0\0\x01\0",
    "ZIP": rb"PK\x03\x04",
}
_SIGNATURE_BYTES = 1024

_END_OF_DATA = (IndexError, TypeError, EOFError, struct.error)  # what Pillow's parsers raise where data ends


def identify(stream: BinaryIO, name: str) -> str:
    """Return the name of the stream's format, one of `_KINDS`, and rewind it."""
    with parser_errors(name):
        head = stream.read(_SIGNATURE_BYTES)
        stream.seek(0)
    if not head:
        raise ImageError(f"{name}: empty file")
    expected = ", ".join(_KINDS)
    for kind, signature in _SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            if kind not in _KINDS:
                raise ImageError(f"{name}: format not allowed: got {kind}, expected one of {expected}")
            return kind
    raise ImageError(f"{name}: not an image: expected one of {expected}")


def parse(stream: BinaryIO, kind: str, name: str) -> ImageFile.ImageFile:
    """Return the image of a stream, its header parsed and no pixel decoded."""
    with parser_errors(name):
        return (_heic_parser(name) if kind == "HEIC" else PARSERS[kind])(stream)


def _heic_parser(name: str) -> type[ImageFile.ImageFile]:
    try:
        from pillow_heif import HeifImageFile
    except ModuleNotFoundError as error:
        raise ImageError(f"{name}: HEIC needs pillow-heif: {pip_install('heic')}") from error
    return HeifImageFile


@contextmanager
def parser_errors(name: str) -> Iterator[None]:
    """The one door for trouble with bytes from outside: whatever a parser raises within becomes ImageError, and
    Pillow's limit on pixels ImageTooLarge. MemoryError passes, since it is not the file's alone."""
    try:
        yield
    except (JointmatError, JointmatWarning, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        advice = "pass a higher max_pixels= and set a higher PIL.Image.MAX_IMAGE_PIXELS to accept it"
        raise ImageTooLarge(f"{name}: {str(error).rstrip('.')}: {advice}") from error
    except Exception as error:
        raise ImageError(f"{name}: {cause(error)}") from error


def cause(error: BaseException) -> str:
    """Say what is wrong with a file in this package's words, from what its parser said."""
    text = " ".join(str(error).split())
    if "not identified by this driver" in text:
        return "zero width or height, or no known pixel format"
    if isinstance(error, _END_OF_DATA) or isinstance(error.__cause__, _END_OF_DATA):
        return "truncated"
    if re.search("truncated|EOF|chunk b''|not enough image data|cannot load this image", text, re.IGNORECASE):
        return "truncated"
    return f"damaged ({text or type(error).__name__})"
