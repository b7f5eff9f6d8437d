"""From a stream to a decoded Pillow image.

`PIL.ImageFile.LOAD_TRUNCATED_IMAGES` stays off, since it is global to the process: of a file that ends too early,
what Pillow had decoded by then is kept.
"""

import io
import warnings
from typing import BinaryIO

from PIL import Image, ImageFile, TiffImagePlugin

from jointmat.errors import JointmatWarning
from jointmat.io.limits import JPEG_END, JPEG_SCAN, check_header, check_scans, check_size, check_tiff, segments
from jointmat.io.parsers import cause, parse, parser_errors

# What can be decoded up to where the data ends; WebP and TIFF come as a whole or not at all.
DECODED_IN_ORDER = frozenset({"JPEG", "PNG", "GIF", "BMP", "PPM"})


def decode(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Parse and decode an intact file."""
    picture = _parse(stream, kind, name, max_pixels)
    if kind == "PNG":
        picture = _verified_png(picture, stream, name, max_pixels)
    _warn_of_frames(picture, name)
    load_pixels(picture, name)
    return picture


def size_of(stream: BinaryIO, kind: str, name: str) -> int:
    """Return H·W of a file by its header."""
    check_header(stream, kind, name)
    segments(stream, kind, name)
    picture = parse(stream, kind, name)
    return picture.height * picture.width


def decode_what_is_there(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Parse and decode a file that may end too early, leaving the pixels after its end as they are."""
    if kind == "JPEG":  # with an end marker libjpeg completes the picture, progressive ones included
        stream = io.BytesIO(stream.read() + JPEG_END)
    picture = _parse(stream, kind, name, max_pixels)
    _warn_of_frames(picture, name)
    with parser_errors(name):
        try:
            picture.load()
        except Exception as error:
            if cause(error) != "truncated":
                raise
            picture.tile = []  # nothing left to decode: Pillow takes the image for loaded
            picture.load()
    return picture


def load_pixels(picture: Image.Image, name: str) -> None:
    """Decode what is still to be decoded; ImageError for what is damaged."""
    with parser_errors(name):
        picture.load()


def _parse(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Parse the header and check how much there is to decode; no pixel is decoded."""
    check_header(stream, kind, name)
    scans = segments(stream, kind, name).count(JPEG_SCAN)
    picture = parse(stream, kind, name)
    check_size(picture.height, picture.width, max_pixels, name)
    check_scans(scans, picture.height, picture.width, name)
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        check_tiff(picture, max_pixels, name)
    _scale_transparent_colour(picture)
    return picture


def _scale_transparent_colour(picture: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a parsed PNG to 8 bits, which Pillow does with its pixels alone."""
    if not picture.tile or "transparency" not in picture.info:
        return
    stored, colour = picture.tile[0].args, picture.info["transparency"]
    if stored == "RGB;16B":
        picture.info["transparency"] = tuple(value >> 8 for value in colour)
    elif stored in ("L;2", "L;4"):
        picture.info["transparency"] = colour * {"L;2": 85, "L;4": 17}[stored]


def _verified_png(
    picture: ImageFile.ImageFile, stream: BinaryIO, name: str, max_pixels: int
) -> ImageFile.ImageFile:
    """Check the checksums of the chunks that decoding skips, and open the picture again as Pillow asks."""
    with parser_errors(name):
        picture.verify()
    return _parse(stream, "PNG", name, max_pixels)


def _warn_of_frames(picture: ImageFile.ImageFile, name: str) -> None:
    with parser_errors(name):
        animated = getattr(picture, "is_animated", False)
    if animated:
        warnings.warn(f"{name}: has more than one frame: only the first is used", JointmatWarning, stacklevel=2)
