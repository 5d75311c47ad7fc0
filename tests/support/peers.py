"""The other end of a connection, which does what a test says."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Act = Callable[[socket.socket], bool]
"""What is done with a request that was read; whether another one may follow."""


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer as a service writes it."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def say(sent: bytes) -> Act:
    """Send something, and wait for the next request."""

    def act(connection: socket.socket) -> bool:
        connection.sendall(sent)
        return True

    return act


def say_and_close(sent: bytes = b"") -> Act:
    """Send something, or nothing, and close the connection."""

    def act(connection: socket.socket) -> bool:
        connection.sendall(sent)
        return False

    return act


def say_slowly(sent: bytes, pause: float, stopped: threading.Event) -> Act:
    """Send something byte by byte."""

    def act(connection: socket.socket) -> bool:
        for number in range(len(sent)):
            connection.sendall(sent[number : number + 1])
            if stopped.wait(pause):
                break
        return False

    return act


@dataclass(slots=True)
class Peer:
    """A server with a script: what it does with each request, the last for all further ones."""

    acts: Sequence[Act]
    listening: socket.socket
    context: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        scheme = "https" if self.context else "http"
        return f"{scheme}://localhost:{self.listening.getsockname()[1]}"

    def serve(self) -> None:
        """Take one connection after the other until it is closed."""
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError), connection:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                with connection:
                    self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        while (request := _read(connection)) is not None:
            self.requests.append(request)
            act = self.acts[min(len(self.requests), len(self.acts)) - 1]
            if not act(connection):
                return


def _read(connection: socket.socket) -> bytes | None:
    """The body of one request; None when there is no more."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65_536)
        if not received:
            return None
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return body


@contextmanager
def peer(*acts: Act, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Run a server for as long as the block takes."""
    with socket.create_server(("localhost", 0)) as listening:
        started = Peer(acts, listening, context)
        thread = threading.Thread(target=started.serve, daemon=True)
        thread.start()
        try:
            yield started
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)
