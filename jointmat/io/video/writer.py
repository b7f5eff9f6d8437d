"""A video, or a folder of images, that appears under its name when it is whole."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from jointmat.errors import InputError
from jointmat.io.atomic import atomic_write, printable
from jointmat.io.video.encoder import CONTAINERS, FileWriter
from jointmat.io.video.folder import FolderWriter
from jointmat.io.video.frames import Reader, Writer
from jointmat.io.video.tracks import note_lost_tracks


def check_target(path: str | Path, transparent: bool) -> None:
    """InputError for a path that such a video cannot be written to; a path without extension is a folder."""
    target, extension = Path(path), Path(path).suffix.lower()
    if extension:
        check_format(extension, transparent, printable(target))
    elif target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{printable(target)}: exists and is not an empty folder")


def check_format(extension: str, transparent: bool, name: str) -> None:
    """InputError, which begins with the output's `name`, for an extension that such a video cannot have."""
    if extension not in CONTAINERS:
        expected = ", ".join(CONTAINERS)
        raise InputError(f"{name}: got the format {extension}, expected {expected}, or a folder")
    if transparent and CONTAINERS[extension].transparent is None:
        others = ", ".join(known for known, container in CONTAINERS.items() if container.transparent)
        raise InputError(f"{name}: {extension} has no alpha: choose {others} or a folder, or give a background")


def stores_yuv(target: str | Path | BinaryIO, extension: str) -> bool:
    """Whether opaque frames are stored as `Yuv`; the arguments as of `open_writer`."""
    kind = Path(target).suffix.lower() if isinstance(target, str | Path) else extension
    return kind in CONTAINERS and not CONTAINERS[kind].only_images


def open_writer(
    target: str | Path | BinaryIO, reader: Reader, *, transparent: bool, extension: str = ".mkv"
) -> AbstractContextManager[Writer]:
    """A file or folder to write to, which appears under its name when the block ends, whole or not at all.

    Parameters
    ----------
    target : a path: .mp4, .mov, .mkv, .nut (H.264) or .webm (VP9); with `transparent` .webm, .mkv (VP9) or .mov
        (ProRes 4444); animated .gif, .webp or .png, without the other tracks; without extension a folder of PNG
        files, with their times in frames.csv. Or a binary file, which need not be seekable
    reader : whose times, tracks, tags and chapters it takes; it is told what had to be left out
    transparent : frames are RGBA
    extension : of what a binary file gets; of one that cannot seek .mkv, .webm, .nut or .gif

    Raises
    ------
    InputError
        A path that cannot be written, or a format that cannot hold what is asked for.
    VideoError
        A codec that is not there, or that fails.
    JointmatError
        The disk is full or failed.
    """
    if not isinstance(target, str | Path):
        check_format(extension, transparent, "stdout")
        return FileWriter(target, "stdout", extension, reader, transparent)
    check_target(target, transparent)
    path = Path(target)
    return _file_writer(path, reader, transparent) if path.suffix else _folder_writer(path, reader)


@contextmanager
def _file_writer(target: Path, reader: Reader, transparent: bool) -> Iterator[Writer]:
    with (
        atomic_write(target) as file,
        FileWriter(file, printable(target), target.suffix.lower(), reader, transparent) as writer,
    ):
        yield writer


@contextmanager
def _folder_writer(target: Path, reader: Reader) -> Iterator[Writer]:
    note_lost_tracks(reader, "a folder")
    real = Path(os.path.realpath(target))
    exists = real.is_dir()  # perhaps a mount point, which cannot be replaced
    temporary = (real if exists else real.parent) / f".jointmat-{secrets.token_hex(8)}.tmp"
    try:
        temporary.mkdir()
        writer = FolderWriter(temporary, reader.time_base)
        yield writer
        writer.close()
        if exists:
            for file in temporary.iterdir():
                file.rename(real / file.name)
        else:
            temporary.rename(real)
    except OSError as error:
        cause = "no such folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{printable(target)}: cannot be written: {cause}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
