"""Size of an image as stated in the first bytes of its header.

For an estimate alone, made for every upload in the event loop: bounded work, no parser, and no error. What a
worker decodes, and whether it may, is up to `jointmat.io`.
"""

import re
import struct

_MOST_SEGMENTS = 500
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's markers that carry the size
_PNM = re.compile(rb"P[1-6]\s+(?:#[^\n]{0,200}\n\s*){0,5}(\d{1,7})\s+(\d{1,7})\s")


def pixels_of(data: bytes) -> int:
    """Height times width; 0 for a header that does not say: no photo has one, so that it deserves little time."""
    try:
        width, height = _size(data)
    except (struct.error, IndexError, LookupError):
        return 0
    return abs(width * height)


def _size(data: bytes) -> tuple[int, int]:
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG"):
        return struct.unpack_from(">II", data, 16)
    if data.startswith(b"GIF8"):
        return struct.unpack_from("<HH", data, 6)
    if data.startswith(b"BM"):
        return struct.unpack_from("<ii", data, 18)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(data)
    if found := _PNM.match(data[:2048]):
        return int(found[1]), int(found[2])
    raise LookupError


def _jpeg(data: bytes) -> tuple[int, int]:
    place = 2
    for _ in range(_MOST_SEGMENTS):
        _, marker, length = struct.unpack_from(">BBH", data, place)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + length
    raise LookupError


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> tuple[int, int]:
    order = "<" if data[0] == 0x49 else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    sides = {}
    for entry in range(start + 2, start + 2 + 12 * min(count, 100), 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (256, 257):
            (sides[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8)
    return sides[256], sides[257]
