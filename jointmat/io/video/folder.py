"""Frames to a folder of PNG files."""

import csv
import io
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.packet import Packet

from jointmat.io.png import encode_png
from jointmat.io.video.frames import Frame

TIMES = "frames.csv"
"""name of the file that tells when each image is shown"""


class FolderWriter:
    def __init__(self, folder: Path, time_base: Fraction):
        self._folder, self._time_base = folder, time_base
        self._rows = [("file", "seconds", "duration")]

    def frame(self, frame: Frame) -> None:
        name = f"frame-{len(self._rows):06}.png"
        (self._folder / name).write_bytes(encode_png(np.atleast_3d(frame.rgb)))
        self._rows.append((name, self._seconds(frame.time), self._seconds(frame.duration)))

    def packet(self, packet: Packet) -> None:
        """There is no place for it."""

    def close(self) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows)
        (self._folder / TIMES).write_text(text.getvalue(), encoding="utf-8")

    def _seconds(self, time: int) -> str:
        return f"{float(time * self._time_base):.6f}"
