"""What a backend must offer."""

from typing import NamedTuple, Protocol

import numpy as np


class RawOutput(NamedTuple):
    """The network's answer for a batch, float32 in [0, 1]."""

    alpha: np.ndarray  # B, 1, h, w
    trimap: np.ndarray  # B, 3, h/4, w/4: background, unknown, foreground; a given one as it was given
    mask: np.ndarray  # B, 1, h/4, w/4


class Backend(Protocol):
    """Runs one model on one device. `run` may be called from several threads at once."""

    name: str
    """as `backend=` takes it"""
    device: str
    """where it runs"""
    stride: int
    """h and w must be multiples of it"""

    def run(self, image: np.ndarray, trimap: np.ndarray | None = None) -> RawOutput:
        """image (B, 3, h, w) float32 RGB in [0, 1]; trimap (B, 3, h, w) planes, or None to predict it."""
