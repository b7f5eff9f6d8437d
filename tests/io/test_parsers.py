"""Trouble that a parser has with bytes from outside leaves as this package's own error."""

import builtins
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from jointmat.errors import ImageError, ImageTooLarge, InputError, JointmatWarning
from jointmat.io.image import load_alpha, load_image
from jointmat.io.parsers import parser_errors
from tests.io.images import encoded, message, noise, png, tiff


def built_in_errors():
    kinds = (value for value in vars(builtins).values() if isinstance(value, type))
    return [kind for kind in kinds if issubclass(kind, Exception) and kind is not MemoryError]


def made(kind):
    """An exception of a kind, whatever its arguments are."""
    arguments = {
        UnicodeDecodeError: ("utf-8", b"x", 0, 1, "why"),
        UnicodeEncodeError: ("utf-8", "x", 0, 1, "why"),
        UnicodeTranslateError: ("x", 0, 1, "why"),
        ExceptionGroup: ("why", [ValueError()]),
        BaseExceptionGroup: ("why", [ValueError()]),
    }
    return kind(*arguments.get(kind, ["two\nlines"]))


@pytest.mark.parametrize("kind", built_in_errors(), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_becomes_an_image_error(kind):
    error = made(kind)

    def call():
        with parser_errors("a.png"):
            raise error

    assert message(call).startswith("a.png: ")


@pytest.mark.parametrize(
    "error", [InputError("mine"), JointmatWarning("mine"), MemoryError(), KeyboardInterrupt()]
)
def test_what_passes_the_door(error):
    with pytest.raises(type(error)) as raised, parser_errors("a.png"):
        raise error
    assert raised.value is error


def test_pillows_bomb_is_too_large():
    with pytest.raises(ImageTooLarge, match="max_pixels"), parser_errors("a.png"):
        raise Image.DecompressionBombError("big.")


@pytest.mark.parametrize("step", ["_open", "load"])
@pytest.mark.parametrize("kind", [AssertionError, RecursionError, UnicodeError, ArithmeticError, RuntimeError])
def test_the_parser_is_behind_the_door(step, kind, monkeypatch):
    def broken(*args):
        raise kind("why")

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, step, broken)
    data = encoded(noise(), "JPEG")
    for load in (load_image, load_alpha):
        with pytest.raises(ImageError, match="damaged"):
            load(data)


def test_a_palette_png_without_a_palette():
    data = png(4, 4, b"\0\0\0\0\0" * 4, depth=8, colour_type=3)
    with pytest.raises(ImageError):
        load_image(data)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 6, 8, 9, 13])
def test_a_tiff_whose_profile_is_no_profile(kind):
    grey = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 273: 8, 34675: 77}
    data = tiff(bytes([7]) * 256, grey, {34675: kind})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JointmatWarning)
        np.testing.assert_array_equal(load_image(data), np.full((16, 16, 3), 7))


# Files that took Pillow from 12 to over 100 s: refused by their headers, before they are parsed.


def a_jpeg_with(before_scan):
    data = encoded(noise(), "JPEG")
    return data[:2] + before_scan + data[2:]


def exif(size):
    return b"\xff\xe1" + struct.pack(">H", size + 8) + b"Exif\0\0" + bytes(size)


def bmp(width, height, compression, data):
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, {1: 8, 2: 4}[compression], compression, 0, 0, 0, 0, 0
    )
    palette = bytes(4 * (256 if compression == 1 else 16))
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def tiff_of_many(tag, kind, count, big=False):
    entries = {256: (4, 1, 8), 257: (4, 1, 8), tag: (kind, count, 8)}
    if big:
        body = b"".join(struct.pack("<HHQQ", tag, *value) for tag, value in sorted(entries.items()))
        return struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(entries)) + body + bytes(8)
    body = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(entries.items()))
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + body + bytes(4)


COSTLY = {
    "PGM of comments": (b"P2 1000 1000 255\n" + b"#\n" * 500_000, "comments"),
    "PBM of comments": (b"P1 1000 1000\n" + b"#\n" * 900_000, "comments"),
    "long PGM of comments": (b"P2 1000 1000 255\n" + b"#\n" * 2_000_000, "decimal"),
    "PPM header of comments": (b"P6 #" + b"x" * 3_000_000 + b"\n8 8 255\n" + bytes(192), "header"),
    "PPM header of blanks": (b"P6" + b" " * 3_000_000 + b"8 8 255\n" + bytes(192), "header"),
    "plain PPM": (b"P3 1000 1000 255\n" + b"1 " * 3_000_000, "decimal"),
    "EXIF in many segments": (a_jpeg_with(exif(190) * 21), "EXIF"),
    "EXIF of many bytes": (a_jpeg_with(exif(65_000) * 17), "EXIF"),
    "fill bytes": (a_jpeg_with(b"\xff" * 3_000_000), "between two segments"),
    "TIFF of strips": (tiff_of_many(273, 4, 1_000_000), "273"),
    "BigTIFF of strips": (tiff_of_many(273, 16, 1_000_000, big=True), "273"),
    "TIFF of tiles": (tiff_of_many(324, 4, 4_000_000), "324"),
    "TIFF of rationals": (tiff_of_many(33434, 5, 2_300_000), "33434"),
    "BMP of short runs": (bmp(1000, 1000, 1, b"\1\0" * 1_500_000), "run-length"),
    "BMP of short runs of 4 bits": (bmp(1000, 1000, 2, b"\1\0" * 1_500_000), "run-length"),
    "BMP of ends of line": (bmp(24_900_000, 1, 1, b"\0\0" * 1000), "run-length"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_file_is_refused_before_it_is_parsed(name, monkeypatch):
    data, key = COSTLY[name]
    monkeypatch.setattr("jointmat.io.parsers.PARSERS", {})  # a parser would be a KeyError: "damaged"
    text = message(lambda: load_image(data))
    assert key in text
    assert "damaged" not in text


def test_what_is_usual_is_not_refused():
    np.testing.assert_array_equal(load_image(b"P2 2 1 255 # two\n0 # black\n255\n")[..., 0], [[0, 255]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JointmatWarning)  # of zeros as EXIF
        for extra in (
            exif(60_000) * 3,
            b"\xff" * 100,
            b"\xff\xe1\xff\xff" + b"http://ns.adobe.com/" + bytes(65_513),
        ):
            data = a_jpeg_with(extra)
            np.testing.assert_array_equal(load_image(data), load_image(encoded(noise(), "JPEG")))
    runs = bmp(4, 2, 1, b"\4\0\0\0\4\0\0\1")
    assert load_image(runs).shape == (2, 4, 3)
    strips = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 273: 8, 279: len(zlib.compress(bytes(256)))}
    assert load_image(tiff(zlib.compress(bytes(256)), strips)).shape == (16, 16, 3)
