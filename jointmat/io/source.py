"""Where an encoded image comes from: a path, bytes, or an open file."""

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, TypeGuard

from jointmat.errors import ImageError, InputTypeError
from jointmat.io.atomic import printable
from jointmat.io.parsers import FORMATS, parser_errors

EncodedSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO

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


@dataclass(frozen=True)
class Encoded:
    """An encoded image, open for reading."""

    stream: BinaryIO
    """at its start, and seekable"""
    name: str
    """what messages call it"""
    format: str
    """one of `FORMATS`, told from the first bytes"""
    max_pixels: int
    """the largest H·W to decode"""


def is_encoded(source: object) -> TypeGuard[EncodedSource]:
    """Tell a path, bytes or a file object from images that are decoded already."""
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read")


@contextmanager
def opened(source: EncodedSource, max_pixels: int) -> Iterator[Encoded]:
    """Open a source and tell its format; close it afterwards only if it was opened here."""
    name = _name_of(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield _encoded(io.BytesIO(source), name, max_pixels)
    elif isinstance(source, (str, os.PathLike)):
        with _open_regular(source, name) as file:
            yield _encoded(file, name, max_pixels)
    else:
        yield _encoded(_rewound(source, name), name, max_pixels)


def _name_of(source: object) -> str:
    """The path of a source that has one, for messages."""
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    if isinstance(path, (str, os.PathLike)):
        return printable(path)
    return "<file>" if hasattr(source, "read") else "<bytes>"


def _encoded(stream: BinaryIO, name: str, max_pixels: int) -> Encoded:
    with parser_errors(name):
        head = stream.read(_SIGNATURE_BYTES)
        stream.seek(0)
    if not head:
        raise ImageError(f"{name}: empty file")
    expected = f"expected one of {', '.join(FORMATS)}"
    for format, signature in _SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            if format not in FORMATS:
                raise ImageError(f"{name}: format not allowed: got {format}, {expected}")
            return Encoded(stream, name, format, max_pixels)
    raise ImageError(f"{name}: not an image: {expected}")


def _rewound(file: BinaryIO, name: str) -> BinaryIO:
    """Return a file object at its start, or the rest of one that cannot seek."""
    try:
        if isinstance(file.read(0), str):
            raise InputTypeError(f"{name}: the file is open as text: open it in binary mode")
        if not (hasattr(file, "seekable") and file.seekable()):
            return io.BytesIO(file.read())
        file.seek(0)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    return file


def _open_regular(path: str | os.PathLike[str], name: str) -> BinaryIO:
    """Open a path for reading, unless reading it could block or never end: a pipe, a device, a folder."""
    try:
        if stat.S_ISREG(Path(path).stat().st_mode):
            return Path(path).open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file{_hint(os.fsdecode(path))}") from error
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    kind = "a folder; pass its files one by one" if Path(path).is_dir() else "not a regular file"
    raise ImageError(f"{name}: {kind}")


def _hint(path: str) -> str:
    """Advice for something that looks like a path and is none."""
    if re.match(r"\w+://", path):
        return "; download it and pass its bytes"
    if path.startswith("~"):
        return "; pass Path(...).expanduser()"
    return "; pass a list of files, such as glob.glob(...)" if set(path) & set("*?[") else ""
