"""Connections: no more than the limits allow, and none for long without a request."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from jointmat.serve.guard import Guard
from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem, problem_response

_RETRY_SECONDS = 2


def server(app: FastAPI, grace_seconds: int) -> uvicorn.Server:
    """A server of an app of `create_app`, within its limits; it stops after `grace_seconds`, finished or not."""
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=grace_seconds,
    )
    return uvicorn.Server(config)


class Connection(H11Protocol):
    """A connection of uvicorn's that is closed if the head of a request does not arrive in time.

    Uvicorn itself closes one that is silent after an answer, and waits for ever for a first byte, for the rest of
    a head, and for the rest of a body that has been answered.
    """

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        self._limits: Limits = config.app.state.limits  # type: ignore[union-attr]
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self.app = _FULL
        self._wait_or_serve()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_or_serve()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_patience()

    def _wait_or_serve(self) -> None:
        """Be patient for so long, however many bytes come meanwhile, unless there is a request to answer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._end_patience()
        elif self._patience is None:
            self._patience = self.loop.call_later(self._limits.head_seconds, self.transport.close)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem.busy("busy: too many connections are open", _RETRY_SECONDS, {"Connection": "close"})
    await problem_response(problem.status_code, problem.detail, problem.headers)(scope, receive, send)


_FULL = Guard(_full, hosts=["*"])
