"""`jointmat serve`."""

import logging
import math
import socket
import time
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
@_limits("--max-mb", type=_Number(0.001, _MOST), default=20.0, help="Largest upload, megabytes.")
@_limits("--max-mp", type=_Number(0.001, _MOST), default=25.0, help="Largest image, megapixels.")
@_limits("--workers", type=click.IntRange(min=1), default=1, help="Images processed at the same time.")
@_limits("--queue", type=click.IntRange(min=0), default=16, help="Requests that may wait; more get 503.")
@_limits("--deadline", type=_Number(1, _MOST), default=30.0, help="Seconds for one image.")
@_limits("--upload-time", type=_Number(1, _MOST), default=30.0, help="Seconds for an upload to arrive.")
@_limits("--answer-time", type=_Number(1, _MOST), default=60.0, help="Seconds for a client to take its answer.")
@shared.model
@shared.backend
@shared.device
@shared.detail
@shared.max_side("512, then 2048")
def serve(**options: Any) -> None:
    """Start the demo page and the HTTP API.

    Pictures are held in memory while they are worked on, and nowhere else.
    """
    server = _server(options)
    with listen(options["host"], options["port"]) as listener:
        click.echo(f"demo  {_address(listener)}\nAPI   {_address(listener)}docs/\nCtrl-C stops")
        server.run(sockets=[listener])


def _server(options: dict[str, Any]) -> "uvicorn.Server":
    """Everything loaded and tried, so that what cannot work fails before anybody connects."""
    try:
        from jointmat.assets import PORTRAIT
        from jointmat.serve.app import create_app
        from jointmat.serve.connections import server
    except ModuleNotFoundError as error:
        raise DependencyError(f"jointmat serve needs {error.name}: {pip_install('serve')}") from error
    from jointmat.predictor import Predictor
    from jointmat.serve.limits import Limits

    body, pixels = round(options["max_mb"] * _MEGA), round(options["max_mp"] * _MEGA)
    limits = Limits(
        body_bytes=body,
        held_bytes=8 * body + 4 * pixels,
        pixels=pixels,
        workers=options["workers"],
        waiting=options["queue"],
        upload_seconds=options["upload_time"],
        deadline_seconds=options["deadline"],
        answer_seconds=options["answer_time"],
    )
    predictor = Predictor(
        options["model"],
        backend=options["backend"],
        device=options["device"],
        detail=options["detail"],
        max_side=options["max_side"],
        max_pixels=limits.pixels,
    )
    start = time.perf_counter()
    predictor.matte(PORTRAIT).cutout()
    seconds = time.perf_counter() - start
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    return server(create_app(predictor, limits, options["hosts"], seconds), round(limits.deadline_seconds))


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
