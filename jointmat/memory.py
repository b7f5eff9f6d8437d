"""Lack of memory as an error of this package."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from jointmat.errors import DeviceError


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Raise DeviceError where numpy, Pillow or OpenCV find no memory for `what`, such as a file's name."""
    try:
        yield
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        raise DeviceError(f"{what}: not enough memory; use a smaller image, or free some memory") from error
