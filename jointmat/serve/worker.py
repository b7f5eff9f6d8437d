"""Processes that decode and predict, so that work can be stopped: a process that takes too long is killed.

What a client sends is decoded nowhere else. Jobs go to a worker as pickled calls; what comes back is JSON and
bytes, never a pickle, because a decoder that a hostile file took over might send one.
"""

import json
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

from jointmat import errors
from jointmat.errors import JointmatError
from jointmat.predictor import Predictor

Load = Callable[[], Predictor]
"""Makes a worker's predictor; pickled, and called in the worker."""

_READY_SECONDS = 120
_REAP_SECONDS = 5
_log = logging.getLogger("jointmat.serve")


def _context() -> Any:
    """Forked from a server that has the imports done, where the system can: a worker then starts in tenths of a
    second. That server has no threads of its own, so nothing is lost by forking it."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jointmat.serve.jobs", "onnxruntime"])
    return context


CONTEXT = _context()


@dataclass(frozen=True)
class Result:
    """A job's result: facts that JSON can hold, and files."""

    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


Job = Callable[[Predictor], Result]
"""Pickled, and called in a worker with its predictor."""


class WorkerDied(JointmatError):
    """The worker ended before its job did."""


class JobFailed(Exception):
    """The job raised an error that is not this package's. Its text is the traceback, for the log."""


class Worker:
    """A process with a predictor of its own. Its methods block; only one thread at a time may call `do`."""

    def __init__(self, load: Load):
        self._line, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_work, args=(theirs, load), daemon=True, name="jointmat-worker")
        self._killed = threading.Event()
        self._started: Future[None] = Future()
        # Before multiprocessing, at exit, asks it to end and waits.
        Finalize(self, _kill, (self._process, self._killed), exitpriority=0)
        # In a thread, where Ctrl-C raises nothing: it could leave a process that nobody knows of.
        threading.Thread(target=self._start, args=(theirs,), daemon=True).start()

    def _start(self, theirs: Connection) -> None:
        try:
            with _deaf_children():
                self._process.start()
        except Exception as error:  # noqa: BLE001 (whatever it is, who waits for the worker gets it)
            self._started.set_exception(error)
        else:
            self._started.set_result(None)
        finally:
            theirs.close()
        if self._killed.is_set():
            self.kill()

    @classmethod
    def ready(cls, load: Load) -> "Worker":
        """A worker whose predictor is loaded; raises the error if that fails."""
        worker = cls(load)
        try:
            worker.wait()
        except BaseException:
            worker.kill()
            worker.close()
            raise
        return worker

    def wait(self) -> None:
        """Until its predictor has been loaded, once; the error if it cannot be."""
        self._started.result()
        try:
            if not self._line.poll(_READY_SECONDS):
                raise WorkerDied(f"a worker did not start within {_READY_SECONDS} s")
            self._received()
        except (EOFError, OSError) as error:
            raise self._death("started", error) from error

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        return bool(self._process.is_alive())

    @property
    def hung_up(self) -> bool:
        """Whether it has ended by itself; to be asked between jobs, when a worker that is well says nothing."""
        return self._line.poll()

    def do(self, job: Job) -> Result:
        """Run a job.

        Raises
        ------
        JointmatError
            As the job raised it.
        JobFailed
            For any other error.
        WorkerDied
            If the process ends meanwhile, by `kill` or by itself.
        """
        try:
            self._line.send(job)
            return self._received()
        except (EOFError, OSError) as error:
            raise self._death("worked", error) from error

    def _death(self, doing: str, error: Exception) -> WorkerDied:
        self.kill()
        self._process.join(_REAP_SECONDS)
        code = self._process.exitcode
        advice = "is there enough memory, and the model's file whole?"
        return WorkerDied(f"worker {self.pid} ended while it {doing}, exit code {code} ({error!r}): {advice}")

    def kill(self) -> None:
        """End the process now, whatever it does; one that is being started, as soon as it has been."""
        _kill(self._process, self._killed)

    def close(self) -> None:
        """Give up a process that was killed; no thread may be in `do`."""
        self._line.close()
        if self._process.pid:
            self._process.join(_REAP_SECONDS)

    def _received(self) -> Result:
        head = json.loads(self._line.recv_bytes())
        if "crash" in head:
            raise JobFailed(head["crash"])
        if "error" in head:
            kind = getattr(errors, head["error"], JointmatError)
            raise kind(head["text"])
        return Result(head["facts"], {name: self._line.recv_bytes() for name in head["files"]})


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started meanwhile get no SIGINT and SIGTERM, from their first instruction on: Ctrl-C reaches all
    of a terminal's, and the server decides when its workers end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which unblocks signals once it has started its process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(process: Any, killed: threading.Event) -> None:
    killed.set()
    if process.is_alive():
        process.kill()


def load_predictor(**settings: Any) -> Predictor:
    """A `Predictor` that has worked once, so that a worker's first photo takes no longer than the next."""
    from jointmat.assets import PORTRAIT

    predictor = Predictor(**settings)
    predictor.matte(PORTRAIT).cutout()
    return predictor


def _work(line: Connection, load: Load) -> None:
    """The worker's life: until the server hangs up, or ends in the midst of a job."""
    threading.Thread(target=_end_with_server, daemon=True).start()
    with suppress(EOFError, OSError):
        predictor: Predictor | None = None

        def loaded() -> Result:
            nonlocal predictor
            predictor = load()
            return Result()

        _answer(line, loaded)
        while predictor:
            job: Job = line.recv()
            _answer(line, lambda job=job: job(predictor))  # type: ignore[misc]


def _end_with_server() -> None:
    server = multiprocessing.parent_process()
    assert server
    server.join()
    os._exit(1)


def _answer(line: Connection, call: Callable[[], Result]) -> None:
    head: dict[str, Any]
    files: dict[str, bytes] = {}
    try:
        result = call()
        files = result.files
        head = {"facts": result.facts, "files": list(files)}
    except JointmatError as error:
        head = {"error": type(error).__name__, "text": str(error)}
    except Exception:  # noqa: BLE001 (whatever it is, the server says so, and the worker lives)
        head = {"crash": traceback.format_exc()}
    line.send_bytes(json.dumps(head).encode())
    for content in files.values():
        line.send_bytes(content)
