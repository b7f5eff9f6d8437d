"""Work on many images at the same time, with bounded memory.

The heavy steps (decoding, the network, resizing, compression) release Python's lock, so threads do.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

PIXELS = 50_000_000
"""that may be worked on at a time; each takes some 25 bytes"""


def cores() -> int:
    """How many this process may use: fewer than there are where it is confined, as by taskset or a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """How many images to work on at a time: one per core, at most 8."""
    return min(8, cores())


def in_order(
    work: Callable[[T], R], items: Iterable[T], jobs: int, size: Callable[[T], int], most: int = PIXELS
) -> Iterator[R]:
    """Results of `work`, made in `jobs` threads, in the order of the items, which are taken as late as possible.

    Left early, by an error, Ctrl-C or `close`, it finishes what is under way and begins nothing else.

    Parameters
    ----------
    size : pixels of an item
    most : pixels that may be under way, or wait to be taken; one item alone may have more
    """
    under_way: deque[tuple[Future[R], int]] = deque()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="jointmat")
    try:
        for item in items:
            pixels = size(item)
            while under_way and (len(under_way) > jobs or sum(n for _, n in under_way) + pixels > most):
                yield under_way.popleft()[0].result()
            under_way.append((pool.submit(work, item), pixels))
        while under_way:
            yield under_way.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
