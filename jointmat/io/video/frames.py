"""Frames, which pass from a reader to a writer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

import numpy as np
from av.packet import Packet
from av.stream import Stream

from jointmat.io.video.yuv import Yuv


class Frame(NamedTuple):
    """One image of a video."""

    image: np.ndarray | Yuv
    """(H, W, 3) uint8 RGB, upright, or as video stores it; written frames may be grey (H, W) or RGBA (H, W, 4)"""
    time: int
    """when it is shown, in units of the reader's time base"""
    duration: int
    """how long it is shown, in the same units, at least 1"""
    alpha: np.ndarray | None = None
    """(H, W) uint8 where the source has transparent pixels; the image is over white there"""

    @property
    def rgb(self) -> np.ndarray:
        """The image as an array."""
        return self.image.rgb() if isinstance(self.image, Yuv) else self.image


Item: TypeAlias = Frame | Packet
"""A frame, or an encoded packet of sound or subtitles."""


class Reader(ABC):
    """A video to go through once, in a `with` block.

    Attributes
    ----------
    name : for messages
    time_base : seconds per unit of the frames' times
    rate : frames per second, on average
    count : number of frames, as far as the file tells or its duration lets guess; None if unknown
    tracks : the streams of sound and subtitles whose packets `items` gives
    samples : a packet of each track of sound that does not begin late, by the track's index
    tags, chapters : metadata of the file and its chapters, as PyAV gives them
    attachments : (name, MIME type, bytes) of files inside the file, such as fonts
    start : time of the first frame; set when that frame has been read
    pixel_aspect : width of a pixel divided by its height; set when the first frame has been read
    notes : what was repaired or left out so far, a sentence each
    """

    name: str
    time_base: Fraction
    rate: Fraction
    count: int | None = None

    def __init__(self) -> None:
        self.tracks: list[Stream] = []
        self.samples: dict[int, Packet] = {}
        self.tags: dict[str, str] = {}
        self.chapters: list[Any] = []
        self.attachments: list[tuple[str, str, bytes]] = []
        self.start = 0
        self.pixel_aspect = Fraction(1)
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 (not all have one)
        """Close the file."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Frames, and packets of `tracks`, in the order of the file."""

    def frames(self) -> Iterator[Frame]:
        """The frames alone."""
        return (item for item in self.items() if isinstance(item, Frame))

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


class Writer(Protocol):
    """Takes frames and packets in order."""

    def frame(self, frame: Frame) -> None:
        """Add an image; all must have one size."""

    def packet(self, packet: Packet) -> None:
        """Add a packet of one of the reader's tracks."""
