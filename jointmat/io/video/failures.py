"""Translates PyAV's errors on untrusted files into this package's, here and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

import av

from jointmat.errors import JointmatError, VideoError


@contextmanager
def as_video_error(what: str) -> Iterator[None]:
    """VideoError "WHAT: cause" for any exception of the block.

    PyAV mirrors FFmpeg's errors in classes of its own and lets others through, such as the UnicodeDecodeError of
    a tag that is not UTF-8, so that no list of classes would be complete. The package's own errors pass, and so
    does MemoryError, unless it is FFmpeg's: a damaged file may ask it for any amount.
    """
    try:
        yield
    except JointmatError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) and not isinstance(error, av.error.FFmpegError):
            raise
        raise VideoError(f"{what}: {cause(error)}") from error


def cause(error: Exception) -> str:
    """The first line of an error's text, or its class."""
    text = str(getattr(error, "strerror", None) or error)
    return text.partition("\n")[0] or type(error).__name__
