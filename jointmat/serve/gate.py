"""The bounded line in front of the workers, and the workers."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem
from jointmat.serve.worker import Job, JobFailed, Load, Result, Worker, WorkerDied

_MEGA = 1_000_000
_SMALL_MEGAPIXELS = 0.5  # that a photo costs whatever its size, as if it were so much larger
_FIRST_PACE = 0.5  # seconds for a megapixel, until some have been done
_LINE_SHARE = 0.3  # of the deadline that the jobs ahead may take at the usual pace; any photo may wait longer
_OVERDUE_SHARE = 3  # of the time that a photo of this size takes, and
_OVERDUE_SECONDS = 1.0  # at least: then it is set aside
_RETRY_SECONDS = (0, 1, 5, 20, 60)

_log = logging.getLogger("jointmat.serve")


@dataclass(frozen=True)
class _Work:
    """A job that a worker has begun."""

    worker: Worker
    job: Job
    pixels: int
    expected: float
    allowed: float


class Gate:
    """Runs jobs in worker processes, with a bounded number of them in line.

    A photo that takes far longer than others of its size is set aside: its worker goes on, and a spare one,
    started beforehand, takes its place, so that the others do not wait for it. One that takes longer than it may
    is ended by killing its worker. All methods but `hire` belong to the event loop's thread.

    Parameters
    ----------
    load : makes a worker's predictor
    """

    def __init__(self, limits: Limits, load: Load):
        self.jobs = 0
        """in line or being worked on; one that nobody waits for counts until it has really ended"""
        self.replaced = 0
        """workers that took too long, or ended by themselves"""
        self.failed_starts = 0
        """of workers, in a row"""
        self._limits = limits
        self._load = load
        self._pace = _FIRST_PACE
        self._ahead = 0.0  # seconds that all jobs are expected to take
        self._hired: list[Worker] = []
        self._reset()

    def hire(self) -> None:
        """Start the workers and a spare one, and wait until they are ready. Raises what keeps them from it."""
        if self._hired:
            return
        try:
            for _ in range(self._limits.workers + 1):
                self._hired.append(Worker(self._load))
            for worker in self._hired:
                worker.wait()
        except BaseException:
            self._fire()
            raise

    async def open(self) -> None:
        """Begin; an app may be opened again after it was closed."""
        await asyncio.to_thread(self.hire)
        self._threads = ThreadPoolExecutor(2 * self._limits.workers + 2, thread_name_prefix="worker")
        *workers, spare = self._hired
        for worker in workers:
            self._idle.put_nowait(worker)
        self._spare = asyncio.ensure_future(_at_once(spare))

    async def close(self) -> None:
        """Kill the workers, whatever they do: who is still waited for has been waited for long enough."""
        self._closed = True
        running = list(self._tasks)
        for task in (*running, self._spare):
            task.cancel()
        self._fire()
        await asyncio.gather(*running, *self._answers, self._spare, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)
        self._reset()

    @property
    def workers(self) -> int:
        """that are ready or at work"""
        return self._idle.qsize() + self._working

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._hired]

    async def run(self, job: Job, pixels: int) -> Result:
        """The job's result, or its exception.

        pixels : of its photos, as their headers say

        Raises
        ------
        Problem
            503 if the line is full or too long for the deadline, at once or once that is clear; 504 if the work
            itself takes longer than a photo of its size may; 500 with the cause in the log. A job in line that
            nobody waits for any more is taken out of it.
        """
        expected = self._pace * (pixels / _MEGA + _SMALL_MEGAPIXELS)
        if self._full():
            raise self._busy()
        self._enter(expected)
        try:
            allowed = self._limits.work_seconds(pixels)
            worker = await self._worker(self._limits.deadline_seconds - allowed)
        except BaseException:
            self._leave(expected)
            raise
        work = asyncio.ensure_future(self._work(_Work(worker, job, pixels, expected, allowed)))
        self._tasks.add(work)
        work.add_done_callback(self._done)
        return await asyncio.shield(work)  # who asked may leave: the worker cannot

    async def _worker(self, seconds: float) -> Worker:
        """An idle one that lives: the system may have ended some, for lack of memory, while they waited."""
        try:
            async with asyncio.timeout(seconds):
                while (worker := await self._idle.get()).hung_up:
                    _log.error("worker %d ended while it was idle", worker.pid)
                    self._hired.remove(worker)
                    worker.kill()
                    worker.close()
                    self._send_spare()
                return worker
        except TimeoutError as error:
            raise self._busy() from error

    async def _work(self, work: "_Work") -> Result:
        self._working += 1
        start = time.monotonic()
        answer = asyncio.get_running_loop().run_in_executor(self._threads, work.worker.do, work.job)
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        aside = False
        try:
            async with asyncio.timeout(work.allowed):
                await asyncio.wait({answer}, timeout=max(_OVERDUE_SECONDS, _OVERDUE_SHARE * work.expected))
                if not answer.done() and self._aside < self._limits.workers:
                    aside = True
                    self._aside += 1
                    self._send_spare()
                return await asyncio.shield(answer)
        except TimeoutError as error:
            detail = f"no result within {work.allowed:.3g} s: send a smaller image, or save it in another format"
            raise Problem(504, detail) from error
        except WorkerDied as error:
            _log.error("%s", error)
            detail = "the work on this photo ended early, perhaps for lack of memory: send a smaller one"
            raise Problem(500, detail) from error
        except JobFailed as error:
            _log.error("a job failed\n%s", error)
            raise Problem(500, "internal error; see the server log") from error
        finally:
            self._working -= 1
            self._aside -= aside
            self._leave(work.expected)
            self._learn(time.monotonic() - start, work.pixels)
            self._release(work.worker, answer, replaced=aside)

    def _release(self, worker: Worker, answer: "asyncio.Future[Result]", replaced: bool) -> None:
        """Give a healthy worker the next job; end any other, and one that has been replaced."""
        well = answer.done() and not isinstance(answer.exception(), WorkerDied)
        if well and not replaced:
            self._idle.put_nowait(worker)
            return
        self._hired.remove(worker)
        worker.kill()
        answer.add_done_callback(lambda _: self._bury(worker, answer))
        if not replaced and not self._closed:
            self._send_spare()

    def _send_spare(self) -> None:
        """Have the spare worker take a place, once it is ready, and start another."""
        self.replaced += 1
        spare, self._spare = self._spare, asyncio.ensure_future(self._next_spare())

        async def step_in() -> None:
            self._idle.put_nowait(await spare)

        task = asyncio.ensure_future(step_in())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _next_spare(self) -> Worker:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_RETRY_SECONDS[min(self.failed_starts, len(_RETRY_SECONDS) - 1)])
            try:
                worker = await loop.run_in_executor(self._threads, Worker.ready, self._load)
            except Exception:  # noqa: BLE001 (whatever it is may pass, and without workers there is no service)
                _log.exception("no worker could be started: trying again")
                self.failed_starts += 1
            else:
                self._hired.append(worker)
                self.failed_starts = 0
                return worker

    def _bury(self, worker: Worker, answer: "asyncio.Future[Result]") -> None:
        if not answer.cancelled():
            answer.exception()  # seen: it is that the worker died
        worker.close()

    def _done(self, task: "asyncio.Task[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, though nobody may have waited for it

    def _reset(self) -> None:
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._tasks: set[asyncio.Task[object]] = set()
        self._answers: set[asyncio.Future[Result]] = set()
        self._working = 0
        self._aside = 0
        self._closed = False

    def _fire(self) -> None:
        for worker in self._hired:
            worker.kill()
        self._hired = []

    def _full(self) -> bool:
        """Whether to refuse another job: too many wait, or the work ahead takes too long.

        The job's own size does not count here: a large photo would never get in among small ones. It counts for
        those that come after it.
        """
        waiting = self.jobs + 1 - self._limits.workers
        late = self._ahead / self._limits.workers > _LINE_SHARE * self._limits.deadline_seconds
        return waiting > self._limits.waiting or (waiting > 0 and late)

    def _busy(self) -> Problem:
        """Half of the line gone is enough to try again."""
        return Problem.busy(f"server busy, {self.jobs} photos queued", self._ahead / self._limits.workers / 2)

    def _enter(self, expected: float) -> None:
        self.jobs += 1
        self._ahead += expected

    def _leave(self, expected: float) -> None:
        self.jobs -= 1
        self._ahead -= expected

    def _learn(self, seconds: float, pixels: int) -> None:
        self._pace += 0.2 * (seconds / (pixels / _MEGA + _SMALL_MEGAPIXELS) - self._pace)


async def _at_once(worker: Worker) -> Worker:
    return worker
