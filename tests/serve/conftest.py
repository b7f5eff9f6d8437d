"""A real server on a free port, around a model that needs no training: alpha is the image's brightness."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs jointmat[serve]")

import httpx
from fastapi import FastAPI

from jointmat.errors import WeightsError
from jointmat.predictor import Predictor
from jointmat.runtime.base import RawOutput
from jointmat.serve.app import create_app
from jointmat.serve.limits import Limits
from jointmat.serve.worker import CONTEXT
from tests.serve.host import hosted

# Workers then start with the tests' own imports done.
CONTEXT.set_forkserver_preload(["jointmat.serve.jobs", "tests.serve.jobs"])

ERRORS = (RuntimeError("secret /srv/model.onnx"), WeightsError("/srv/model.onnx: damaged"))


class Brightness:
    """A backend that can be held up and made to fail, from outside of the process that it works in."""

    stride = 32
    name = "brightness"
    device = "cpu"

    def __init__(self) -> None:
        self.free = CONTEXT.Event()
        self._numbers = CONTEXT.Array("i", [0, -1])

    @property
    def calls(self) -> int:
        return self._numbers[0]

    def fail(self, error: int | None) -> None:
        """With one of `ERRORS`, or no longer."""
        self._numbers[1] = -1 if error is None else error

    def run(self, image: np.ndarray, trimap: np.ndarray | None = None) -> RawOutput:
        with self._numbers.get_lock():
            self._numbers[0] += 1
        assert self.free.wait(20), "the test forgot to let the model go on"
        if self._numbers[1] >= 0:
            raise ERRORS[self._numbers[1]]
        alpha = image.mean(axis=1, keepdims=True)
        if trimap is not None:
            alpha = alpha * trimap[:, 1:2] + trimap[:, 2:]
        mask = alpha[:, :, ::4, ::4]
        planes = np.concatenate([1 - mask, 0 * mask, mask], axis=1)
        return RawOutput(alpha, planes if trimap is None else trimap, mask)


def predictor_of(backend: Brightness, max_pixels: int) -> Predictor:
    return Predictor(backend, max_side=64, max_pixels=max_pixels)


@dataclass
class Serving:
    app: FastAPI
    backend: Brightness
    predictor: Predictor
    http: httpx.Client
    port: int

    def post(self, path: str, **parts: Any) -> httpx.Response:
        return self.http.post(path, **parts)


@contextmanager
def serving(backend: Brightness | None = None, **limits: Any) -> Iterator[Serving]:
    """A server that is stopped, gracefully, when the block ends."""
    if backend is None:
        backend = Brightness()
        backend.free.set()
    bounds = Limits(**limits)
    predictor = predictor_of(backend, bounds.pixels)
    app = create_app(partial(predictor_of, backend, bounds.pixels), bounds, hosts=["matte.example.org"])
    with httpx.Client(timeout=20) as http, hosted(app) as port:  # answers may still come while the server stops
        http.base_url = f"http://127.0.0.1:{port}"
        try:
            yield Serving(app, backend, predictor, http, port)
        finally:
            backend.free.set()


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Starts servers with the limits given."""
    with ExitStack() as stack:
        yield lambda *backend, **limits: stack.enter_context(serving(*backend, **limits))


@pytest.fixture(scope="session")
def usual() -> Iterator[Serving]:
    """One server with the usual limits, for every test that leaves it as it is."""
    with serving() as running:
        yield running


def encoded(array: np.ndarray, format: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    return buffer.getvalue()


def decoded(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (40, 56, 3), np.uint8)


@pytest.fixture
def photo(image: np.ndarray) -> dict[str, bytes]:
    """The files of a request for the image."""
    return {"image": encoded(image)}


def refused(response: httpx.Response, status: int, *words: str) -> str:
    """Check that a response is a problem of one line with these words, and return the line."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].isprintable()
    for word in words:
        assert word in problem["detail"]
    return problem["detail"]


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread brings about; a failure if it does not come."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come about within 30 s"
        time.sleep(0.01)
