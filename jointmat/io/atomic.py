"""Write a file whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jointmat.errors import InputError, JointmatError

_STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENAMETOOLONG})


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, which is synced to the disk and renamed over `path`
    when the block ends. When the block ends by any exception, KeyboardInterrupt included, the temporary file
    is removed and a file that was at `path` before is still there, unchanged.

    Parameters
    ----------
    path
        A new name or that of a regular file, which is replaced. A symbolic link is replaced, not followed.

    Yields
    ------
    BinaryIO
        A buffered file open for writing and seeking. The finished file has the permissions that `open`
        would have given it under the process's umask.

    Raises
    ------
    InputError
        The folder is missing or not writable, or `path` is a folder, a device or a pipe.
    JointmatError
        The disk is full or failed, or the name is too long; the OSError is its cause.
    """
    target = Path(path)
    name = printable(path)
    # Renaming over a device node would destroy it: as root, /dev/null itself.
    if target.exists() and not target.is_file():
        raise InputError(f"{name}: cannot be written: it exists and is not a regular file")
    temporary = target.parent / f".jointmat-{secrets.token_hex(8)}.tmp"
    try:
        with _create(temporary, name) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        raise JointmatError(f"{name}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as it stands in a message: quoted and escaped where it would not show or break the line."""
    text = os.fspath(path)
    return text if text and text.isprintable() else repr(text)


def _create(temporary: Path, name: str) -> BinaryIO:
    """Create the temporary file; mode "x" leaves its permissions to the umask, unlike `tempfile`."""
    try:
        return temporary.open("xb")
    except FileNotFoundError as error:
        raise InputError(f"{name}: cannot be written: no such folder") from error
    except (PermissionError, NotADirectoryError) as error:
        raise InputError(f"{name}: cannot be written: {error.strerror}") from error
