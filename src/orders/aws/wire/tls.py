"""TLS, verified against the roots of the system, or the SDK's where the system has none."""

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
    return ssl.create_default_context(cafile=_roots_of_the_sdk())


def _roots_of_the_sdk() -> str:
    """The file of roots that botocore brings along (certifi's); nothing of it is imported."""
    from importlib.util import find_spec  # noqa: PLC0415 - only where it is needed

    botocore = find_spec("botocore")
    if botocore is None or not botocore.submodule_search_locations:
        raise ssl.SSLError("There are no roots to verify against: set AWS_CA_BUNDLE")
    return f"{botocore.submodule_search_locations[0]}/cacert.pem"
