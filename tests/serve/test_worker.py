"""A process that works, and can be stopped whatever it does."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs jointmat[serve]")

from functools import partial

from jointmat.errors import ImageError, WeightsError
from jointmat.serve.worker import JobFailed, Result, Worker, WorkerDied, load_predictor
from tests.serve import jobs
from tests.serve.conftest import until
from tests.serve.host import ROOT


@pytest.fixture
def worker():
    worker = Worker.ready(jobs.no_predictor)
    yield worker
    worker.kill()
    worker.close()


def test_facts_and_files_come_back(worker):
    assert worker.do(partial(jobs.facts, width=3)) == Result({"width": 3}, {"file": b"content"})


def test_errors_come_back_as_they_are_and_others_as_text_and_the_worker_lives(worker):
    with pytest.raises(ImageError, match="not an image"):
        worker.do(jobs.refuse)
    with pytest.raises(JobFailed, match=r"RuntimeError: secret"):
        worker.do(jobs.fail)
    assert worker.do(jobs.facts).files


def test_a_job_that_sees_no_signal_is_stopped(worker):
    threading.Timer(0.3, worker.kill).start()
    with pytest.raises(WorkerDied):
        worker.do(jobs.burn)
    until(lambda: not worker.alive)


def test_a_worker_that_ends_by_itself_is_noticed(worker):
    with pytest.raises(WorkerDied):
        worker.do(jobs.die)
    with pytest.raises(WorkerDied):
        worker.do(jobs.facts)


def starting(began):
    """A process that hires workers that take a minute to load, and leave a file when they begin to."""
    program = (
        "from functools import partial; import click, threading, time; from jointmat.cli.errors import run\n"
        "from jointmat.serve.gate import Gate; from jointmat.serve.limits import Limits\n"
        "from tests.serve import jobs\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # it may get the signal\n"
        f"gate = Gate(Limits(workers=2), partial(jobs.slow_predictor, {str(began)!r}))\n"
        "run(click.Command('start', callback=lambda: (print('starting', flush=True), gate.hire())))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.readline() == "starting\n"
    return process


@pytest.mark.parametrize("delay", [0.05, 0.4, None])  # in seconds; at last, while they load
def test_ctrl_c_while_workers_start_is_one_line_and_leaves_no_process(tmp_path, delay):
    began = tmp_path / "began"
    process = starting(began)
    if delay is None:
        until(began.exists)
    else:
        time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=50)  # until the last process that could write has ended
    assert (process.returncode, errors.strip()) == (130, "interrupted")


def test_workers_end_with_a_server_that_is_killed(tmp_path):
    began = tmp_path / "began"
    process = starting(began)
    until(began.exists)
    process.kill()
    process.communicate(timeout=50)


def test_a_worker_can_be_killed_before_it_has_started():
    worker = Worker(jobs.no_predictor)
    worker.kill()
    with pytest.raises(WorkerDied):
        worker.wait()
    worker.close()
    assert not worker.alive


def test_what_keeps_a_predictor_from_loading_is_said():
    with pytest.raises(WeightsError, match=r"nobody\.onnx"):
        Worker.ready(partial(load_predictor, model="nobody.onnx"))
