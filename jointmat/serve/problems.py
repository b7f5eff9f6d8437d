"""Every answer that is not a result: JSON as in RFC 9457, with one line that says what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from jointmat.errors import DeviceError, ImageError, ImageTooLarge, InputError, InputTypeError, JointmatError

MEDIA_TYPE = "application/problem+json"
_LONGEST = 500
_MEMORY_RETRY_SECONDS = 10
CLIENT_GONE = 499
"""Nobody reads this status, which nginx made usual; it stands in the metrics."""
_TITLES = {CLIENT_GONE: "Client Closed Request", 413: "Content Too Large", 422: "Unprocessable Content"}

_SCHEMA = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was got, what was expected, what to do; one line."},
    },
}

# Answers to a request for an image besides 200, for the OpenAPI document.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    for status, description in {
        400: "A file that is not a readable image, a damaged form, or a host name that is not served.",
        408: "The body did not arrive in time.",
        413: "More bytes or pixels than the limits of `GET /v1/info`.",
        415: "A body that is not multipart/form-data.",
        422: "A field is missing, unknown, given twice, or has a value that cannot be used.",
        500: "Internal error; see the server log.",
        503: "Too many requests at once; `Retry-After` says in how many seconds to try again.",
        504: "The deadline passed before the result was ready.",
    }.items()
}


class Problem(HTTPException):
    """An answer that is not a result. `detail` goes to the client: no path and no stack in it."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None):
        super().__init__(status, detail, headers)

    @classmethod
    def closing(cls, status: int, detail: str) -> "Problem":
        """One that is sent before the body has been read: the connection cannot be used again."""
        return cls(status, detail, {"Connection": "close"})

    @classmethod
    def busy(cls, detail: str, seconds: float, headers: dict[str, str] | None = None) -> "Problem":
        retry = max(1, round(seconds))
        return cls(503, f"{detail}: try again in {retry} s", {"Retry-After": str(retry), **(headers or {})})


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    # One line, however the client has named its fields and paths.
    detail = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in detail[:_LONGEST])
    content = {"title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def status_of(error: JointmatError) -> int:
    """HTTP status of an error of this package."""
    kinds = (
        (ImageTooLarge, 413),
        (ImageError, 400),
        (InputError, 422),
        (InputTypeError, 422),
        (DeviceError, 503),  # a worker that once had its device has no memory
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def add_handlers(app: FastAPI) -> None:
    """Have the app answer every exception that it expects with a problem."""
    app.add_exception_handler(StarletteHTTPException, _from_http)
    app.add_exception_handler(RequestValidationError, _from_validation)
    app.add_exception_handler(JointmatError, _from_jointmat)


async def _from_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    detail = error.detail
    if not isinstance(error, Problem):  # of the framework, which says no more than the status
        detail = f"{request.method} {request.url.path}: {detail}: see /docs for what there is"
    return problem_response(error.status_code, detail, error.headers)


async def _from_jointmat(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, JointmatError)
    status = status_of(error)
    if status == 500:  # weights, device: nothing that a client can do about, nor has to know
        raise error
    text = str(error)
    if status == 413:  # its advice is for those who call Python
        text = f"{text.rpartition(': ')[0]}: send a smaller image"
    headers = {"Retry-After": str(_MEMORY_RETRY_SECONDS)} if status == 503 else None
    return problem_response(status, text, headers)


async def _from_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # A field that may be left out has a second error, that it is not None.
    errors = [each for each in error.errors() if each["type"] != "none_required"]
    return problem_response(422, "; ".join(map(_line, errors)))


def _line(error: Any) -> str:
    """One field's fault. The value itself is not repeated: it may be a file."""
    field = error["loc"][1] if len(error["loc"]) > 1 else "body"  # forms are flat; the rest is pydantic's own
    if error["type"] == "missing":
        return f"{field}: missing: send it as a field of the form"
    if error["type"] == "extra_forbidden":
        return f"{field}: there is no such field: see /docs for those there are"
    if "UploadFile" in error["msg"]:
        return f"{field}: got text, expected a file: send it with a filename"
    if error["type"] == "value_error":  # of this package, already in its words
        return f"{field}: {error['ctx']['error']}"
    return f"{field}: {error['msg'][0].lower()}{error['msg'][1:]}"
