"""Forms with files: received within limits, held in memory, never on the disk."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import Request, Response, UploadFile
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from jointmat.serve.limits import Limits
from jointmat.serve.memory import Memory
from jointmat.serve.problems import CLIENT_GONE, Problem

_PARTS = 8  # of a form, of each kind: more than any form here has, so that unknown ones can be named
_DISCARD_SECONDS = 5  # beyond the time for an upload


async def received(upload: UploadFile) -> bytes:
    """An upload's bytes, which are then held once: the form's own are given up."""
    data = await upload.read()
    await upload.close()
    return data


class UploadRoute(APIRoute):
    """A route whose form is received by `UploadRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            upload = UploadRequest(request.scope, request.receive)
            try:
                return await handler(upload)
            finally:
                upload.release()

        return handle


class UploadRequest(Request):
    """A request that reads no more of its body than the limits allow."""

    def __init__(self, scope: Scope, receive: Receive):
        super().__init__(scope, self._next)
        self._source = receive
        self._received = 0
        self._ended = False
        self._start = asyncio.get_running_loop().time()

    async def form(self, **_: Any) -> FormData:  # type: ignore[override]  # nothing here needs it as a context
        """The form, its files in memory.

        Raises
        ------
        Problem
            408, 413, 415, 422 for a field given twice, 400 for a form that cannot be parsed, 503 if other uploads
            and answers take all the memory there is for them.
        """
        try:
            return await self._form_within_limits()
        except Problem:
            await self._discard_rest()
            raise

    async def _form_within_limits(self) -> FormData:
        self._check_headers()
        seconds = self._limits.upload_seconds
        try:
            async with asyncio.timeout(seconds):
                form = await _parser(self).parse()
        except TimeoutError as error:
            detail = f"the body did not arrive within {seconds:g} s: use a faster line, or send a smaller file"
            raise Problem.closing(408, detail) from error
        except MultiPartException as error:
            raise Problem.closing(
                400, f"form: {error.message.rstrip('.')}: expected multipart/form-data"
            ) from error
        except ClientDisconnect as error:
            raise Problem(CLIENT_GONE, "the client left while sending") from error
        _refuse_twice(form)
        return form

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, counted."""
        async for chunk in super().stream():
            self._take(len(chunk))
            yield chunk

    @property
    def most_bytes(self) -> int:
        return self._limits.body_bytes

    def release(self) -> None:
        """Give back what this request held."""
        self._memory.give_back(self._received)
        self._received = 0

    async def _next(self) -> Message:
        message = await self._source()
        self._ended = not message.get("more_body", False)
        return message

    @property
    def _limits(self) -> Limits:
        return self.app.state.limits

    @property
    def _memory(self) -> Memory:
        return self.app.state.memory

    def _check_headers(self) -> None:
        kind = self.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != "multipart/form-data":
            got = f"got {kind[:100]!r}" if kind else "there is none"
            raise Problem.closing(
                415, f"content type: {got}, expected multipart/form-data: send a form with a file"
            )
        length = int(self.headers.get("Content-Length") or 0)  # the server has refused what is not a number
        if length > self._limits.body_bytes:
            raise self._too_large(f"{length}")

    async def _discard_rest(self) -> None:
        """Read a refused body on, keeping nothing, for as long as a good one may take: who is cut off while
        sending sees no answer."""
        if "Expect" in self.headers and self._received == 0:  # waits for our word, and will not send
            return
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout_at(self._start + self._limits.upload_seconds + _DISCARD_SECONDS):
                while not self._ended and (await self.receive())["type"] == "http.request":
                    pass

    def _take(self, count: int) -> None:
        self._received += count
        self._memory.take(count)
        if self._received > self._limits.body_bytes:
            raise self._too_large(f"more than {self._limits.body_bytes}")

    def _too_large(self, got: str) -> Problem:
        detail = f"body: got {got} bytes, the limit is {self._limits.body_bytes}: send a smaller file"
        return Problem.closing(413, detail)


class _MemoryParser(MultiPartParser):
    spool_max_size = sys.maxsize  # the stream is bounded, so no file has to go to the disk


def _parser(request: UploadRequest) -> MultiPartParser:
    bounds = {"max_files": _PARTS, "max_fields": _PARTS, "max_part_size": request.most_bytes}
    return _MemoryParser(request.headers, request.stream(), **bounds)


def _refuse_twice(form: FormData) -> None:
    twice = [name for name, count in Counter(name for name, _ in form.multi_items()).items() if count > 1]
    if twice:
        raise Problem(422, f"{', '.join(twice)[:100]}: given more than once: send each field once")
