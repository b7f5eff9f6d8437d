"""Tells apart the kinds of source that a video can come from."""

from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, TypeAlias

from jointmat.errors import InputError, VideoError
from jointmat.io.atomic import printable
from jointmat.io.video.frames import Reader
from jointmat.io.video.images import ImagesReader, WebPReader, images_of, is_animated_webp, is_pattern, numbered
from jointmat.io.video.reader import VideoReader

VideoSource: TypeAlias = str | Path | BinaryIO
"""A path of a video, animated image, folder of images, or numbered images (frames/%04d.png); or a binary file."""


def open_reader(
    source: VideoSource, *, sound: bool = True, rate: Fraction | None = None, stored: bool = False
) -> Reader:
    """Open a video of any kind.

    Parameters
    ----------
    sound : False leaves out the tracks of sound
    rate : frames per second of images; None for the times that a frames.csv beside them tells, else 25
    stored : give frames of videos as `Yuv` where that loses nothing

    Raises
    ------
    VideoError, ImageError
        for what cannot be read.
    InputError
        for a `rate` beside a video, which has its own.
    """
    if not isinstance(source, str | Path):
        return VideoReader(source, sound=sound, stored=stored)
    path = Path(source)
    if is_pattern(str(source)):
        return ImagesReader(str(source), numbered(str(source)), rate)
    if path.is_dir():
        images = images_of(path)
        if not images:
            raise VideoError(f"{printable(path)}: holds neither images nor a video")
        return ImagesReader(str(source), images, rate)
    if rate is not None:
        raise InputError(f"{printable(path)}: rate is for images; a video has its own")
    if path.is_file() and is_animated_webp(path):
        return WebPReader(path)
    return VideoReader(path, sound=sound, stored=stored)
