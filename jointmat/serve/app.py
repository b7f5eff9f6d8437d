"""The app: API, documentation, health and the page."""

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

import jointmat
from jointmat.assets import PORTRAIT
from jointmat.serve.api import api, uploads
from jointmat.serve.gate import Gate
from jointmat.serve.guard import Guard
from jointmat.serve.kept import Photos
from jointmat.serve.limits import Limits
from jointmat.serve.memory import Memory, resident_bytes
from jointmat.serve.meters import Metered, Meters
from jointmat.serve.photos import photos
from jointmat.serve.problems import add_handlers
from jointmat.serve.removebg import removebg
from jointmat.serve.worker import Load

_PAGE = Path(__file__).parent / "page"
_FRESH = {"Cache-Control": "no-cache"}
_UNHEALTHY: dict[int | str, dict[str, Any]] = {503: {"description": "There is no worker, and none will start."}}


def create_app(
    load: Load,
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> FastAPI:
    """An ASGI app; its workers start with it, or before by `app.state.gate.hire()`.

    Parameters
    ----------
    load : makes a worker's predictor, whose `max_pixels` should be `limits.pixels`
    limits : see `Limits`
    hosts : host names to serve besides addresses and localhost; "*" for all
    origins : of web pages elsewhere whose scripts may use the API, such as https://example.org; "*" for all
    """
    limits = limits or Limits()
    app = FastAPI(
        title="jointmat",
        version=jointmat.__version__,
        summary="Portrait matting: photo in; alpha, cut-out or composite out.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.limits = limits
    app.state.gate = Gate(limits, load)
    app.state.memory = Memory(limits)
    app.state.photos = Photos(limits)
    app.state.meters = _meters(app.state.gate, app.state.memory, app.state.photos)
    app.include_router(uploads)
    app.include_router(api)
    app.include_router(photos)
    app.include_router(removebg)
    app.get("/healthz", tags=["operation"], summary="Health", responses=_UNHEALTHY)(healthz)
    app.get("/", include_in_schema=False)(page)
    app.get("/sample.jpg", include_in_schema=False)(sample)
    app.mount("/page", _Page(directory=_PAGE))
    app.mount("/docs/assets", _Page(packages=[("fastapi_offline", "static")]))
    app.mount("/docs", _Page(directory=_PAGE / "docs", html=True))
    add_handlers(app)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            expose_headers=["Retry-After", "X-Coverage", "X-Is-Empty"],
        )
    app.add_middleware(Guard, hosts=hosts)
    app.add_middleware(Metered, meters=app.state.meters)
    return app


def healthz(request: Request) -> JSONResponse:
    """Whether the server works: 503 if it has no worker and could not start one lately."""
    gate: Gate = request.app.state.gate
    alive = gate.workers > 0 or not gate.failed_starts
    body = {"status": "ok" if alive else "no workers", "jobs": gate.jobs, "workers": gate.workers}
    return JSONResponse(body, 200 if alive else 503)


def page() -> FileResponse:
    """The demo page."""
    return FileResponse(_PAGE / "index.html", headers=_FRESH)


def sample() -> FileResponse:
    """The portrait that comes with the package."""
    return FileResponse(PORTRAIT, media_type="image/jpeg")


class _Page(StaticFiles):
    """The page's files; browsers ask each time whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_FRESH)
        return response


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await app.state.gate.open()
    yield
    app.state.photos.clear()
    await app.state.gate.close()


def _resident(gate: Gate) -> int:
    return sum(map(resident_bytes, (os.getpid(), *gate.pids)))


def _meters(gate: Gate, memory: Memory, kept: Photos) -> Meters:
    meters = Meters()
    meters.watch("jobs", "Photos in line or being worked on.", lambda: gate.jobs)
    meters.watch("resident_bytes", "Memory of the server and its workers.", lambda: _resident(gate))
    meters.watch("workers", "Workers that are ready or at work.", lambda: gate.workers)
    meters.watch("replaced_workers", "Workers that took too long, or ended.", lambda: gate.replaced)
    meters.watch("kept_photos", "Photos that are kept for edits.", lambda: kept.count)
    meters.watch("kept_bytes", "Bytes of the photos that are kept.", lambda: kept.size)
    meters.watch("held_bytes", "Bytes of uploads and answers held in memory.", lambda: memory.held)
    return meters
