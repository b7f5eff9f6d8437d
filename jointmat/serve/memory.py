"""The memory that uploads and answers take, and answers that give theirs back."""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem

_PIECE_BYTES = 64 * 1024


class Memory:
    """Bytes of uploads and answers that the process holds."""

    def __init__(self, limits: Limits):
        self.held = 0
        self._most = limits.held_bytes

    def take(self, count: int) -> None:
        """Count bytes; Problem 503 if they are too many, which the caller gives back all the same."""
        self.held += count
        if self.held > self._most:
            detail = "busy: other uploads and answers fill the memory"
            raise Problem.busy(detail, 2, {"Connection": "close"})

    def give_back(self, count: int) -> None:
        self.held -= count


class Answer(Response):
    """A picture, whose bytes count as held until the client has them; who takes too long is cut off.

    It is sent in pieces, for uvicorn waits for the client between two messages, and never for the last.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        memory: Memory = scope["app"].state.memory
        limits: Limits = scope["app"].state.limits
        try:
            memory.take(len(self.body))
            with suppress(TimeoutError):  # and so the answer ends before its end: uvicorn hangs up
                async with asyncio.timeout(limits.answer_seconds):
                    await self._send_pieces(send)
        finally:
            memory.give_back(len(self.body))

    async def _send_pieces(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), _PIECE_BYTES):
            piece = bytes(self.body[start : start + _PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
