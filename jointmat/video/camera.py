"""A camera in, a window or a virtual camera out. Tested with a video as the camera, not with a real one."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, count
from typing import TypeAlias

import cv2
import numpy as np

from jointmat.compositing import BackgroundSource, Fit, Light
from jointmat.errors import DependencyError, DeviceError, InputError, pip_install
from jointmat.video.backdrops import open_backdrop
from jointmat.video.frames import FrameMatter

Show: TypeAlias = Callable[[np.ndarray], bool]
"""Shows an image (H, W, 3) uint8 RGB; False when the user has closed the window."""

_TITLE = "jointmat: press q to quit"
_RATE = 30  # frames per second that a virtual camera announces


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of "1280x720"."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise InputError(f"size: got {text!r}, expected WIDTHxHEIGHT such as 1280x720")
    return int(found[1]), int(found[2])


@contextmanager
def open_camera(number: int, size: tuple[int, int]) -> Iterator[Iterator[np.ndarray]]:
    """The frames of a camera, (H, W, 3) uint8 RGB, at the size (width, height) or the nearest that it has.

    Raises
    ------
    DeviceError
        if the camera is missing, sends no image, or stops.
    """
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error says it
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise DeviceError(f"cannot open camera {number}: missing or in use; try another --number")
        for key, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), size, strict=True):
            capture.set(key, value)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame rather than every one
        yield _frames(capture, number)
    finally:
        capture.release()
        cv2.utils.logging.setLogLevel(before)


@contextmanager
def open_stand_in(path: str) -> Iterator[Iterator[np.ndarray]]:
    """The frames of a video at the pace of a camera, as of `open_camera`.

    Raises
    ------
    VideoError, ImageError
        for what cannot be read.
    """
    from jointmat.io.video import open_reader

    with open_reader(path, sound=False) as reader:
        start = time.monotonic()

        def paced() -> Iterator[np.ndarray]:
            for frame in reader.frames():
                shown = start + float((frame.time - reader.start) * reader.time_base)
                time.sleep(max(0.0, shown - time.monotonic()))
                yield frame.rgb

        yield paced()


def show(
    frames: Iterator[np.ndarray],
    matter: FrameMatter,
    background: BackgroundSource,
    *,
    fit: Fit = "fill",
    light: Light = "srgb",
    virtual: bool = False,
    mirror: bool = False,
) -> int:
    """Composite every frame and show it, until the frames end or the user stops; the number of frames shown.

    Raises
    ------
    DeviceError
        if there is no screen, or no driver for a virtual camera.
    DependencyError
        if the package for a virtual camera is missing.
    """
    backdrop = open_backdrop(background, fit)
    start = time.monotonic()

    def composited(frame: np.ndarray) -> np.ndarray:
        matte = matter(np.ascontiguousarray(frame[:, ::-1]) if mirror else frame)
        behind = backdrop(time.monotonic() - start, matte.alpha.shape, Fraction(1))
        return matte.composite(behind, fit=fit, light=light)

    images = map(composited, frames)
    first = next(images, None)
    if first is None:
        return 0
    height, width = first.shape[:2]
    shown = 0
    with _virtual(width, height) if virtual else _window() as display:
        for image in chain([first], images):
            shown += 1
            if not display(image):
                break
    return shown


def _frames(capture: cv2.VideoCapture, number: int) -> Iterator[np.ndarray]:
    for taken in count():
        there, frame = capture.read()
        if not there:
            cause = (
                "stopped; is it still plugged in?" if taken else "sends no image; is another program using it?"
            )
            raise DeviceError(f"camera {number} {cause}")
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


@contextmanager
def _window() -> Iterator[Show]:
    def display(image: np.ndarray) -> bool:
        cv2.imshow(_TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return cv2.waitKey(1) & 0xFF != ord("q") and not _closed()

    try:
        cv2.namedWindow(_TITLE)
    except cv2.error as error:
        raise DeviceError(
            "camera: no window can be opened here: without a screen use --virtual; with one, replace "
            "opencv-python-headless by opencv-python, which has windows"
        ) from error
    try:
        yield display
    finally:
        with suppress(cv2.error):  # it is closed already
            cv2.destroyWindow(_TITLE)


def _closed() -> bool:
    """Whether the user has closed the window; False where OpenCV does not know, as with GTK."""
    try:
        return cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) == 0
    except cv2.error:  # Qt, after its last window
        return True


@contextmanager
def _virtual(width: int, height: int) -> Iterator[Show]:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise DependencyError(f"--virtual needs pyvirtualcam: {pip_install('camera')}") from error

    def display(image: np.ndarray) -> bool:
        camera.send(image)
        return True

    try:
        camera = pyvirtualcam.Camera(width, height, _RATE)
    except RuntimeError as error:
        cause = str(error).strip().partition("\n")[0]
        raise DeviceError(f"camera: no virtual camera: {cause}") from error
    with camera:
        yield display
