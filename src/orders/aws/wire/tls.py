"""TLS, verified against the roots of the system, or of certifi where the system has none."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


def secure(opened: socket.socket, host: str) -> ssl.SSLSocket:
    """Wrap a connection.

    Raises:
        ssl.SSLError: the other side cannot prove to be this host, or speaks no TLS.
    """
    try:
        return _context().wrap_socket(opened, server_hostname=host)
    except OSError:
        opened.close()
        raise


@cache
def _context() -> ssl.SSLContext:
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        return ssl.create_default_context(cafile=bundle)
    system = ssl.get_default_verify_paths()
    if system.cafile or system.capath:
        return ssl.create_default_context()
    import certifi  # noqa: PLC0415 - only where it is needed

    return ssl.create_default_context(cafile=certifi.where())
