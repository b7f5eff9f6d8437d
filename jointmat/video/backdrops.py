"""What stands behind the subject of a video: a colour, a picture, the frame's own blur, or another video."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from jointmat.compositing import BLUR, BackgroundSource, parse_color, placed
from jointmat.errors import ImageError, ImageTooLarge, VideoError
from jointmat.io.atomic import printable
from jointmat.io.image import load_image

Backdrop: TypeAlias = Callable[[float, tuple[int, ...]], BackgroundSource]
"""(seconds from the start, (H, W) of the frame) → the background as `Matte.composite` takes it"""


def open_backdrop(background: BackgroundSource, fit: str = "fill") -> Backdrop:
    """A background for every frame; a video starts again when it ends.

    Raises
    ------
    ImageError, VideoError, InputError
        for a file that is neither a picture nor a video, or a colour that is none.
    """
    if isinstance(background, str) and background.startswith("#"):
        background = parse_color(background)
    if isinstance(background, tuple) or (isinstance(background, str) and background == BLUR):
        return lambda *_: background
    try:
        return _Still(load_image(background), fit)
    except ImageTooLarge:
        raise
    except ImageError as not_a_picture:
        if not isinstance(background, (str, Path)) or not Path(background).is_file():
            raise
        try:
            return _Moving(background)
        except VideoError as error:
            name = printable(background)
            raise VideoError(f"{name}: neither a picture nor a video that can be read") from (
                error if Path(background).suffix else not_a_picture
            )


class _Still:
    """A picture, brought to the frames' size once."""

    def __init__(self, picture: np.ndarray, fit: str):
        self._picture, self._fit = picture, fit

    def __call__(self, _: float, size: tuple[int, ...]) -> np.ndarray:
        self._picture = placed(self._picture, size, self._fit)
        return self._picture


class _Moving:
    """The frame of another video that is shown at a time."""

    def __init__(self, path: str | Path):
        self._path = path
        self._frames = self._endless()
        self._now = next(self._frames)
        self._next = next(self._frames)

    def __call__(self, seconds: float, _: tuple[int, ...]) -> np.ndarray:
        while self._next[0] <= seconds:
            self._now, self._next = self._next, next(self._frames)
        return self._now[1]

    def _endless(self) -> Iterator[tuple[float, np.ndarray]]:
        from jointmat.io.video import VideoReader

        start = 0.0
        while True:
            with VideoReader(self._path) as reader:
                first = None
                for frame in reader.frames():
                    first = frame.time if first is None else first
                    shown = start + float((frame.time - first) * reader.time_base)
                    yield shown, frame.image
                if first is None:
                    raise VideoError(f"{reader.name}: holds no frame that can be read")
                start = shown + float(frame.duration * reader.time_base or 1 / reader.rate)
