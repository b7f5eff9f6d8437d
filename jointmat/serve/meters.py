"""Metrics, and the request log."""

import logging
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 30)

_log = logging.getLogger("jointmat.requests")


class Meters:
    """The meters of one app, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "jointmat_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "jointmat_request_seconds",
            "From a request's first byte to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Show a number as it is whenever it is asked for."""
        Gauge(f"jointmat_{name}", description, registry=self.registry).set_function(value)

    def serve(self, host: str, port: int) -> int:
        """Show all of them at /metrics on a port of their own, in Prometheus' text format; the port."""
        server, _ = start_http_server(port, host, self.registry)
        return int(server.server_port)


class Metered:
    """ASGI middleware that counts, times and logs requests by route: no client makes up a label, and the names of
    photos that are kept, which give access to them, stand in no log."""

    def __init__(self, app: ASGIApp, meters: Meters):
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0  # an answer that never began
        start = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "") or "other"
            seconds = time.perf_counter() - start
            self._meters.requests.labels(route, status).inc()
            self._meters.seconds.labels(route).observe(seconds)
            client = (scope.get("client") or ["-"])[0]
            _log.info("%s %s %s %d %.3f s", client, scope["method"], route, status, seconds)
