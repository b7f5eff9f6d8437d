"""What passes from a reader to a writer."""

from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from av.packet import Packet


class Frame(NamedTuple):
    """One picture of a video."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright; written frames may be grey (H, W) or RGBA (H, W, 4)"""
    time: int
    """when it is shown, from the start of the file, in units of the video's time base"""
    duration: int
    """how long, in the same units; 0 if that is not known"""


Item: TypeAlias = Frame | Packet
"""A frame, or a packet of sound."""


class Writer(Protocol):
    """Takes frames and sound in order."""

    def frame(self, frame: Frame) -> None:
        """Add a picture; all must have one size."""

    def sound(self, packet: Packet) -> None:
        """Add a packet of the reader's sound."""


def reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).partition("\n")[0]
