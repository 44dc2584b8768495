"""The door: a socket of one's own, and the server behind it until it is told to stop."""

from __future__ import annotations

import contextlib
import socket

import uvicorn
from starlette.types import ASGIApp

from chainrule.errors import ConfigError

__all__ = ["address_of", "build_server", "listen", "run"]

MOST = 128
"""Requests that may be answered at the same time; more are told to come again (503)."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes one that is free.

    Raises:
        ConfigError: the port is taken, or there is no such address here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        opened = socket.socket(family, kind, protocol)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(
            f"there is no address {host!r} here: {error}", cure="leave --host away, or name another"
        ) from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(MOST)
    except (OSError, OverflowError) as error:
        opened.close()
        raise ConfigError(
            f"can't listen on {host} port {port}: {getattr(error, 'strerror', None) or error}",
            cure="choose another port with --port; 0 takes one that is free",
        ) from error
    return opened


def address_of(opened: socket.socket) -> str:
    """Where a browser finds it.

    >>> with listen("127.0.0.1", 0) as opened:
    ...     address_of(opened).startswith("http://127.0.0.1:")
    True
    """
    host, port = opened.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host) or str(host)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def build_server(app: ASGIApp) -> uvicorn.Server:
    """The server of an application; `should_exit` ends it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=16 * 1024,
        )
    )


def run(server: uvicorn.Server, opened: socket.socket) -> None:
    """Serve until Ctrl-C, a signal to end, or `should_exit`."""
    with opened, contextlib.suppress(KeyboardInterrupt):  # raised again once all is closed
        server.run(sockets=[opened])
