"""Middleware of every request: allowed hosts, security headers, no stack traces."""

import ipaddress
import logging
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jointmat.serve.problems import problem_response

_HEADERS = {
    # The page's own files only; blob: for the images that it got from the API, data: for small icons.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_log = logging.getLogger("jointmat.serve")


class Guard:
    """ASGI middleware.

    Host names that are not served are refused, so that a web site cannot point a name of its own at this server
    and read its answers (DNS rebinding). Addresses and "localhost" cannot be pointed elsewhere and always pass;
    Starlette's TrustedHostMiddleware knows names alone.

    Parameters
    ----------
    hosts : further host names to serve; "*" for all
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()):
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        host = Headers(scope=scope).get("Host", "")
        try:
            if self._serves(host):
                await self._app(scope, receive, guarded)
            else:
                detail = (
                    f"host: got {host[:100]!r}, which is not served here: start with --allow-host to serve it"
                )
                await problem_response(400, detail)(scope, receive, guarded)
        except Exception:
            if started:
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            await problem_response(500, "internal error; see the server log")(scope, receive, guarded)

    def _serves(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host).lower()
        return "*" in self._hosts or name == "localhost" or name in self._hosts or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
