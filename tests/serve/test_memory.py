"""Answers that nobody reads are held within limits, and not for ever."""

import socket
import time
from http.client import HTTPResponse, IncompleteRead

import httpx
import pytest

from jointmat.serve.gate import Gate
from jointmat.serve.worker import Result
from tests.serve.conftest import refused, until

_BYTES = 12_000_000  # more than the system's own buffers take


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Has every image take `_BYTES`."""

    async def run(*_):
        return Result({"coverage": 1.0, "is_empty": False}, {"alpha": bytes(_BYTES)})

    monkeypatch.setattr(Gate, "run", run)


def ask(serving, files):
    """A connection on which an image has been asked for, and nothing been read."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(15)
    line.connect(("127.0.0.1", serving.port))
    request = httpx.Request("POST", serving.http.base_url.join("/v1/alpha"), files=files)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    line.sendall(f"POST /v1/alpha HTTP/1.1\r\n{head}\r\n".encode() + request.read())
    return line


def answer(line):
    response = HTTPResponse(line)
    response.begin()
    return response


def test_an_answer_is_held_until_it_has_been_read(serve, photo):
    serving = serve()
    memory = serving.app.state.memory
    with ask(serving, photo) as line:
        until(lambda: memory.held == _BYTES)
        time.sleep(0.3)
        assert memory.held == _BYTES
        assert answer(line).read() == bytes(_BYTES)
        until(lambda: memory.held == 0)


def test_who_does_not_read_is_cut_off(serve, photo):
    serving = serve(answer_seconds=0.5)
    memory = serving.app.state.memory
    with ask(serving, photo) as line:
        until(lambda: memory.held == _BYTES)
        until(lambda: memory.held == 0)
        with pytest.raises(IncompleteRead):
            answer(line).read()


def test_answers_that_are_not_read_send_others_away(serve, photo):
    serving = serve(body_bytes=1_000_000, held_bytes=2 * _BYTES - 1)
    memory = serving.app.state.memory
    with ask(serving, photo):
        until(lambda: memory.held == _BYTES)
        refused(serving.post("/v1/alpha", files=photo), 503, "other uploads and answers fill the memory")
        assert memory.held == _BYTES
    until(lambda: memory.held == 0)
    assert serving.post("/v1/alpha", files=photo).status_code == 200
