"""A video, or a folder of images, that appears under its name when it is whole."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from jointmat.errors import InputError
from jointmat.io.atomic import atomic_write, printable
from jointmat.io.video.encoder import CONTAINERS, TRANSPARENT, FileWriter
from jointmat.io.video.folder import FolderWriter
from jointmat.io.video.frames import Reader, Writer


def check_target(path: str | Path, transparent: bool) -> None:
    """InputError for a path that such a video cannot be written to; a path without extension is a folder."""
    target, extension = Path(path), Path(path).suffix.lower()
    if not extension:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{printable(target)}: exists and is not an empty folder")
    elif extension not in CONTAINERS:
        expected = ", ".join(CONTAINERS)
        raise InputError(f"{printable(target)}: got the format {extension}, expected {expected}, or a folder")
    elif transparent and extension not in TRANSPARENT:
        advice = "choose .webm (VP9), .mov (ProRes 4444) or a folder (PNG), or give a background"
        raise InputError(f"{printable(target)}: {extension} has no alpha: {advice}")


def open_writer(path: str | Path, reader: Reader, *, transparent: bool) -> AbstractContextManager[Writer]:
    """A file or folder to write to, which appears under its name when the block ends, whole or not at all.

    Parameters
    ----------
    path : .mp4, .mov, .mkv, .nut (H.264), .webm (VP9); with `transparent` .webm (VP9) or .mov (ProRes 4444);
        without extension a folder of PNG files, with the times in frames.csv and without the other tracks
    reader : whose times, tracks, tags and chapters it takes; it is told what had to be left out
    transparent : frames are RGBA

    Raises
    ------
    InputError
        A path that cannot be written, or a format that cannot hold what is asked for.
    VideoError
        A codec that is not there, or that fails.
    JointmatError
        The disk is full or failed.
    """
    check_target(path, transparent)
    target = Path(path)
    return _file_writer(target, reader, transparent) if target.suffix else _folder_writer(target, reader)


@contextmanager
def _file_writer(target: Path, reader: Reader, transparent: bool) -> Iterator[Writer]:
    with (
        atomic_write(target) as file,
        FileWriter(file, printable(target), target.suffix.lower(), reader, transparent) as writer,
    ):
        yield writer


@contextmanager
def _folder_writer(target: Path, reader: Reader) -> Iterator[Writer]:
    if reader.tracks:
        kinds = " and ".join(sorted({"sound" if t.type == "audio" else "subtitles" for t in reader.tracks}))
        reader.note(f"{reader.name}: {kinds} left out: a folder holds images alone")
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
