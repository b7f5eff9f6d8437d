"""From an encoded image to Pillow's, decoded."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image, ImageFile

from jointmat.errors import JointmatWarning
from jointmat.io.limits import DEFAULT_MAX_PIXELS, check_header, check_parsed
from jointmat.io.parsers import parser_errors, parser_of
from jointmat.io.source import Encoded, EncodedSource, opened


class Decoded(NamedTuple):
    """A Pillow image, its pixels as stored."""

    image: Image.Image
    name: str
    """what messages call it"""


@contextmanager
def decoded(source: EncodedSource, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Decoded]:
    """Decode a file by this package's parsers and limits; errors as in `jointmat.io.image.load_image`."""
    with opened(source, max_pixels) as file:
        yield Decoded(_decode(file), file.name)


def size_of(file: Encoded) -> int:
    """Return H·W of a file by its header."""
    with parser_errors(file.name):
        check_header(file)
        image = parser_of(file.format)(file.stream)
        return image.height * image.width


def _decode(file: Encoded) -> ImageFile.ImageFile:
    with parser_errors(file.name):
        image = _parse(file)
        if file.format == "PNG":  # the checksums of chunks that decoding skips; then Pillow wants it parsed again
            image.verify()
            image = _parse(file)
        if getattr(image, "is_animated", False):
            text = f"{file.name}: has more than one frame: only the first is used"
            warnings.warn(text, JointmatWarning, stacklevel=2)
        image.load()
        return image


def _parse(file: Encoded) -> ImageFile.ImageFile:
    """Parse the header and check how much there is to decode; no pixel is decoded."""
    segments = check_header(file)
    image = parser_of(file.format)(file.stream)
    check_parsed(image, segments, file)
    _scale_transparent_colour(image)
    return image


def _scale_transparent_colour(image: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a parsed PNG to 8 bits, which Pillow does with its pixels alone."""
    if not image.tile or "transparency" not in image.info:
        return
    stored, colour = image.tile[0].args, image.info["transparency"]
    if stored == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif stored in ("L;2", "L;4"):
        image.info["transparency"] = colour * {"L;2": 85, "L;4": 17}[stored]
