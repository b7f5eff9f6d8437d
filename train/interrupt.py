"""Stopping between two steps instead of within one."""

import signal
from types import FrameType, TracebackType


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
