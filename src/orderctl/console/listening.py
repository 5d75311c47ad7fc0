"""The port that the console listens on."""

from __future__ import annotations

import socket
from typing import Final

from orderctl.errors import OrderctlError
from orderctl.localcloud.processes import LOOPBACK

DEFAULT_PORT: Final = 4580
_PORTS_TO_TRY: Final = 100
_BACKLOG: Final = 512


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
