"""Pillow's parsers by format, and their errors in this package's words.

`PIL.Image.open` would try one parser after the other, and apply `PIL.Image.MAX_IMAGE_PIXELS` instead of
`max_pixels`. So the format is told from the first bytes, and no other parser ever sees the file.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

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
FORMATS = (*PARSERS, "HEIC")

_END_OF_DATA = (IndexError, TypeError, EOFError, struct.error)  # what Pillow's parsers raise where data ends


def parser_of(format: str) -> type[ImageFile.ImageFile]:
    """The class that parses one of `FORMATS`."""
    if format == "HEIC":
        from pillow_heif import HeifImageFile

        return HeifImageFile
    return PARSERS[format]


@contextmanager
def parser_errors(name: str) -> Iterator[None]:
    """The one door for trouble with bytes from outside: whatever a parser raises within becomes ImageError, and
    Pillow's limit on pixels ImageTooLarge. MemoryError passes, since it is not the file's alone."""
    try:
        yield
    except (JointmatError, JointmatWarning, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        advice = "raise max_pixels and PIL.Image.MAX_IMAGE_PIXELS to accept it"
        raise ImageTooLarge(f"{name}: {str(error).rstrip('.')}: {advice}") from error
    except Exception as error:
        raise ImageError(f"{name}: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """Translate a parser's error into this package's words."""
    text = " ".join(str(error).split())
    if "not identified by this driver" in text:
        return "zero width or height, or no known pixel format"
    if isinstance(error, ModuleNotFoundError) and error.name == "pillow_heif":
        return f"HEIC needs pillow-heif: {pip_install('heic')}"
    if isinstance(error, _END_OF_DATA) or isinstance(error.__cause__, _END_OF_DATA):
        return "truncated"
    if re.search("truncated|EOF|chunk b''|not enough image data|cannot load this image", text, re.IGNORECASE):
        return "truncated"
    return f"damaged ({text or type(error).__name__})"
