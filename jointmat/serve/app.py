"""The app: API, documentation, health, metrics and the demo page."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import jointmat
from jointmat.assets import PORTRAIT
from jointmat.predictor import Predictor
from jointmat.serve.api import api, uploads
from jointmat.serve.gate import Gate
from jointmat.serve.guard import Guard
from jointmat.serve.limits import Limits
from jointmat.serve.memory import Memory
from jointmat.serve.meters import Metered, Meters
from jointmat.serve.problems import add_handlers

_PAGE = Path(__file__).parent / "page"
_FRESH = {"Cache-Control": "no-cache"}
_UNHEALTHY: dict[int | str, dict[str, Any]] = {503: {"description": "Photos are in line and none gets done."}}


def create_app(
    predictor: Predictor,
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    photo_seconds: float = 1.0,
) -> FastAPI:
    """An ASGI app around a loaded predictor.

    Parameters
    ----------
    predictor : its `max_pixels` should be `limits.pixels`
    limits : see `Limits`
    hosts : host names to serve besides addresses and localhost; "*" for all
    photo_seconds : that a photo takes, until some have been done
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
    app.state.predictor = predictor
    app.state.limits = limits
    app.state.gate = Gate(limits, photo_seconds)
    app.state.memory = Memory(limits)
    app.state.meters = _meters(app.state.gate, app.state.memory)
    app.include_router(uploads)
    app.include_router(api)
    app.get("/healthz", tags=["operation"], summary="Health", responses=_UNHEALTHY)(healthz)
    app.get("/metrics", tags=["operation"], summary="Metrics", response_class=Response)(metrics)
    app.get("/", include_in_schema=False)(page)
    app.get("/sample.jpg", include_in_schema=False)(sample)
    app.mount("/page", _Page(directory=_PAGE))
    app.mount("/docs/assets", _Page(packages=[("fastapi_offline", "static")]))
    app.mount("/docs", _Page(directory=_PAGE / "docs", html=True))
    add_handlers(app)
    app.add_middleware(Guard, hosts=hosts)
    app.add_middleware(Metered, meters=app.state.meters)
    return app


def healthz(request: Request) -> JSONResponse:
    """Whether the server does its work: 503 if photos are in line and none gets done."""
    gate: Gate = request.app.state.gate
    stuck = gate.stuck()
    return JSONResponse({"status": "stuck" if stuck else "ok", "jobs": gate.jobs}, 503 if stuck else 200)


def metrics(request: Request) -> Response:
    """Counters and timings, in Prometheus' text format."""
    return Response(generate_latest(request.app.state.meters.registry), media_type=CONTENT_TYPE_LATEST)


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
    yield
    await app.state.gate.close()


def _meters(gate: Gate, memory: Memory) -> Meters:
    meters = Meters()
    meters.watch("jobs", "Photos in line or being worked on.", lambda: gate.jobs)
    meters.watch("held_bytes", "Bytes of uploads and answers held in memory.", lambda: memory.held)
    return meters
