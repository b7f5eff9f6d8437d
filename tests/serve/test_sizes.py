"""Sizes from headers, for an estimate that must not cost anything."""

import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs jointmat[serve]")

from jointmat.serve.sizes import pixels_of
from tests.serve.costly import FILES

FORMATS = {"jpeg": {}, "png": {}, "gif": {}, "bmp": {}, "tiff": {}, "ppm": {}, "webp": {"lossless": True}}


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_says_its_size(format):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((30, 70, 3), np.uint8)).save(buffer, format, **FORMATS[format])
    assert pixels_of(buffer.getvalue()) == 30 * 70


def test_webp_in_its_other_forms():
    for options in ({"quality": 80}, {"exif": b"Exif\0\0"}):
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((30, 70, 3), np.uint8)).save(buffer, "webp", **options)
        assert pixels_of(buffer.getvalue()) == 30 * 70


def test_a_size_behind_exif_is_found():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((30, 70, 3), np.uint8)).save(buffer, "jpeg", exif=b"Exif\0\0" + bytes(60_000))
    assert pixels_of(buffer.getvalue()) == 30 * 70


@pytest.mark.parametrize(
    "data", [b"", b"words", b"\xff\xd8", b"\x89PNG", b"II*\0\xff\xff\xff\xff", b"P2 #", b"BM"]
)
def test_what_does_not_say_is_0(data):
    assert pixels_of(data) == 0


@pytest.mark.parametrize("name", FILES)
def test_costly_files_are_no_trouble(name):
    assert pixels_of(FILES[name]()) >= 0
