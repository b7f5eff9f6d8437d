"""Small files that are costly to decode: headers without end, runs that lead nowhere, tables of nothing."""

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image

_MEGA = 1_000_000


def _jpeg() -> tuple[bytes, bytes]:
    """The start of a small JPEG, and the rest: what stands between them is read first."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "jpeg")
    return buffer.getvalue()[:2], buffer.getvalue()[2:]


def _exif_segments(count: int) -> bytes:
    start, rest = _jpeg()
    content = b"Exif\0\0" + bytes(182)
    return start + count * (b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content) + rest


def _fill_bytes(count: int) -> bytes:
    start, rest = _jpeg()
    return start + count * b"\xff" + rest


def _tiff(width: int, height: int, entries: list[tuple[int, int, int, int]], tables: bytes) -> bytes:
    """Entries of (tag, type, count, value), with the tables that values of 1,000,000 and more point into."""
    entries = sorted([(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), *entries])
    start = 8 + 2 + 12 * len(entries) + 4
    body = b"".join(
        struct.pack("<HHII", tag, kind, count, value - _MEGA + start if value >= _MEGA else value)
        for tag, kind, count, value in entries
    )
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + bytes(4) + tables


def _strips(count: int) -> bytes:
    entries = [(273, 4, count, _MEGA), (278, 4, 1, 1), (279, 4, count, _MEGA)]
    return _tiff(1, 1000, entries, np.full(count, 8, "<u4").tobytes())


def _rationals(count: int) -> bytes:
    entries = [(273, 4, 1, 8), (278, 4, 1, 8), (279, 4, 1, 64), (33432, 5, count, _MEGA)]
    return _tiff(8, 8, entries, np.ones(2 * count, "<u4").tobytes())


def _bmp(width: int, height: int, bits: int, compression: int, data: bytes) -> bytes:
    palette = bytes(4 << bits)
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


FILES: dict[str, Callable[[], bytes]] = {
    "PGM of comments, 1 MB": lambda: b"P2 1000 1000 255\n" + 500_000 * b"#\n",
    "PBM of comments, 4 MB": lambda: b"P1 1000 1000\n" + 2_000_000 * b"#\n",
    "PPM header of comments, 19 MB": lambda: b"P6\n" + 9_500_000 * b"#\n" + b"8 8 255\n" + bytes(192),
    "PPM header of blanks, 19 MB": lambda: b"P6" + 19_000_000 * b" " + b"8 8 255\n" + bytes(192),
    "plain PPM, 19 MB": lambda: b"P3 1800 1750 255\n" + 9_450_000 * b"7 ",
    "JPEG of 20,000 EXIF segments": lambda: _exif_segments(20_000),
    "JPEG of 99,000 EXIF segments": lambda: _exif_segments(99_000),
    "JPEG of fill bytes, 19 MB": lambda: _fill_bytes(19_000_000),
    "TIFF of 1 million strips": lambda: _strips(1_000_000),
    "TIFF of 4 million strips": lambda: _strips(4_000_000),
    "TIFF of 2.3 million rationals": lambda: _rationals(2_300_000),
    "BMP RLE8 of short runs, 19 MB": lambda: _bmp(4900, 4900, 8, 1, 9_500_000 * b"\1\0"),
    "BMP RLE4 of short runs, 19 MB": lambda: _bmp(4900, 4900, 4, 2, 9_500_000 * b"\1\0"),
    "BMP RLE8 of line ends, 3 kB": lambda: _bmp(24_900_000, 1, 8, 1, 1000 * b"\0\0"),
}
"""Each took a decoder from ten seconds to minutes when it was found."""
