"""The process that measures one system."""

from functools import cache

import cv2

from export.bench.systems import Spec, System, Work
from jointmat.evaluation.memory import peak, reset_peak
from jointmat.evaluation.timing import timed

Task = tuple[str, int | str]
"""("network", side in pixels) or ("image", path)"""


def measure(spec: Spec, threads: int, task: Task) -> tuple[float, float]:
    """Milliseconds and peak megabytes of a task that was done once before."""
    work = _work(spec, threads, task)
    work()  # the caches hold what another system left there
    reset_peak()
    return timed(work)[1], peak()


@cache
def _system(spec: Spec, threads: int) -> System:
    cv2.setNumThreads(threads)
    return System(spec, threads)


@cache
def _work(spec: Spec, threads: int, task: Task) -> Work:
    kind, value = task
    return getattr(_system(spec, threads), kind)(value)
