"""Limits that are checked in a file's header, before a pixel of it is decoded."""

import math
import os
import re
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from PIL import ImageFile, TiffImagePlugin

from jointmat.errors import ImageError, ImageTooLarge, InputError
from jointmat.io.source import Encoded

DEFAULT_MAX_PIXELS = 8192 * 6144
"""what phones call 50 megapixels"""

_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # not restarts: they stand inside of a scan
_MOST_WALKED = 2_500_000_000  # pixels in some 5 s: libjpeg walks all for each scan, were it 40 bytes long
_USUAL_SCANS = 20  # are accepted whatever the size; encoders make some ten
_WINDOW_BYTES = 1 << 14

_MOST_SEGMENTS = 100_000  # of a JPEG or PNG, some 5 µs each; 50 megapixels have half as many at most
_PNG_END = b"\0\0\0\0IEND"
_PNG_END_CHECKSUM = zlib.crc32(b"IEND").to_bytes(4)
_PNG_PACKED = (b"iCCP", b"iTXt", b"zTXt")  # Pillow unpacks each, to a megabyte in some 5 ms
_MOST_PACKED = 100

_MOST_EXIF, _MOST_EXIF_BYTES = 20, 1 << 20  # segments and bytes: Pillow copies what it has for each
_MOST_FILL = 1 << 16  # bytes of 0xFF before a marker, which Pillow reads one by one
_MOST_TIFF_VALUES = 100_000  # of a tag, such as strips; Pillow makes a Python object of each
_MOST_PNM_HEADER = 1 << 16
_MOST_PLAIN_BYTES, _MOST_COMMENTS = 2_000_000, 100  # of PNM in decimal, which Python parses
_MOST_RLE_BYTES, _MOST_RLE_PIXELS = 2_000_000, 4_000_000  # of BMP, whose runs Python walks

# Tags of a TIFF.
_WIDTH, _HEIGHT, _SAMPLES, _PLANAR = 256, 257, 277, 284
_STRIPS, _STRIP_HEIGHT = 273, 278
_TIFF_BYTES = (1, 2, 6, 7)  # types of a tag that is not unpacked
_TILES, _TILE_WIDTH, _TILE_HEIGHT = 324, 322, 323


def check_size(height: int, width: int, max_pixels: int, name: str) -> None:
    """InputError for no pixels, ImageTooLarge for more than `max_pixels`."""
    pixels = height * width
    if pixels == 0:
        raise InputError(f"{name}: zero width or height: {width}x{height}")
    if pixels > max_pixels:
        raise ImageTooLarge(
            f"{name}: got {width}x{height} = {pixels} pixels, the limit is {max_pixels}: "
            "raise max_pixels to accept it"
        )


def check_header(file: Encoded) -> list[bytes]:
    """ImageError for a file that Pillow would parse or decode in Python for long.

    Returns the types of a JPEG's segments or a PNG's chunks, else none. Leaves the stream at its start.
    """
    if check := {"PPM": _check_pnm, "BMP": _check_bmp, "TIFF": _check_tiff_tags}.get(file.format):
        check(file)
    walk = {"JPEG": _jpeg_segments, "PNG": _png_chunks}.get(file.format)
    types = list(islice(walk(file), _MOST_SEGMENTS + 1)) if walk else []
    file.stream.seek(0)
    if len(types) > _MOST_SEGMENTS:
        raise ImageError(
            f"{file.name}: got over {_MOST_SEGMENTS} segments, expected at most that many: save it again"
        )
    packed = sum(map(types.count, _PNG_PACKED))
    if packed > _MOST_PACKED:
        raise ImageError(f"{file.name}: got {packed} packed texts or profiles, expected at most {_MOST_PACKED}")
    return types


def check_parsed(image: ImageFile.ImageFile, segments: list[bytes], file: Encoded) -> None:
    """ImageError or ImageTooLarge for what would take long to decode, and for a TIFF that is not whole.

    image : parsed, and not decoded
    segments : from `check_header`
    """
    check_size(image.height, image.width, file.max_pixels, file.name)
    scans, most = segments.count(_JPEG_SCAN), max(_USUAL_SCANS, _MOST_WALKED // (image.height * image.width))
    if scans > most:
        advice = "save it again as baseline JPEG"
        raise ImageError(f"{file.name}: got {scans} scans, expected at most {most}: {advice}")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiles(image, file)
        _check_all_there(image, file)


def _check_pnm(file: Encoded) -> None:
    stream = file.stream
    head = stream.read(_MOST_PNM_HEADER)
    words = re.sub(rb"#[^\n\r]*", b" ", head[2:]).split()
    numbers = 2 if head[1:2] in b"14" else 3  # width, height, and of what is not a bitmap the highest level
    if len(head) == _MOST_PNM_HEADER and len(words) < numbers:
        raise ImageError(f"{file.name}: got a header of over {_MOST_PNM_HEADER} bytes: save it again")
    if head[1:2] in b"123":
        rest = stream.read(_MOST_PLAIN_BYTES)
        if stream.read(1):
            raise ImageError(f"{file.name}: got decimal PNM of over {_MOST_PLAIN_BYTES} bytes: save it as binary")
        if (head + rest).count(b"#") > _MOST_COMMENTS:
            raise ImageError(f"{file.name}: got over {_MOST_COMMENTS} comments: save it without")


def _check_bmp(file: Encoded) -> None:
    stream = file.stream
    head = stream.read(34)
    if len(head) < 34 or head[14] < 40:  # of OS/2, which has no compression
        return
    width, height = struct.unpack_from("<ii", head, 18)
    if struct.unpack_from("<I", head, 30)[0] not in (1, 2):
        return
    size = stream.seek(0, os.SEEK_END)
    if size > _MOST_RLE_BYTES or abs(width * height) > _MOST_RLE_PIXELS:
        most = f"{_MOST_RLE_PIXELS} pixels and {_MOST_RLE_BYTES} bytes"
        raise ImageError(f"{file.name}: got {width}x{abs(height)} run-length encoded, expected at most {most}")


def _check_tiff_tags(file: Encoded) -> None:
    """The first directory's tags: TIFF 6.0 § 2, BigTIFF with numbers twice as long."""
    stream = file.stream
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if len(head) < (16 if big else 8):
        return
    stream.seek(
        struct.unpack_from(f"{order}Q", head, 8)[0] if big else struct.unpack_from(f"{order}I", head, 4)[0]
    )
    entry, length = (f"{order}HHQ8x", "Q") if big else (f"{order}HHI4x", "H")
    number = stream.read(struct.calcsize(length))
    if len(number) < struct.calcsize(length):
        return
    entries = stream.read(min(struct.unpack(f"{order}{length}", number)[0], 1 << 16) * struct.calcsize(entry))
    whole = len(entries) // struct.calcsize(entry) * struct.calcsize(entry)
    for tag, kind, count in struct.iter_unpack(entry, entries[:whole]):
        if count > _MOST_TIFF_VALUES and kind not in _TIFF_BYTES:
            most = _MOST_TIFF_VALUES
            raise ImageError(f"{file.name}: got {count} values of tag {tag}, expected at most {most}")


def _jpeg_segments(file: Encoded) -> Iterator[bytes]:
    """Yield the marker of every segment before the end of the image, as libjpeg finds them.

    ImageError for EXIF in many pieces or many fill bytes, before the first scan: what is behind it, Pillow leaves
    to libjpeg.
    """
    stream = file.stream
    stream.seek(2)
    end, exif, exif_bytes, in_header = 2, 0, 0, True
    while (marker := _next_jpeg_marker(stream)) != _JPEG_END:
        yield marker
        in_header &= marker != _JPEG_SCAN
        if in_header and stream.tell() - end > _MOST_FILL:
            raise ImageError(f"{file.name}: got over {_MOST_FILL} bytes between two segments: save it again")
        length = max(2, int.from_bytes(stream.read(2)))  # counts its own two bytes
        start = stream.tell()
        if in_header and marker == b"\xff\xe1" and stream.read(6) == b"Exif\0\0":
            exif, exif_bytes = exif + 1, exif_bytes + length
            if exif > _MOST_EXIF or exif_bytes > _MOST_EXIF_BYTES:
                most = f"{_MOST_EXIF} segments or {_MOST_EXIF_BYTES} bytes"
                raise ImageError(f"{file.name}: got over {most} of EXIF")
        end = stream.seek(start + length - 2)


def _next_jpeg_marker(stream: BinaryIO) -> bytes:
    """Return the next marker and go behind it; at the end of the data it is that of the image's end."""
    start = stream.tell()
    while window := stream.read(_WINDOW_BYTES):
        if found := _JPEG_MARKER.search(window):
            stream.seek(start + found.end())
            return found[0]
        start += max(1, len(window) - 1)  # the last byte may be the first of a marker
        stream.seek(start)
    return _JPEG_END


def _png_chunks(file: Encoded) -> Iterator[bytes]:
    """Yield the types of the chunks up to IEND, whose checksum Pillow does not check."""
    stream = file.stream
    stream.seek(8)
    while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
        yield head[4:]
        stream.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)  # behind the data and the checksum
    checksum = stream.read(4)
    if head == _PNG_END and len(checksum) == 4 and checksum != _PNG_END_CHECKSUM:
        raise ImageError(f"{file.name}: damaged (bad checksum of IEND)")


def _check_tiles(image: TiffImagePlugin.TiffImageFile, file: Encoded) -> None:
    """Hold a tile, which may be larger than the image, to the same limit."""
    height, width = (image.tag_v2.get(tag, 1) for tag in (_TILE_HEIGHT, _TILE_WIDTH))
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ImageError(f"{file.name}: damaged (the size of its tiles is not a number)")
    check_size(height, width, file.max_pixels, f"{file.name}: a tile")


def _check_all_there(image: TiffImagePlugin.TiffImageFile, file: Encoded) -> None:
    """Refuse a TIFF whose strips, or tiles, do not cover it: Pillow would leave the rest black."""
    tags = image.tag_v2
    if not {_STRIPS, _TILES} & tags.keys():  # as JPEG is stored the old way: libtiff knows how
        return
    width, height = tags[_WIDTH], tags[_HEIGHT]  # as stored: the image's are upright
    if _STRIPS in tags:
        offsets, across, down = tags[_STRIPS], width, tags.get(_STRIP_HEIGHT, height)
    else:
        offsets, across, down = tags[_TILES], tags.get(_TILE_WIDTH), tags.get(_TILE_HEIGHT)
    planes = tags.get(_SAMPLES, 1) if tags.get(_PLANAR) == 2 else 1
    if not all(isinstance(number, int) and number > 0 for number in (across, down, planes)):
        raise ImageError(f"{file.name}: damaged (the size of its strips or tiles is not a number)")
    if len(offsets) < math.ceil(width / across) * math.ceil(height / down) * planes:
        raise ImageError(f"{file.name}: truncated")
