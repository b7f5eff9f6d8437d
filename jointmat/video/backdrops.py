"""The background of a video: a colour, an image, the frame itself blurred, or another video."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from jointmat.compositing import BLUR, BackgroundSource, Fit, color_of, placed
from jointmat.errors import ImageError, ImageTooLarge, VideoError
from jointmat.io.atomic import printable
from jointmat.io.image import load_image

Behind: TypeAlias = np.ndarray | tuple[int, int, int] | str
"""An image (H, W, 3) uint8, a colour or "blur"."""

Backdrop: TypeAlias = Callable[[float, tuple[int, ...], Fraction], Behind]
"""(seconds from the start, (H, W) of the frame, width of its pixels to their height) → the background as
`Matte.composite` takes it, of the same pixels"""


def open_backdrop(background: BackgroundSource, fit: Fit = "fill") -> Backdrop:
    """A background for every frame; a video starts again when it ends.

    Raises
    ------
    ImageError, VideoError, InputError
        for a file that is neither an image nor a video, or an invalid colour.
    """
    plain = color_of(background)
    if plain is not None or (isinstance(background, str) and background == BLUR):
        return lambda *_: BLUR if plain is None else plain
    try:
        return _Still(load_image(background), fit)  # type: ignore[arg-type]
    except ImageTooLarge:
        raise
    except ImageError:
        if not isinstance(background, (str, Path)) or not Path(background).is_file():
            raise
        try:
            return _Moving(background)
        except VideoError as error:
            name = printable(background)
            cause = str(error).removeprefix(f"{name}: ")
            raise VideoError(f"{name}: not an image, and {cause}") from error


class _Still:
    """An image, scaled to the frames once."""

    def __init__(self, image: np.ndarray, fit: Fit):
        self._image, self._fit = image, fit
        self._placed: np.ndarray | None = None

    def __call__(self, _: float, size: tuple[int, ...], pixel_aspect: Fraction) -> np.ndarray:
        if self._placed is None or self._placed.shape[:2] != size:
            self._placed = placed(_in_pixels(self._image, pixel_aspect), size, self._fit)
        return self._placed


class _Moving:
    """The frame of another video that is shown at a time."""

    def __init__(self, path: str | Path):
        self._path = path
        self._frames = self._endless()
        self._now = next(self._frames)
        self._next = next(self._frames)

    def __call__(self, seconds: float, _: tuple[int, ...], pixel_aspect: Fraction) -> np.ndarray:
        while self._next[0] <= seconds:
            self._now, self._next = self._next, next(self._frames)
        image, own_aspect = self._now[1:]
        return _in_pixels(image, pixel_aspect / own_aspect)

    def _endless(self) -> Iterator[tuple[float, np.ndarray, Fraction]]:
        """Times, images, and the width of their pixels to the height."""
        from jointmat.io.video import VideoReader

        start = 0.0
        while True:
            with VideoReader(self._path) as reader:
                first = None
                for frame in reader.frames():
                    first = frame.time if first is None else first
                    shown = start + float((frame.time - first) * reader.time_base)
                    yield shown, frame.rgb, reader.pixel_aspect
                if first is None:
                    raise VideoError(f"{reader.name}: holds no frame that can be read")
                start = shown + float(frame.duration * reader.time_base or 1 / reader.rate)


def _in_pixels(image: np.ndarray, aspect: Fraction) -> np.ndarray:
    """An image of square pixels in pixels of another ratio of width to height, fewer of them."""
    height, width = image.shape[:2]
    size = max(1, round(width / max(1, aspect))), max(1, round(height * min(1, aspect)))
    return image if aspect == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
