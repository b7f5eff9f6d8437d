"""Where an encoded picture's bytes come from: a path, bytes, or an open file, as one seekable stream."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias, TypeGuard

from jointmat.errors import ImageError, InputTypeError
from jointmat.io.atomic import printable

EncodedSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO


def is_encoded(source: object) -> TypeGuard[EncodedSource]:
    """Tell a path, bytes or a file object from pictures that are decoded already."""
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read")


def name_of(source: object) -> str:
    """Return what messages call a source: its path if it has one."""
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    if isinstance(path, (str, os.PathLike)):
        return printable(path)
    return "<file>" if hasattr(source, "read") else "<bytes>"


@contextmanager
def opened(source: EncodedSource, name: str) -> Iterator[BinaryIO]:
    """Yield a seekable stream at its start; close it afterwards only if it was opened here."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with _open_regular(source, name) as file:
            yield file
    else:
        yield _rewound(source, name)


def _rewound(file: BinaryIO, name: str) -> BinaryIO:
    """Return a file object at its start; of one that cannot seek, what is left to read."""
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
        raise ImageError(f"{name}: no such file") from error
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    raise ImageError(f"{name}: not a regular file")
