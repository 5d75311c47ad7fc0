"""Many viewers of a console at once, without a browser."""

from __future__ import annotations

import selectors
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from typing import Final
from urllib.parse import urlsplit

_CHUNK: Final = 65536


class Viewers:
    """So many open pages: each gets what is passed on, and counts it."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        """Take their connections."""
        self.sockets = sockets
        self.pictures = [0] * len(sockets)
        """How often each got the picture."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, each in enumerate(self.sockets):
                selector.register(each, selectors.EVENT_READ, number)
            while not self._over.is_set():
                for key, _ in selector.select(0.2):
                    got = self.sockets[key.data].recv(_CHUNK)
                    self.pictures[key.data] += got.count(b"event: flow")
                    if not got:
                        selector.unregister(key.fileobj)


@contextmanager
def watching(address: str, count: int) -> Iterator[Viewers]:
    """Have so many watch the flow during the block.

    Args:
        address: of the console, with its secret.
        count: how many.
    """
    jar = CookieJar()
    urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open(address).close()
    cookie = "; ".join(f"{each.name}={each.value}" for each in jar)
    place = urlsplit(address)
    request = f"GET /live HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {cookie}\r\n\r\n".encode()
    with ExitStack() as leaving:
        sockets = []
        for _ in range(count):
            each = leaving.enter_context(
                socket.create_connection((str(place.hostname), place.port or 80), 30)
            )
            each.sendall(request)
            sockets.append(each)
        viewers = Viewers(sockets)
        viewers._thread.start()
        try:
            yield viewers
        finally:
            viewers._over.set()
            viewers._thread.join()
