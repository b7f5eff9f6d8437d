"""Write a file whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jointmat.errors import InputError, JointmatError

_STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, which is synced to the disk and renamed over `path`
    when the block ends. When the block ends by an exception, KeyboardInterrupt included, the temporary file
    is removed and a file that was at `path` before is still there, unchanged.

    Parameters
    ----------
    path
        A new name or that of a regular file, which is replaced. A symbolic link is replaced, not followed.

    Yields
    ------
    BinaryIO
        A buffered file open for writing and seeking. It gets the permissions that the umask leaves to a new
        file.

    Raises
    ------
    InputError
        The folder is missing or not writable, the name is too long or impossible, or `path` is a folder, device
        or pipe; told before the block begins.
    JointmatError
        The disk is full or failed; the OSError is its cause.
    """
    target = Path(path)
    temporary = target.parent / f".jointmat-{secrets.token_hex(8)}.tmp"
    file = _create(temporary, target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target)
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        raise _failure(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path for a message: as it is, or quoted and escaped if it would break the line or not show."""
    text = os.fspath(path)
    return text if text and text.isprintable() else repr(text)


def _create(temporary: Path, target: Path) -> BinaryIO:
    """Create the temporary file. Mode "x" leaves its permissions to the umask, which `tempfile` does not."""
    _check_name(target)
    try:
        # Renaming over a device would destroy it: as root, even /dev/null.
        if target.exists() and not target.is_file():
            raise InputError(f"{printable(target)}: cannot be written: it exists and is not a regular file")
        return temporary.open("xb")
    except OSError as error:
        raise _failure(target, error) from error


def _check_name(target: Path) -> None:
    """Refuse what no file can be called, for renaming to it would only fail after all the work."""
    try:
        with suppress(FileNotFoundError):
            target.lstat()
    except OSError as error:
        raise _failure(target, error) from error
    except ValueError as error:
        raise InputError(f"{printable(target)}: cannot be written: {error}") from error


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except OSError as error:
        raise _failure(target, error) from error


def _failure(target: Path, error: OSError) -> JointmatError:
    """Return the error to raise for a failed write: InputError unless the storage itself failed."""
    kind = JointmatError if error.errno in _STORAGE_ERRORS else InputError
    cause = "no such folder" if error.errno == errno.ENOENT else error.strerror
    return kind(f"{printable(target)}: cannot be written: {cause}")
