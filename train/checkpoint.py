"""State of a run on disk: written whole or not at all, read back newest first."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from jointmat.errors import JointmatError, TrainingError
from jointmat.io.atomic import atomic_write

log = logging.getLogger(__name__)

KEEP = 2  # a damaged newest file leaves one to fall back on


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder, which is made if there is none, until the block ends.

    The system lets go of the lock when this process ends, however it does. On Windows nothing is locked.

    Raises
    ------
    TrainingError
        if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, not of forked data workers
            except (BlockingIOError, PermissionError) as error:
                raise TrainingError(
                    f"{folder}: another process is training here; wait for it, or choose another name"
                ) from error
            except OSError as error:  # a file system that has no locks
                log.warning("%s: cannot be locked (%s)", folder, error.strerror)
        yield


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` as the checkpoint of `step` and drop all but the newest `KEEP`.

    A kill at any moment leaves the earlier checkpoints as they were: the file is written beside them, flushed to
    disk, and renamed into place.

    Raises
    ------
    TrainingError
        if it cannot be written, most likely for want of space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    try:
        with atomic_write(path) as file:
            torch.save(state, file)
    except (JointmatError, OSError, RuntimeError) as error:  # RuntimeError: torch's, of a full disk
        raise TrainingError(f"{path}: cannot be written ({str(error).partition(chr(10))[0]})") from error
    known = _newest_first(folder)
    damaged = [other for other in known if other.name > path.name]  # skipped when this run resumed
    for old in [*damaged, *known[len(damaged) + KEEP :]]:
        old.unlink(missing_ok=True)
    for stray in folder.glob(".jointmat-*.tmp"):  # of a run that was killed
        stray.unlink(missing_ok=True)
    return path


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint, damaged or not."""
    return bool(_newest_first(folder))


def load_newest(folder: Path) -> dict[str, Any] | None:
    """The newest readable checkpoint, or None where there is none.

    A damaged file is passed over with a warning; if every file is damaged, that is an error, since silently
    starting again would throw the run away.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 (what torch raises for damaged bytes is no closed list)
            log.warning("%s: skipped damaged checkpoint (%s)", path, str(error).split("\n", 1)[0])
    if paths:
        raise TrainingError(
            f"{folder}: none of its {len(paths)} checkpoints can be read; remove them to start over"
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.pt"), reverse=True)
