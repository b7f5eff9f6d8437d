"""Latency on a machine with other load: warm calls in turns, reported as least and median."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeVar

from tqdm import tqdm

Key = TypeVar("Key")
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result of one call, and its milliseconds."""
    start = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - start)


def warm(work: Callable[[], object]) -> float:
    """Milliseconds of the second of two calls: before the first, the caches hold another system's data."""
    work()
    return timed(work)[1]


def in_turns(
    measures: Mapping[Key, Callable[[], T]], rounds: int, description: str | None = None
) -> dict[Key, list[T]]:
    """The result of each measurement, round by round.

    Every round takes each of them once, so that a busy moment of the machine falls on all alike: compare values
    of the same round. One more round goes first, unrecorded: it allocates the memory that later ones use again.

    description : of the progress bar
    """
    found: dict[Key, list[T]] = {key: [] for key in measures}
    for index in tqdm(range(rounds + 1), desc=description, unit="round", disable=None, leave=False):
        for key, measure in measures.items():
            value = measure()
            if index:
                found[key].append(value)
    return found


def least_and_median(milliseconds: list[float]) -> str:
    """A cell of a table: "12 / 13"."""
    return f"{min(milliseconds):.0f} / {median(milliseconds):.0f}"


def ratio(milliseconds: list[float], reference: list[float]) -> float:
    """Median over the rounds of `in_turns` of the ratio within each."""
    return median(mine / other for mine, other in zip(milliseconds, reference, strict=True))
