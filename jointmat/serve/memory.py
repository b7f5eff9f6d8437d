"""Accounts for the memory of uploads and answers."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jointmat.serve.limits import Limits
from jointmat.serve.problems import Problem

_PIECE_BYTES = 64 * 1024
_PIXEL_BYTES = 40  # that a photo's pixel takes at most while a composite is made of it
_FREE_SHARE = 0.7  # of the memory that is free now and may be planned with


def affordable_pixels(workers: int) -> int | None:
    """Pixels of the largest photo for which this many workers have enough free memory, the machine's or the
    container's; None where the system does not say."""
    free = [bytes_free for look in (_machine_free, _container_free) if (bytes_free := look()) is not None]
    return round(_FREE_SHARE * min(free) / _PIXEL_BYTES / workers) if free else None


def resident_bytes(pid: int) -> int:
    """Memory of a process on Linux; 0 for one that has ended, and on other systems."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _machine_free() -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    return None


def _container_free() -> int | None:
    """What a container's own limit (cgroup 2) leaves."""
    with suppress(OSError, ValueError):  # ValueError: "max"
        root = Path("/sys/fs/cgroup")
        return int((root / "memory.max").read_text("ascii")) - int((root / "memory.current").read_text("ascii"))
    return None


class Memory:
    """Bytes of uploads and answers that the process holds."""

    def __init__(self, limits: Limits):
        self.held = 0
        self._most = limits.held_bytes

    def take(self, count: int) -> None:
        """Count bytes; Problem 503 if they are too many; the caller releases them either way."""
        self.held += count
        if self.held > self._most:
            detail = "server busy: other uploads and answers fill the memory"
            raise Problem.busy(detail, 2, {"Connection": "close"})

    def give_back(self, count: int) -> None:
        self.held -= count


class Answer(Response):
    """An image whose bytes count as held until the client has them; a client that takes too long is cut off.

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
