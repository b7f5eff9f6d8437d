"""Connections without a request end in time, and those over the limit are told so."""

import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.serve.conftest import Brightness, decoded, refused, until

HEAD = b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\n"


def connect(serving):
    return socket.create_connection(("127.0.0.1", serving.port), timeout=10)


def received(line):
    """All that comes until the server hangs up."""
    return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize("part", [b"", HEAD], ids=["nothing", "a part of it"])
def test_who_sends_no_whole_head_is_hung_up_on(serve, part):
    serving = serve(head_seconds=0.3)
    with connect(serving) as line:
        line.sendall(part)
        assert received(line) == b""


def test_a_head_that_comes_bit_by_bit_gets_no_more_time(serve):
    serving = serve(head_seconds=0.5)
    start = time.monotonic()
    with connect(serving) as line, pytest.raises(ConnectionError):
        line.sendall(b"GET /")
        while time.monotonic() - start < 10:
            line.sendall(b"a")
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (HEAD + b"\r\n", HEAD),
        (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", b"x"),
    ],
    ids=["a part of another head", "a part of the body that was answered"],
)
def test_what_follows_an_answer_is_not_waited_for_either(serve, first, then):
    serving = serve(head_seconds=0.3)
    with connect(serving) as line:
        line.sendall(first)
        assert line.recv(4096).startswith(b"HTTP/1.1 ")
        line.sendall(then)
        received(line)


def test_a_body_and_an_answer_may_take_longer_than_a_head(serve, photo):
    serving = serve(Brightness(), head_seconds=0.2)
    request = serving.http.build_request("POST", "/v1/alpha", files=photo)

    def slow():
        yield request.read()[:100]
        time.sleep(0.5)
        yield request.read()[100:]
        threading.Timer(0.5, serving.backend.free.set).start()

    kind = {"Content-Type": request.headers["Content-Type"]}
    decoded(serving.post("/v1/alpha", content=slow(), headers=kind))


def test_too_many_connections_are_told_to_try_again_and_then_served(serve):
    serving = serve(connections=3, head_seconds=1.5)
    with ExitStack() as silent:
        for _ in range(3):
            silent.enter_context(connect(serving))
        answer = serving.http.get("/healthz")
        refused(answer, 503, "too many open connections", "try again in 2 s")
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-content-type-options"] == "nosniff"
        until(lambda: serving.http.get("/healthz").status_code == 200)


def until_hung_up(line):
    """What comes back; a reset is an end too."""
    pieces = []
    try:
        while piece := line.recv(65536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


def flood(line, data, times):
    """Send until the server has had enough."""
    try:
        for _ in range(times):
            line.sendall(data)
    except ConnectionError:
        pass


def test_a_body_in_crumbs_is_refused(serve):
    serving = serve()
    with connect(serving) as line:
        line.sendall(
            b"POST /v1/alpha HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=e\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        flood(line, 2000 * b"1\r\nx\r\n", 100)
        answer = until_hung_up(line)
    assert b"200 OK" not in answer
    assert not answer or b"more than 1000 pieces" in answer
    assert serving.http.get("/healthz").status_code == 200


def test_a_body_in_large_pieces_or_few_small_ones_is_taken(serve, photo):
    serving = serve()
    request = serving.http.build_request("POST", "/v1/alpha", files=photo)
    body = request.read()

    def pieces():
        yield from (body[place : place + 1] for place in range(500))
        for place in range(500, len(body), 200):
            yield body[place : place + 200]

    kind = {"Content-Type": request.headers["Content-Type"]}
    decoded(serving.post("/v1/alpha", content=pieces(), headers=kind))


def test_requests_without_end_whose_answers_are_not_read_are_hung_up_on(serve):
    serving = serve()
    with connect(serving) as line:
        line.settimeout(5)
        try:
            flood(line, 500 * (HEAD + b"\r\n"), 400)
        except TimeoutError:
            raise AssertionError("the server neither reads nor hangs up") from None
        assert serving.http.get("/healthz").status_code == 200


def test_being_hung_up_on_is_no_error_in_the_log(serve, caplog):
    serving = serve()
    for _ in range(5):
        with connect(serving) as line, suppress(OSError):
            line.settimeout(1)
            flood(line, 200 * (HEAD + b"\r\n"), 20)
    assert serving.http.get("/healthz").status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_head_without_end_is_refused(serve):
    serving = serve()
    with connect(serving) as line:
        flood(line, HEAD + 100 * (b"X-More: " + 900 * b"y" + b"\r\n"), 20)
        answer = until_hung_up(line)
    assert not answer or b"HTTP/1.1 400" in answer
