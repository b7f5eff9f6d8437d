"""Peak memory: of this process, and of work in a process that does nothing else."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from jointmat.errors import JointmatError

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak() -> float:
    """The largest resident size of this process since `reset_peak`, megabytes (10⁶ bytes).

    Since the start where the system has no /proc, such as macOS.
    """
    if _STATUS.exists():
        lines = dict(line.partition(":")[::2] for line in _STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6  # bytes there, KiB elsewhere


def reset_peak() -> None:
    """Let `peak` start again from the present size."""
    if _RESET.exists():
        _RESET.write_text("5")


def growth(work: Callable[..., object], *arguments: object) -> float:
    """Megabytes that `work(*arguments)` adds to the peak of a fresh process.

    Both must be picklable. The modules that `work` needs are imported before it is measured. JointmatError if the
    process ends before the work does.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])  # torch takes seconds: once, not for each process
    with ProcessPoolExecutor(1, context) as pool:  # which, unlike multiprocessing's, notices that a process died
        try:
            return pool.submit(_growth, work, arguments).result()
        except BrokenProcessPool as error:
            raise JointmatError(f"{work.__name__}: its process ended; is there enough memory?") from error


def _growth(work: Callable[..., object], arguments: tuple[object, ...]) -> float:
    reset_peak()
    before = peak()
    work(*arguments)
    return peak() - before
