"""The protocol of a backend."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import numpy as np

from jointmat.errors import DeviceError


class RawOutput(NamedTuple):
    """The network's answer for a batch, float32 in [0, 1]."""

    alpha: np.ndarray  # B, 1, h, w
    trimap: np.ndarray  # B, 3, h/4, w/4: background, unknown, foreground that alpha was made with
    mask: np.ndarray  # B, 1, h/4, w/4


@contextmanager
def memory_errors(where: str, image: np.ndarray, *kinds: type[Exception]) -> Iterator[None]:
    """Raise DeviceError where a runtime, by one of `kinds`, runs out of memory on an image (B, 3, h, w)."""
    caught: tuple[type[Exception], ...] = (MemoryError, *kinds)
    try:
        yield
    except caught as error:
        if not isinstance(error, MemoryError) and not re.search("alloc|out of memory", str(error), re.IGNORECASE):
            raise
        count, _, height, width = image.shape
        batch = f"{count} images of " if count > 1 else ""
        advice = "use a smaller max_side"
        raise DeviceError(f"{where}: not enough memory for {batch}{height}x{width} (HxW): {advice}") from error


class Backend(Protocol):
    """Runs one model on one device. `run` may be called from several threads at once."""

    @property
    def name(self) -> str:
        """as `backend=` takes it"""

    @property
    def device(self) -> str:
        """where it runs"""

    @property
    def stride(self) -> int:
        """h and w must be multiples of it"""

    @property
    def engine(self) -> str:
        """engine as shown to users: runtime, device, file and precision"""

    def run(
        self, image: np.ndarray, trimap: np.ndarray | None = None, prior: np.ndarray | None = None
    ) -> RawOutput:
        """Alpha, trimap and mask of a batch; float32.

        Parameters
        ----------
        image : (B, 3, h, w) RGB in [0, 1]
        trimap : (B, 3, h, w) planes that sum to 1, or to 0 where the network is to use its own; None for that
            everywhere
        prior : (B, 1, h, w) in [0, 1] an earlier alpha, used where a trimap is given; None for F + U/2

        Raises
        ------
        DeviceError
            if there is not enough memory.
        """
