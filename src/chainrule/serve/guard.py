"""At the door: who is let in, and what every answer carries.

The server listens on the loopback unless told otherwise. A page from elsewhere that the same
browser has open can still send requests there, under this host's name or under its own (DNS
rebinding): so the `Host` must be one of ours, and the `Origin`, where there is one, the page's own.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "host_names"]

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = frozenset({"0.0.0.0", "::", ""})


def host_names(host: str) -> frozenset[str] | None:
    """The names under which a server that listens there is asked for; None: under any.

    >>> sorted(host_names("127.0.0.1")), host_names("0.0.0.0")
    (['127.0.0.1', '::1', 'localhost'], None)
    """
    return None if host in _ANY else _LOOPBACK | {host.lower()}


class Guard:
    """Refuses requests that are not the page's own, and adds the headers to every answer.

    Args:
        app: what it stands in front of.
        names: the hosts that it answers to; None: to any.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str] | None) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        problem = self._problem(Headers(scope=scope))
        if problem is None:
            await self._app(scope, receive, send_with_headers)
        else:
            refusal = JSONResponse({"error": problem}, status_code=403)
            await refusal(scope, receive, send_with_headers)

    def _problem(self, headers: Headers) -> str | None:
        host = headers.getlist("host")
        if len(host) != 1 or not self._is_ours(host[0]):
            return "this server does not go by that name"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "another page is asking"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host[0].lower():
            return "another page is asking"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return bool(name) and (self._names is None or name in self._names)
