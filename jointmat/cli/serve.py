"""`jointmat serve`."""

import logging
import math
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from jointmat.cli import options as shared
from jointmat.cli.options import Command, grouped
from jointmat.errors import DependencyError, InputError, pip_install

if TYPE_CHECKING:
    import uvicorn

_MEGA = 1_000_000
_BACKLOG = 128
_STALLED_SECONDS = 30
_MOST = 1_000_000
_USUAL_MP = 50
_LEVELS = ["debug", "info", "warning", "error"]
_address_of, _limits = grouped("Address"), grouped("Limits")


class _Number(click.FloatRange):
    """A range without nan, which click takes for a part of every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number: expected one from {self.min} to {self.max}.", param, ctx)
        return number


@click.command(cls=Command)
@_address_of("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all of this machine.")
@_address_of("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on; 0 for any free one.")
@_address_of("--allow-host", "hosts", multiple=True, help="Host name to answer to, such as matte.example.org.")
@_address_of("--allow-origin", "origins", multiple=True, help="Site whose scripts may use the API (CORS).")
@_address_of("--metrics-port", type=click.IntRange(0, 65535), help="Port of Prometheus metrics; off by default.")
@_address_of("--log-level", type=click.Choice(_LEVELS), default="info", help="info logs every request.")
@_limits("--max-mb", type=_Number(0.001, _MOST), default=30.0, help="Largest upload, megabytes.")
@_limits("--max-mp", type=_Number(0.001, _MOST), help=f"Largest image, megapixels; {_USUAL_MP} if memory allows.")
@_limits("--workers", type=click.IntRange(min=1), default=1, help="Images processed at the same time.")
@_limits("--queue", type=click.IntRange(min=0), default=16, help="Requests that may wait; more get 503.")
@_limits("--deadline", type=_Number(1, _MOST), default=30.0, help="Seconds for one image.")
@_limits("--upload-time", type=_Number(1, _MOST), default=30.0, help="Seconds for an upload to arrive.")
@_limits("--answer-time", type=_Number(1, _MOST), default=60.0, help="Seconds for a client to take its answer.")
@_limits("--keep-minutes", type=_Number(0.1, _MOST), default=10.0, help="How long unused images are kept.")
@_limits("--keep-mb", type=_Number(1, _MOST), default=400.0, help="Megabytes of all images that are kept.")
@shared.model
@shared.backend
@shared.device
@shared.detail
@shared.max_side("512, then 2048")
def serve(**options: Any) -> None:
    """Start the page and the HTTP API.

    Photos are held in memory: while they are worked on, and those that were opened on the page for some minutes
    more. Nothing is written to the disk.
    """
    _start_log(options["log_level"])
    server = _server(options)
    with listen(options["host"], options["port"]) as listener:
        click.echo(f"page  {_address(listener)}\nAPI   {_address(listener)}docs/")
        if options["metrics_port"] is not None:
            meters = server.config.app.state.meters  # type: ignore[union-attr]
            click.echo(f"metrics on port {meters.serve(options['host'], options['metrics_port'])}")
        click.echo("Ctrl-C stops")
        server.run(sockets=[listener])


def _server(options: dict[str, Any]) -> "uvicorn.Server":
    """Load and try everything, so that failures show before anybody connects."""
    try:
        from jointmat.serve.app import create_app
        from jointmat.serve.connections import server
    except ModuleNotFoundError as error:
        raise DependencyError(f"jointmat serve needs {error.name}: {pip_install('serve')}") from error
    except RuntimeError as error:  # as fastapi says that python-multipart is missing
        raise DependencyError(f"jointmat serve: {error}: {pip_install('serve')}") from error
    from jointmat.serve.limits import Limits
    from jointmat.serve.worker import load_predictor

    body, pixels = round(options["max_mb"] * _MEGA), _pixels(options["max_mp"], options["workers"])
    limits = Limits(
        body_bytes=body,
        held_bytes=8 * body + 4 * pixels,
        pixels=pixels,
        workers=options["workers"],
        waiting=options["queue"],
        upload_seconds=options["upload_time"],
        deadline_seconds=options["deadline"],
        answer_seconds=options["answer_time"],
        keep_seconds=60 * options["keep_minutes"],
        kept_bytes=round(options["keep_mb"] * _MEGA),
    )
    names = ("model", "backend", "device", "detail", "max_side")
    load = partial(load_predictor, max_pixels=pixels, **{name: options[name] for name in names})
    app = create_app(load, limits, options["hosts"], options["origins"])
    app.state.gate.hire()
    return server(app, round(limits.deadline_seconds))


def _pixels(megapixels: float | None, workers: int) -> int:
    """Pixels of the largest photo: as asked for, or what memory allows, with a message if that is less."""
    from jointmat.serve.memory import affordable_pixels

    wanted = round((megapixels or _USUAL_MP) * _MEGA)
    affordable = affordable_pixels(workers)
    if affordable is None or affordable >= wanted:
        return wanted
    found = f"the memory that is free now is enough for photos of {affordable / _MEGA:.0f} megapixels"
    if megapixels:
        click.echo(f"{found}: larger ones may fail", err=True)
        return wanted
    click.echo(f"{found}: larger ones are refused", err=True)
    return max(_MEGA, affordable)


def _start_log(level: str) -> None:
    """Log to standard error; Uvicorn's own messages only with --log-level debug."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=level.upper())
    least = max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()])
    logging.getLogger("uvicorn").setLevel("DEBUG" if level == "debug" else least)
    logging.getLogger("asyncio").setLevel(least)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; connections wait in its line until the server takes them.

    Where the system can (Linux), it cuts off clients that take nothing of what is sent to them for 30 s: uvicorn
    waits for them even when it hangs up.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _STALLED_SECONDS)
        return listener
    except (OSError, UnicodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not a host name"
        cause = str(cause).partition(" (while")[0]
        raise InputError(f"{host}:{port}: cannot listen: {cause}: choose another --host or --port") from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/"
