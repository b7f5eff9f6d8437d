"""Images as a video: numbered files, the files of a folder, and animated WebP, which FFmpeg does not read."""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ImageFile

from jointmat.errors import ImageError, InputError, VideoError
from jointmat.io.atomic import printable
from jointmat.io.image import load
from jointmat.io.limits import DEFAULT_MAX_PIXELS, check_size
from jointmat.io.parsers import PARSERS, parser_errors
from jointmat.io.video.colours import over_white
from jointmat.io.video.folder import TIMES
from jointmat.io.video.frames import Frame, Item, Reader

USUAL_RATE = Fraction(25)
"""frames per second of images that do not tell it"""

_MICROSECOND = Fraction(1, 1_000_000)  # in which frames.csv counts
_MILLISECOND = Fraction(1, 1000)  # in which WebP counts

_EXTENSIONS = frozenset((".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"))


class Shown(NamedTuple):
    """An image file and when it is shown, in units of the reader's time base."""

    path: Path
    time: int
    duration: int


class ImagesReader(Reader):
    """Image files, one a frame.

    Parameters
    ----------
    name : of all of them, for messages
    paths : in order
    rate : frames per second; None for the times of the folder's frames.csv, where one lies beside them, else 25

    A damaged file is left out and noted; the others keep their times.
    """

    def __init__(self, name: str, paths: Sequence[Path], rate: Fraction | None = None):
        super().__init__()
        self.name = printable(name)
        self.count = len(paths)
        told = None if rate else _told_times(paths, self.name)
        if told:
            self.time_base, self._shown = _MICROSECOND, told
            length = (told[-1].time + told[-1].duration - told[0].time) * _MICROSECOND
            self.rate = Fraction(len(told) / length).limit_denominator(1001)
        else:
            self.rate = rate or USUAL_RATE
            self.time_base = 1 / self.rate
            self._shown = [Shown(path, time, 1) for time, path in enumerate(paths)]

    def items(self) -> Iterator[Item]:
        size: tuple[int, ...] | None = None
        for path, time, duration in self._shown:
            try:
                image, alpha, _ = load(path)
            except ImageError as error:
                self.note(f"{error}; the frame is left out")
                continue
            if size is None:
                size, self.start = image.shape[:2], time
            elif image.shape[:2] != size:
                self.note(f"{self.name}: the images differ in size; they are scaled to the size of the first")
                image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
                alpha = None if alpha is None else cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_AREA)
            yield Frame(image, time, duration, alpha)


class WebPReader(Reader):
    """An animated WebP; its loops are not repeated."""

    def __init__(self, path: Path):
        super().__init__()
        self.name, self._path = printable(path), path
        self.time_base = _MILLISECOND
        self._file = path.open("rb")
        try:
            with parser_errors(self.name):
                self._webp: ImageFile.ImageFile = PARSERS["WebP"](self._file)
                check_size(self._webp.height, self._webp.width, DEFAULT_MAX_PIXELS, self.name)
                self.count = int(getattr(self._webp, "n_frames", 1))
                self._webp.load()
            self.rate = 1 / (self._duration() * _MILLISECOND)
        except BaseException:
            self._file.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def items(self) -> Iterator[Item]:
        time = 0
        for index in range(self.count or 0):
            with parser_errors(self.name):
                self._webp.seek(index)
                pixels = np.asarray(self._webp.convert("RGBA"))
            image, alpha = over_white(pixels)
            duration = self._duration()
            yield Frame(image, time, duration, alpha)
            time += duration

    def _duration(self) -> int:
        """Duration of the loaded frame, ms; 100 if it states none, as in browsers."""
        return int(self._webp.info.get("duration") or 0) or 100


def images_of(folder: Path) -> list[Path]:
    """The image files of a folder by their extension, numbers in their names in their own order."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in _EXTENSIONS and path.name[0] != ".")
    return sorted(found, key=_by_number)


def numbered(pattern: str) -> list[Path]:
    """The files of a pattern such as frames/%04d.png, by their number.

    Raises
    ------
    VideoError
        if there is none.
    """
    folder, name = Path(pattern).parent, Path(pattern).name
    before, digits, after = _split(name)
    width = int(digits or 0)
    expected = re.compile(f"{re.escape(before)}(\\d+){re.escape(after)}")
    found: dict[int, Path] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = expected.fullmatch(path.name)
        if match and len(match[1]) >= width and (len(match[1]) == width or match[1][0] != "0" or not width):
            found[int(match[1])] = path
    if not found:
        raise VideoError(
            f"{printable(pattern)}: no such files; expected {before}{'1'.zfill(width)}{after} and so on"
        )
    return [found[number] for number in sorted(found)]


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern of numbered files, such as frames/%04d.png."""
    return bool(re.fullmatch(r"[^%]*%(0\d+)?d[^%]*", Path(name).name)) and not Path(name).exists()


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP; a still one is a video of one frame."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


def parse_rate(text: str) -> Fraction:
    """Frames per second of "25", "29.97" or "30000/1001"."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise InputError(f"rate: got {text!r}, expected frames per second such as 25 or 30000/1001, up to 1000")
    return rate


def _split(name: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"([^%]*)%(?:0(\d+))?d([^%]*)", name)
    assert match is not None
    return match[1], match[2], match[3]


def _by_number(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _told_times(paths: Sequence[Path], name: str) -> list[Shown] | None:
    """From the frames.csv that a folder of frames is written with."""
    table = paths[0].parent / TIMES
    if not table.is_file():
        return None
    known = {path.name: path for path in paths}
    shown: list[Shown] = []
    try:
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if path := known.pop(row["file"], None):
                    time, duration = (round(Fraction(row[key]) / _MICROSECOND) for key in ("seconds", "duration"))
                    shown.append(Shown(path, time, max(1, duration)))
    except (KeyError, ValueError, TypeError, ZeroDivisionError, csv.Error) as error:
        raise VideoError(f"{name}: its {TIMES} cannot be read ({error}); give --rate, or remove it") from error
    shown.sort(key=lambda one: one.time)
    if known or any(after.time <= before.time for before, after in itertools.pairwise(shown)):
        raise VideoError(
            f"{name}: its {TIMES} does not give each image a time of its own; give --rate, or remove it"
        )
    return shown
