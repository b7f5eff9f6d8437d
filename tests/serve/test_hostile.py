"""A file that takes its decoder for ever costs its sender an answer, and nobody else."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

pytest.importorskip("fastapi", reason="needs jointmat[serve]")

from jointmat.serve.app import create_app
from jointmat.serve.limits import Limits
from tests.serve import jobs
from tests.serve.conftest import Brightness, encoded, refused, until
from tests.serve.costly import FILES
from tests.serve.host import hosted

_CLIENTS = 8
_BURNING = jobs.BURNS + bytes(1000)
_HTTP = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))


@contextmanager
def server(**limits):
    """The address of a server with one worker, whose decoder can be made to burn time."""
    backend = Brightness()
    backend.free.set()
    bounds = Limits(workers=1, **limits)
    with hosted(create_app(partial(jobs.burning_predictor, backend, bounds.pixels), bounds)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def usual_server():
    with server(deadline_seconds=20) as home:
        yield home


def post(home, data):
    return _HTTP.post(f"{home}/v1/alpha", files={"image": data})


def jobs_of(home):
    return _HTTP.get(f"{home}/healthz").json()["jobs"]


def post_until_served(home, data):
    end = time.monotonic() + 60
    while (answer := post(home, data)).status_code in (503, 504) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


def served_meanwhile(home, photo, hostile):
    """The answer to a hostile file, and what eight other clients, and a look at the health, got until then.

    It is sent first, so that they come while it is worked on.
    """
    ended = threading.Event()

    def ask(send):
        statuses = Counter()
        while True:
            answer = send()
            statuses[answer.status_code] += not ended.is_set()
            if ended.is_set():
                return statuses
            if answer.status_code == 503:
                time.sleep(0.2)  # less than it is told to, so that there is load

    with ThreadPoolExecutor(_CLIENTS + 2) as threads:
        first = threads.submit(post, home, hostile)
        first.add_done_callback(lambda _: ended.set())
        until(lambda: first.done() or jobs_of(home))
        others = [threads.submit(ask, partial(post, home, photo)) for _ in range(_CLIENTS)]
        health = threads.submit(ask, partial(_HTTP.get, f"{home}/healthz"))
        others = sum((other.result() for other in others), Counter())
        return first.result(), others, health.result()


@pytest.mark.parametrize("name", FILES)
def test_a_costly_file_harms_nobody_else(usual_server, image, name):
    photo = encoded(image)
    answer, others, health = served_meanwhile(usual_server, photo, FILES[name]())
    assert answer.status_code in (200, 400, 413, 422, 504), answer.text
    assert set(others) <= {200, 503}
    assert set(health) <= {200}
    assert post_until_served(usual_server, photo).status_code == 200


def test_others_are_served_while_a_decoder_that_nothing_interrupts_is_at_work(image):
    with server(deadline_seconds=30) as home:
        answer, others, health = served_meanwhile(home, encoded(image), _BURNING)
        refused(answer, 504, "no result within")
        assert set(others) <= {200, 503}
        assert others[200] > _CLIENTS
        assert set(health) == {200}


def test_many_such_files_at_once_leave_the_server_whole(image):
    with server(deadline_seconds=4) as home, ThreadPoolExecutor(6) as threads:
        answers = [threads.submit(post, home, _BURNING) for _ in range(6)]
        assert {answer.result().status_code for answer in answers} <= {503, 504}
        assert post_until_served(home, encoded(image)).status_code == 200


def test_a_server_that_is_told_to_stop_does_not_wait_for_such_work():
    with ThreadPoolExecutor(1) as threads, server(deadline_seconds=100) as home:  # and is given 5 s to stop
        threads.submit(post, home, _BURNING)
        until(lambda: jobs_of(home))
