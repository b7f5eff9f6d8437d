"""A video in, a video out: decoding, network, compositing and encoding at the same time.

Each stage has a thread, and at most two frames wait between two of them: memory does not grow with length.
"""

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jointmat.compositing import BackgroundSource, Fit, Light, placed
from jointmat.errors import InputError, JointmatWarning, VideoError
from jointmat.foreground import plain
from jointmat.io.arrays import to_uint8
from jointmat.io.video import (
    Frame,
    Item,
    Packet,
    Reader,
    VideoSource,
    Writer,
    Yuv,
    check_target,
    open_reader,
    open_writer,
    stores_yuv,
)
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.subject import Subject
from jointmat.video.backdrops import Behind, open_backdrop
from jointmat.video.frames import DEFAULT_MAX_SIDE, FrameMatter, YuvMatte
from jointmat.video.stages import Ahead

STAGES = ("decode", "network", "matte", "composite", "encode")
"""matte: from the network's size to the frame's"""

Render = Callable[[Any, float, Fraction], np.ndarray | Yuv]
"""(`Matte` or `YuvMatte` of a frame, its time in seconds, width of its pixels to their height) → what to write"""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after which the output holds the part that was done."""


@dataclass
class Report:
    """Summary of a conversion."""

    frames: int = 0
    seconds: float = 0.0
    """from the first frame to the end of the file"""
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """seconds that each stage worked; they overlap"""
    notes: list[str] = field(default_factory=list)
    """what was repaired or ignored in the input, and that nobody was found in it"""

    def __str__(self) -> str:
        total = sum(self.busy.values()) or 1.0
        parts = (
            f"{name} {1e3 * spent / max(1, self.frames):.1f} ms ({spent / total:.0%})"
            for name, spent in self.busy.items()
        )
        rate = self.frames / self.seconds if self.seconds else 0.0
        return f"{self.frames} frames in {self.seconds:.1f} s, {rate:.1f} frames/s; per frame {', '.join(parts)}"

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the block as work of the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.busy[stage] += time.perf_counter() - start


def matte_video(
    source: VideoSource,
    output: str | Path | BinaryIO,
    *,
    background: BackgroundSource | None = None,
    only_alpha: bool = False,
    predictor: Predictor | None = None,
    subject: Subject = "all",
    fill_holes: bool = False,
    smooth: bool = True,
    fit: Fit = "fill",
    light: Light = "srgb",
    sound: bool = True,
    rate: Fraction | None = None,
    extension: str = ".mkv",
    progress: bool = False,
) -> Report:
    """Write a video with the subject of another.

    Sound is copied, and the frames keep their times. On Ctrl-C the output holds the part that was done, and
    `Interrupted` is raised. After any other error, a KeyboardInterrupt before the first frame or a second one
    among them, it is as it was before.

    Parameters
    ----------
    source : a path of a video, an animated image, a folder of images or numbered images (frames/%04d.png), or a
        binary file such as stdin; see `jointmat.io.video` for what becomes of rotation, damage, HDR and odd sizes
    output : a path or a binary file, see `jointmat.io.video.open_writer`
    background : as in `Matte.composite`, or a path of a video, which starts again when it ends; None for a
        transparent video
    only_alpha : write the matte itself, grey, instead
    predictor : default `Predictor(detail="fast", max_side=320, threads=1)`: the other stages use the other cores
    subject, fill_holes : as in `jointmat.predict`; the subject chosen in the first frame is followed
    smooth : reduce flicker, see `jointmat.video.smoothing`
    fit, light : as in `Matte.composite`
    sound : False leaves it out
    rate : frames per second of images; None for the times that a frames.csv beside them tells, else 25
    extension : format of an `output` that is a binary file
    progress : show frames, frames/s and the time left on stderr if that is a terminal

    Raises
    ------
    VideoError, ImageError, InputError, DependencyError
        for a file that cannot be read or written, or arguments that exclude each other.
    JointmatError
        if the disk is full or failed.
    Interrupted
        on Ctrl-C; it is a KeyboardInterrupt.

    Warns
    -----
    JointmatWarning
        Something in the input was repaired or ignored, or no frame shows a person.
    """
    if only_alpha and background is not None:
        raise InputError("only_alpha and background exclude each other: choose one")
    transparent = background is None and not only_alpha
    if isinstance(output, str | Path):
        check_target(output, transparent)
    render = _render(background, only_alpha, fit, light)
    predictor = predictor or Predictor(detail="fast", max_side=DEFAULT_MAX_SIDE, threads=1)
    matter = FrameMatter(predictor, subject=subject, fill_holes=fill_holes, smooth=smooth)
    stored = background is not None and light == "srgb" and predictor.detail == "fast"
    stored = stored and stores_yuv(output, extension)
    with open_reader(source, sound=sound, rate=rate, stored=stored) as reader:
        report = Report(notes=reader.notes)
        start = time.perf_counter()
        opening = open_writer(output, reader, transparent=transparent, extension=extension)
        interruption = _run(reader, matter, render, opening, report, progress)
        report.seconds = time.perf_counter() - start
    if not matter.found:
        report.notes.append(f"{reader.name}: no person found in any frame; the result is empty")
    for note in report.notes:
        warnings.warn(note, JointmatWarning, stacklevel=2)
    if interruption:
        raise Interrupted from interruption
    return report


def _run(
    reader: Reader,
    matter: FrameMatter,
    render: Render,
    opening: AbstractContextManager[Writer],
    report: Report,
    progress: bool,
) -> KeyboardInterrupt | None:
    """Take every frame through all stages, or after Ctrl-C those already under way."""
    stop = threading.Event()

    def matted(frame: Frame) -> tuple[Frame, Matte | YuvMatte]:
        return frame, matter(frame.image, frame.alpha)

    def full_size(pair: tuple[Frame, Matte | YuvMatte]) -> tuple[Frame, Matte | YuvMatte]:
        pair[1].alpha  # noqa: B018 (made when it is first asked for)
        return pair

    def rendered(pair: tuple[Frame, Matte | YuvMatte]) -> Frame:
        frame, matte = pair
        seconds = float((frame.time - reader.start) * reader.time_base)
        return frame._replace(image=render(matte, seconds, reader.pixel_aspect))

    with ExitStack() as stack:
        stages: list[Callable[[Iterable[Any]], Iterator[Any]]] = [
            lambda items: _until(stop, items, report),
            lambda items: _each_frame("network", matted, items, report),
            lambda items: _each_frame("matte", full_size, items, report),
            lambda items: _each_frame("composite", rendered, items, report),
            lambda items: _written(opening, items, report, stop, reader.name),
        ]
        line: Iterable[Any] = reader.items()
        for stage in stages:
            line = stack.enter_context(closing(Ahead(stage(line))))
        return _wait(line, stop, report, reader.count, progress)


def _wait(
    written: Iterable[None], stop: threading.Event, report: Report, count: int | None, progress: bool
) -> KeyboardInterrupt | None:
    """Count the frames; on Ctrl-C stop decoding, and finish those under way."""
    from tqdm import tqdm

    interruption = None
    with tqdm(total=count, unit="frame", disable=None if progress else True) as bar:
        while True:
            try:
                for _ in written:
                    report.frames += 1
                    bar.update()
                return interruption
            except KeyboardInterrupt as error:
                if interruption:  # twice: at once
                    raise
                interruption = error
                stop.set()


def _until(stop: threading.Event, items: Iterable[Item], report: Report) -> Iterator[Item]:
    source = iter(items)
    while not stop.is_set():
        with report.timed("decode"):
            item = next(source, None)
        if item is None:
            return
        yield item


def _each_frame(stage: str, work: Callable[[Any], Any], items: Iterable[Any], report: Report) -> Iterator[Any]:
    """The results of `work` for the frames; packets of sound pass through."""
    for item in items:
        if isinstance(item, Packet):
            yield item
            continue
        with report.timed(stage):
            result = work(item)
        yield result


def _written(
    opening: AbstractContextManager[Writer],
    items: Iterable[Item],
    report: Report,
    stop: threading.Event,
    source: str,
) -> Iterator[None]:
    """One item per frame written; the file is closed here too, in a thread that Ctrl-C does not reach."""
    empty = True
    with opening as writer:
        for item in items:
            with report.timed("encode"):
                if isinstance(item, Packet):
                    writer.packet(item)
                    continue
                writer.frame(item)
            empty = False
            yield
        if empty:
            nothing = VideoError(f"{source}: holds no frame that can be read")
            raise KeyboardInterrupt if stop.is_set() else nothing


def _render(background: BackgroundSource | None, only_alpha: bool, fit: Fit, light: Light) -> Render:
    if only_alpha:
        return lambda matte, *_: to_uint8(matte.alpha)
    if background is None:
        return lambda matte, *_: matte.cutout()
    backdrop = open_backdrop(background, fit)
    in_yuv = _InYuv(fit)

    def composited(matte: Matte | YuvMatte, seconds: float, pixel_aspect: Fraction) -> np.ndarray | Yuv:
        behind = backdrop(seconds, matte.alpha.shape, pixel_aspect)
        if isinstance(matte, YuvMatte):
            return matte.composite(in_yuv(behind, matte.alpha.shape))
        return matte.composite(behind, fit=fit, light=light)

    return composited


class _InYuv:
    """Backgrounds as video stores them; one that stays is converted once."""

    def __init__(self, fit: Fit):
        self._fit = fit
        self._last: Behind | None = None
        self._converted: Yuv | None = None

    def __call__(self, background: Behind, size: tuple[int, ...]) -> "Yuv | str":
        if isinstance(background, str):
            return background
        if self._converted is None or background is not self._last or self._converted.size != size:
            if isinstance(background, tuple):
                image = plain(background, size)
            else:
                image = placed(background, size, self._fit)
            self._last, self._converted = background, Yuv.from_image(image)
        return self._converted
