"""The bounded line in front of the model."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem

T = TypeVar("T")
Check = Callable[[], None]
"""Called by a job between its steps: ends the job by an exception when nobody waits for it any more."""

_STUCK_DEADLINES = 4
_LINE_SHARE = 0.5  # of the deadline that the line may take at the usual pace, for some photos take longer


class Abandoned(Exception):
    """Nobody waits for this job's result."""


class Gate:
    """Runs jobs on a few threads, with a bounded number of them in line.

    All methods belong to the event loop's thread; only the jobs run on others.

    Parameters
    ----------
    seconds : that a job takes, to begin with; after that, as long as they have taken lately
    """

    def __init__(self, limits: Limits, seconds: float = 1.0):
        self.jobs = 0
        """in line or running; a job that nobody waits for counts until it has really ended"""
        self._limits = limits
        self._pool = self._threads()
        self._mean_seconds = seconds
        self._progress = time.monotonic()

    async def run(self, job: Callable[[Check], T]) -> T:
        """The job's result, or its exception.

        Raises
        ------
        Problem
            503 if the line is full, or so long that the deadline would pass before its end is reached; 504 if the
            deadline passes all the same. A job in line is then taken out of it, a running one ends at its next
            check; so it is when the caller is cancelled.
        """
        if self._full():
            raise Problem.busy(f"busy: {self.jobs} photos are in line", self._line_seconds())
        abandoned = threading.Event()
        future = self._submit(job, abandoned)
        try:
            async with asyncio.timeout(self._limits.deadline_seconds) as deadline:
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            detail = f"no result within {self._limits.deadline_seconds:g} s: try again, or send a smaller picture"
            raise Problem(504, detail) from error
        finally:
            abandoned.set()

    def stuck(self) -> bool:
        """Whether there are jobs and none has ended for so long that none will."""
        quiet = time.monotonic() - self._progress
        return self.jobs > 0 and quiet > _STUCK_DEADLINES * self._limits.deadline_seconds

    async def close(self) -> None:
        """Drop the jobs in line, wait for those that run. An app may be started again after it."""
        closed, self._pool = self._pool, self._threads()
        await asyncio.to_thread(closed.shutdown, cancel_futures=True)

    def _full(self) -> bool:
        """Whether one more job would be too many, or would wait for nothing; an idle worker always gets one."""
        waiting = self.jobs + 1 - self._limits.workers
        late = self._pace() * (self.jobs + 1) > _LINE_SHARE * self._limits.deadline_seconds
        return waiting > self._limits.waiting or (waiting > 0 and late)

    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._limits.workers, thread_name_prefix="model")  # started when first needed

    def _submit(self, job: Callable[[Check], T], abandoned: threading.Event) -> "Future[T]":
        loop = asyncio.get_running_loop()

        def check() -> None:
            if abandoned.is_set():
                raise Abandoned

        def timed() -> T:
            check()
            start = time.monotonic()
            try:
                return job(check)
            finally:
                loop.call_soon_threadsafe(self._learn, time.monotonic() - start)

        if self.jobs == 0:
            self._progress = time.monotonic()
        self.jobs += 1
        future = self._pool.submit(timed)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return future

    def _leave(self) -> None:
        self.jobs -= 1
        self._progress = time.monotonic()

    def _learn(self, seconds: float) -> None:
        self._mean_seconds += 0.2 * (seconds - self._mean_seconds)

    def _pace(self) -> float:
        """Seconds after which one more job is done, as it has been lately."""
        return self._mean_seconds / self._limits.workers

    def _line_seconds(self) -> float:
        """How long the line takes at the usual pace, half of it gone being enough to try again."""
        return self.jobs * self._pace() / 2
