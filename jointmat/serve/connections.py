"""Connections: no more than the limits allow, and none for long without a request."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jointmat.serve.guard import Guard
from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem, problem_response

_RETRY_SECONDS = 2
_HEAD_BYTES = 65_536
_CRUMB_BYTES = 100
_MOST_CRUMBS = 1000  # smaller pieces of a body; each costs as much as a large one
_MOST_PIPELINED = 16


def server(app: FastAPI, grace_seconds: int) -> uvicorn.Server:
    """A server of an app of `create_app`, within its limits; it stops after `grace_seconds`, finished or not."""
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,  # see Metered: uvicorn's would show the names of photos that are kept
        server_header=False,
        timeout_graceful_shutdown=grace_seconds,
    )
    return uvicorn.Server(config)


class _Refused(Exception):
    """Raised to stop the parser: a client's request costs more than it can be worth."""


class _Line:
    """A transport that ignores writes after it was closed; uvloop's treats them as an error."""

    def __init__(self, transport: asyncio.Transport):
        self._transport = transport

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's that is closed if the head of a request does not arrive in time, or if its bytes
    come in a form that is made to keep the server busy.

    Uvicorn itself closes one that is silent after an answer, and waits for ever for a first byte, for the rest of
    a head, and for the rest of a body that has been answered. It takes heads of any size, bodies in pieces of one
    byte, and requests without end from a client that reads no answer.
    """

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        self._limits: Limits = config.app.state.limits  # type: ignore[union-attr]
        self._patience: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of a head that is not complete
        self._crumbs = 0  # of this request's body
        self._refusal = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Line(transport))  # type: ignore[arg-type]
        if len(self.connections) > self._limits.connections:
            self.app = _FULL
        self._wait_or_serve()

    def data_received(self, data: bytes) -> None:
        if self._waits_for_head():
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > _HEAD_BYTES and self._waits_for_head():
            self.send_400_response(f"The head of the request is longer than {_HEAD_BYTES} bytes.")
        self._wait_or_serve()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._refuse(f"More than {_MOST_PIPELINED} requests were sent without reading an answer.")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = self._crumbs = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._crumbs += len(body) < _CRUMB_BYTES
        if self._crumbs > _MOST_CRUMBS:
            self._refuse(f"The body came in more than {_MOST_CRUMBS} pieces of under {_CRUMB_BYTES} bytes.")
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(self._refusal or msg)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_patience()

    def _refuse(self, why: str) -> None:
        self._refusal = why
        raise _Refused(why)

    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_or_serve(self) -> None:
        """Be patient for so long, however many bytes come meanwhile, unless there is a request to answer."""
        if not self._waits_for_head():
            self._end_patience()
        elif self._patience is None:
            self._patience = self.loop.call_later(self._limits.head_seconds, self.transport.close)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem.busy("server busy: too many open connections", _RETRY_SECONDS, {"Connection": "close"})
    await problem_response(problem.status_code, problem.detail, problem.headers)(scope, receive, send)


_FULL = Guard(_full, hosts=["*"])
