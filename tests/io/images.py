"""Images and files to read, some of them made by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jointmat.errors import ImageError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_SCAN = b"\xff\xda"


def noise(height=20, width=24, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(image, format, **options):
    """Return an array or a Pillow image as the bytes of a file."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows, depth=8, colour_type=2, before_data=b""):
    """Return a PNG made by hand; `rows` are the unfiltered bytes with their filter byte."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return PNG_MAGIC + header + before_data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png16(values):
    """Return HxWxC uint16 as a 16-bit PNG; C = 1, 2, 3 or 4."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, rows, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels])


def tiff(data, numbers, kinds=()):
    """Return a TIFF made by hand of its data, at offset 8, and its tags; `kinds` are the types of some."""
    entries = (struct.pack("<HHII", tag, dict(kinds).get(tag, 4), 1, numbers[tag]) for tag in sorted(numbers))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return head + data + struct.pack("<H", len(numbers)) + b"".join(entries) + bytes(4)


def assert_one_form(array, height, width):
    assert array.shape == (height, width, 3)
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.owndata


def message(call, kind=ImageError):
    with pytest.raises(kind) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)
