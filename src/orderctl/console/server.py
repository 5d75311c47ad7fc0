"""Serves the console on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from orderctl.errors import OrderctlError

LOOPBACK: Final = "127.0.0.1"
DEFAULT_PORT: Final = 4580
_PORTS_TO_TRY: Final = 100
_BACKLOG: Final = 512
_SECONDS_FOR_OPEN_REQUESTS: Final = 1


def listen(port: int | None) -> socket.socket:
    """Listen on a port, or on the default one or the next that is free.

    Raises:
        OrderctlError: the port is taken, or all are.
    """
    tried = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TO_TRY)
    for each in tried:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, each))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
        else:
            return listener
    if port is not None:
        raise OrderctlError(f"Port {port} is taken. Give another --port, or none.")
    raise OrderctlError(f"All ports from {DEFAULT_PORT} on are taken. Give a free one with --port.")


def serve(listener: socket.socket, app: ASGIApp, ready: Callable[[], None]) -> None:
    """Serve until a signal ends it.

    Args:
        listener: from `listen`.
        app: the application.
        ready: is called once it answers.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_FOR_OPEN_REQUESTS,
    )
    _Server(config, ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()
