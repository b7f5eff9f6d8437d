"""The line in front of the model: bounded, left by who goes away, and ended by a deadline."""

import asyncio
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest

from jointmat.errors import InputError, WeightsError
from jointmat.serve.gate import Gate
from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem
from tests.serve.conftest import Brightness, decoded, refused, until


def test_a_full_line_sends_the_next_away_and_serves_those_in_it(serve, photo):
    serving = serve(Brightness(), workers=1, waiting=2)
    with ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(serving.post, "/v1/alpha", files=photo) for _ in range(3)]
        until(lambda: serving.app.state.gate.jobs == 3)
        late = serving.post("/v1/alpha", files=photo)
        refused(late, 503, "3 photos are in line", "try again in")
        assert int(late.headers["retry-after"]) >= 1
        serving.backend.free.set()
        for answer in answers:
            decoded(answer.result())
    until(lambda: serving.app.state.gate.jobs == 0)
    until(lambda: serving.app.state.memory.held == 0)
    assert serving.post("/v1/alpha", files=photo).status_code == 200


def test_a_line_too_long_for_the_deadline_sends_the_next_away(serve, photo):
    serving = serve(Brightness(), workers=1, waiting=16, deadline_seconds=1.2)  # and a photo takes 1 s, at first
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(serving.post, "/v1/alpha", files=photo)
        until(lambda: serving.backend.calls == 1)
        refused(serving.post("/v1/alpha", files=photo), 503, "1 photos are in line")
        refused(first.result(), 504)
    serving.backend.free.set()


def test_a_job_that_was_given_up_slows_the_pace(monkeypatch):
    seconds = itertools.count(step=100)
    monkeypatch.setattr("jointmat.serve.gate.time", SimpleNamespace(monotonic=lambda: next(seconds)))

    async def refusal():
        gate = Gate(Limits(workers=1, waiting=0, deadline_seconds=0.1))
        held = threading.Event()

        def job(check):
            held.wait(10)
            check()

        with pytest.raises(Problem, match="no result"):
            await gate.run(job)
        held.set()
        while gate.jobs:
            await asyncio.sleep(0.01)
        held.clear()
        other = asyncio.ensure_future(gate.run(job))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="1 photos are in line") as refused:
            await gate.run(job)
        other.cancel()
        held.set()
        await gate.close()
        return refused.value

    # A photo took 1 s; one that took at least 100 s raises the moving mean by a fifth of the difference.
    assert asyncio.run(refusal()).headers == {"Retry-After": str(round((1 + 0.2 * 99) / 2))}


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


def test_the_deadline_ends_the_wait_but_keeps_the_worker_counted(serve, photo):
    serving = serve(Brightness(), workers=1, waiting=0, deadline_seconds=0.2)
    refused(serving.post("/v1/alpha", files=photo), 504, "no result within 0.2 s")
    refused(serving.post("/v1/alpha", files=photo), 503)  # the model is still busy with the first
    serving.backend.free.set()
    until(lambda: serving.app.state.gate.jobs == 0)
    decoded(serving.post("/v1/alpha", files=photo))


@pytest.mark.parametrize(
    "error", [RuntimeError("secret /srv/model.onnx"), WeightsError("/srv/model.onnx: damaged")]
)
def test_a_mistake_of_the_server_is_logged_and_not_shown(serve, photo, caplog, error):
    serving = serve()
    serving.backend.error = error
    with caplog.at_level(logging.ERROR, "jointmat.serve"):
        answer = serving.post("/v1/alpha", files=photo)
    refused(answer, 500, "its log says more")
    assert "srv" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert str(error) in caplog.text
    serving.backend.error = None
    decoded(serving.post("/v1/alpha", files=photo))


def test_a_server_that_gets_nothing_done_says_so(serve, photo):
    serving = serve(Brightness(), workers=1, waiting=0, deadline_seconds=0.05)
    assert serving.http.get("/healthz").json() == {"status": "ok", "jobs": 0}
    refused(serving.post("/v1/alpha", files=photo), 504)
    until(lambda: serving.http.get("/healthz").status_code == 503)
    assert serving.http.get("/healthz").json() == {"status": "stuck", "jobs": 1}
    serving.backend.free.set()
    until(lambda: serving.http.get("/healthz").status_code == 200)


def test_stopping_the_server_finishes_what_it_has_begun(serve, photo):
    from tests.serve.conftest import serving as start

    backend = Brightness()
    with ThreadPoolExecutor(1) as clients:
        with start(backend) as running:
            answer = clients.submit(running.post, "/v1/alpha", files=photo)
            until(lambda: backend.calls == 1)
            threading.Timer(0.3, backend.free.set).start()
        decoded(answer.result())


def test_a_job_that_nobody_waits_for_ends_at_its_next_check():
    reached = []

    async def scenario():
        gate = Gate(Limits(deadline_seconds=0.1))
        held = threading.Event()

        def job(check):
            held.wait(10)
            check()
            reached.append("after the check")

        with pytest.raises(Exception, match="no result"):
            await gate.run(job)
        held.set()
        await gate.close()

    asyncio.run(scenario())
    assert reached == []


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="workers=0: expected more than 0"):
        Limits(workers=0)
    for seconds in (float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"deadline_seconds=.*: expected more than 0, and finite"):
            Limits(deadline_seconds=seconds)
    with pytest.raises(InputError, match="held_bytes=5: expected at least body_bytes=10"):
        Limits(body_bytes=10, held_bytes=5)
