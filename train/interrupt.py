"""Stopping between two steps instead of within one, and what becomes of the data workers."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TypeVar

from torch.utils.data import DataLoader

from jointmat.errors import TrainingError

T = TypeVar("T")

_WITHOUT = "data.workers=0 loads data in the main process and needs no shared memory"


class Interrupt:
    """Notes the first Ctrl-C or SIGTERM, for the loop to look at; a second one takes effect at once.

    An optimizer that is stopped half way through its step leaves weights of which no run consists.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()


def leave_signals_to_the_parent(_: int) -> None:
    """For a data worker, which is told by its parent when to stop: a signal to the whole group, such as Ctrl-C,
    must not take the data away from the step that the parent wants to finish."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def closing_workers(loader: DataLoader[T]) -> Iterator[Iterator[T]]:
    """The loader's batches, whose workers end with the block.

    By itself torch ends them when the iterator is collected, which the traceback of an error puts off until the
    program ends; and then they are sent SIGTERM, which these do not heed.
    """
    try:
        batches = iter(loader)
    except OSError as error:
        raise TrainingError(f"data workers cannot start ({error.strerror or error}): {_WITHOUT}") from error
    try:
        yield batches
    finally:
        if loader.num_workers:
            batches._shutdown_workers()  # type: ignore[attr-defined]


def worker_error(error: Exception) -> str:
    """The error of a data worker in one line; empty if the error is another.

    One that dies while it sends a batch leaves a broken connection.
    """
    lines = str(error).strip().splitlines() or [""]
    if "DataLoader worker (pid" in lines[0] or isinstance(error, ConnectionError | EOFError):
        return f"a data worker died ({lines[0]}); {_WITHOUT}"
    reason = lines[-1] if "in DataLoader worker process" in lines[0] else ""
    return f"{reason}; {_WITHOUT}" if "shared memory" in reason else reason
