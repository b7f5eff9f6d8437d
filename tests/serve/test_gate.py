"""The line in front of the workers: bounded, left by who goes away, and ended by a deadline."""

import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from jointmat.errors import InputError
from jointmat.serve.gate import Gate
from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem
from tests.serve import jobs
from tests.serve.conftest import ERRORS, Brightness, decoded, refused, until

_LARGE = 25_000_000


def test_a_full_line_sends_the_next_away_and_serves_those_in_it(serve, photo):
    serving = serve(Brightness(), workers=1, waiting=2)
    with ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(serving.post, "/v1/alpha", files=photo) for _ in range(3)]
        until(lambda: serving.app.state.gate.jobs == 3)
        late = serving.post("/v1/alpha", files=photo)
        refused(late, 503, "3 photos queued", "try again in")
        assert int(late.headers["retry-after"]) >= 1
        serving.backend.free.set()
        for answer in answers:
            decoded(answer.result())
    until(lambda: serving.app.state.gate.jobs == 0)
    until(lambda: serving.app.state.memory.held == 0)
    assert serving.post("/v1/alpha", files=photo).status_code == 200


def in_gate(scenario, **limits):
    """Run a coroutine function with an open gate."""

    async def run():
        gate = Gate(Limits(**limits), jobs.no_predictor)
        await gate.open()
        try:
            await scenario(gate)
        finally:
            await gate.close()
        assert gate.jobs == 0

    asyncio.run(run())


def test_a_large_photo_gets_in_among_small_ones_and_then_the_line_is_long(tmp_path):
    free = tmp_path / "free"
    job = partial(jobs.wait_for, path=free)

    async def scenario(gate):
        small = [asyncio.ensure_future(gate.run(job, 10_000)) for _ in range(4)]
        await asyncio.sleep(0.1)
        large = asyncio.ensure_future(gate.run(jobs.facts, _LARGE))
        await asyncio.sleep(0)
        for pixels in (_LARGE, 10_000):
            with pytest.raises(Problem, match="5 photos queued") as refusal:
                await gate.run(job, pixels)
            assert refusal.value.status_code == 503
            assert int(refusal.value.headers["Retry-After"]) >= 1
        free.touch()
        await asyncio.gather(*small, large)
        assert (await gate.run(jobs.facts, 10_000)).files

    in_gate(scenario, deadline_seconds=20)


def test_who_waited_too_long_is_told_to_try_again(tmp_path):
    free = tmp_path / "free"

    async def scenario(gate):
        # The largest photo may take longer than another of its size may wait.
        large = asyncio.ensure_future(gate.run(partial(jobs.wait_for, path=free), 1000))
        await asyncio.sleep(0)
        gate._aside = 1  # as if one had been set aside already, so that this one is not
        waiting = asyncio.ensure_future(gate.run(jobs.facts, 1000))
        await asyncio.sleep(0)
        assert gate.jobs == 2  # it was let in
        with pytest.raises(Problem, match=r"busy.* queued") as refusal:
            await waiting
        assert refusal.value.status_code == 503
        free.touch()
        await asyncio.gather(large, return_exceptions=True)
        gate._aside = 0

    in_gate(scenario, deadline_seconds=2.0, pixels=1000)


def test_the_others_are_served_while_a_photo_that_takes_long_is_worked_on(tmp_path):
    free = tmp_path / "free"

    async def scenario(gate):
        slow = asyncio.ensure_future(gate.run(partial(jobs.wait_for, path=free), 0))
        for _ in range(3):
            assert (await gate.run(jobs.facts, 0)).files
        assert not slow.done()
        assert gate.replaced == 1
        free.touch()
        await slow
        assert (await gate.run(jobs.facts, 0)).files
        assert gate.workers == 1

    in_gate(scenario, deadline_seconds=60)


def test_work_that_takes_too_long_is_ended_and_its_worker_replaced():
    async def scenario(gate):
        before = gate.pids
        with pytest.raises(Problem, match=r"no result within 0.4 s") as refusal:
            await gate.run(jobs.burn, 0)
        assert refusal.value.status_code == 504
        assert (await gate.run(jobs.facts, 0)).files
        assert gate.replaced == 1
        while len(gate.pids) < 2 or gate.pids == before:
            await asyncio.sleep(0.01)

    in_gate(scenario, deadline_seconds=1)


def test_a_worker_that_ends_is_replaced_again_and_again():
    async def scenario(gate):
        for _ in range(3):
            with pytest.raises(Problem, match="ended early") as refusal:
                await gate.run(jobs.die, 0)
            assert refusal.value.status_code == 500
        assert (await gate.run(jobs.facts, 0)).files
        assert gate.replaced == 3

    in_gate(scenario)


def test_workers_that_ended_while_they_were_idle_are_replaced_before_they_get_a_job():
    async def scenario(gate):
        for pid in gate.pids:  # the spare one, too
            os.kill(pid, signal.SIGKILL)
        until(lambda: all(worker.hung_up for worker in gate._hired))
        assert (await gate.run(jobs.facts, 0)).files
        assert gate.replaced == 2

    in_gate(scenario)


def test_a_gate_can_be_opened_again():
    async def twice():
        gate = Gate(Limits(), jobs.no_predictor)
        for _ in range(2):
            await gate.open()
            assert (await gate.run(jobs.facts, 0)).files
            await gate.close()

    asyncio.run(twice())


def test_closing_ends_what_nothing_else_would():
    async def scenario(gate):
        task = asyncio.ensure_future(gate.run(jobs.burn, 0))
        until_running = asyncio.get_running_loop().time() + 10
        while gate.workers == 0 and asyncio.get_running_loop().time() < until_running:
            await asyncio.sleep(0.01)
        task.cancel()  # who asked has left; the work goes on

    in_gate(scenario, deadline_seconds=3600)


def test_who_leaves_the_line_is_not_worked_for(serve, photo):
    serving = serve(Brightness(), workers=1, waiting=2)
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(serving.post, "/v1/alpha", files=photo)
        until(lambda: serving.backend.calls == 1)
        with pytest.raises(httpx.ReadTimeout):
            serving.post("/v1/alpha", files=photo, timeout=0.3)
        until(lambda: serving.app.state.gate.jobs == 1)
        serving.backend.free.set()
        decoded(first.result())
    until(lambda: serving.app.state.gate.jobs == 0)
    assert serving.backend.calls == 1
    until(lambda: serving.app.state.memory.held == 0)


@pytest.mark.parametrize("error", range(len(ERRORS)))
def test_a_mistake_of_the_server_is_logged_and_not_shown(serve, photo, caplog, error):
    serving = serve()
    serving.backend.fail(error)
    with caplog.at_level(logging.ERROR, "jointmat.serve"):
        answer = serving.post("/v1/alpha", files=photo)
    refused(answer, 500, "see the server log")
    assert "srv" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert str(ERRORS[error]) in caplog.text
    serving.backend.fail(None)
    decoded(serving.post("/v1/alpha", files=photo))


def test_health_counts_jobs_and_workers(serve, photo):
    serving = serve(Brightness(), workers=1)
    assert serving.http.get("/healthz").json() == {"status": "ok", "jobs": 0, "workers": 1}
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(serving.post, "/v1/alpha", files=photo)
        until(lambda: serving.http.get("/healthz").json() == {"status": "ok", "jobs": 1, "workers": 1})
        serving.backend.free.set()
        decoded(answer.result())


def test_stopping_the_server_finishes_what_it_has_begun(photo):
    from tests.serve.conftest import serving as start

    backend = Brightness()
    with ThreadPoolExecutor(1) as clients:
        with start(backend) as running:
            answer = clients.submit(running.post, "/v1/alpha", files=photo)
            until(lambda: backend.calls == 1)
            threading.Timer(0.3, backend.free.set).start()
        decoded(answer.result())


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="workers=0: expected more than 0"):
        Limits(workers=0)
    for seconds in (float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"deadline_seconds=.*: expected more than 0, and finite"):
            Limits(deadline_seconds=seconds)
    with pytest.raises(InputError, match="held_bytes=5: expected at least body_bytes=10"):
        Limits(body_bytes=10, held_bytes=5)
