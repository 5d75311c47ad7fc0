"""HTTP/1.1 over one kept connection.

`http.client` would do, but it loads a parser of mails for the headers: docs/decisions.md has what
that costs a cold start and each call.
"""

from __future__ import annotations

import re
import select
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orders.aws.wire.endpoints import Endpoint

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
"""For the whole answer: who sends it byte by byte does not eat up the function's time."""
_LONGEST_HEAD: Final = 65_536
_BYTES_AT_ONCE: Final = 65_536
_STATUS: Final = re.compile(r"HTTP/1\.1 ([2-5][0-9][0-9])(?: |$)")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]+) *(?:;|$)")


class NoAnswerError(Exception):
    """There is no answer, or none that can be believed; the request may have taken effect."""

    def __init__(self, code: str) -> None:
        """Take the name that the SDK has for it."""
        super().__init__(code)
        self.code = code


class _StaleError(NoAnswerError):
    """The connection was closed before the other side said anything."""

    def __init__(self) -> None:
        super().__init__("ConnectionClosedError")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to a service; the headers by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said; the headers by lower-case name."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport(Protocol):
    """What carries requests to one service."""

    def exchange(self, request: Request) -> Answer:
        """Send a request and have it answered.

        Raises:
            NoAnswerError: there is no whole answer.
        """
        ...


class Connection:
    """A connection that is opened when it is first needed, and kept from call to call.

    AWS closes it while the environment is frozen; then it is opened anew, unnoticed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        answer_seconds: float = ANSWER_SECONDS,
        *,
        may_send_again: bool = True,
    ) -> None:
        """Open nothing yet.

        Args:
            endpoint: where the service is.
            answer_seconds: how long an answer is waited for.
            may_send_again: whether a request may be sent once more that went out over a kept
                connection as that was closed.
        """
        self._endpoint = endpoint
        self._answer_seconds = answer_seconds
        self._may_send_again = may_send_again
        self._secure = _layer(endpoint.scheme)
        self._socket: socket.socket | None = None

    def exchange(self, request: Request) -> Answer:
        """Send a request and have it answered.

        Raises:
            NoAnswerError: there is no whole answer.
        """
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        sent = (
            f"{request.method} {request.path} HTTP/1.1\r\n{head}"
            f"content-length: {len(request.body)}\r\n\r\n"
        ).encode("latin-1") + request.body
        kept, self._socket = self._socket, None
        if kept and _is_quiet(kept):
            try:
                return self._ask(kept, sent)
            except _StaleError:
                # It was closed just now, or unnoticed before: a new one will do.
                if not self._may_send_again:
                    raise
        return self._ask(self._open(), sent)

    def _ask(self, opened: socket.socket, sent: bytes) -> Answer:
        """Ask over a connection, and keep it if it is fit for another request."""
        reader = _Reader(opened, time.monotonic() + self._answer_seconds)
        is_kept = False
        try:
            try:
                opened.settimeout(self._answer_seconds)
                opened.sendall(sent)
            except TimeoutError:
                raise NoAnswerError("ReadTimeoutError") from None
            except OSError:
                raise _StaleError from None
            answer = reader.read()
            is_kept = answer.headers.get("connection", "").lower() != "close" and reader.is_done
        finally:
            if is_kept:
                self._socket = opened
            else:
                opened.close()
        return answer

    def _open(self) -> socket.socket:
        host = self._endpoint.host.strip("[]")
        try:
            opened = socket.create_connection((host, self._endpoint.port), CONNECT_SECONDS)
        except TimeoutError:
            raise NoAnswerError("ConnectTimeoutError") from None
        except OSError:
            raise NoAnswerError("EndpointConnectionError") from None
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return self._secure(opened, host)
        except TimeoutError:
            raise NoAnswerError("ConnectTimeoutError") from None
        except OSError:
            raise NoAnswerError("SSLError") from None


def _layer(scheme: str) -> Callable[[socket.socket, str], socket.socket]:
    """What comes between a connection and HTTP; TLS takes 8 ms to import, so only where needed."""
    if scheme == "http":
        return lambda opened, _host: opened
    from orders.aws.wire.tls import secure  # noqa: PLC0415

    return secure


def _is_quiet(kept: socket.socket) -> bool:
    """Whether a kept connection is as it was left: not closed, and nothing has come over it."""
    poll = select.poll()
    poll.register(kept, select.POLLIN)
    if poll.poll(0):
        kept.close()
        return False
    return True


class _Reader:
    """Reads one answer (RFC 9112)."""

    def __init__(self, source: socket.socket, deadline: float) -> None:
        self._source = source
        self._deadline = deadline
        self._data = b""
        self._begun = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is left behind the answer."""
        return not self._data

    def read(self) -> Answer:
        """Read the answer.

        Raises:
            _StaleError: the connection was closed before the first byte.
            NoAnswerError: it came not in time, not whole, or is no HTTP.
        """
        try:
            return self._read()
        except TimeoutError:
            raise NoAnswerError("ReadTimeoutError") from None
        except ValueError:
            raise NoAnswerError("ResponseParserError") from None

    def _read(self) -> Answer:
        first, *lines = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = _STATUS.match(first)
        if not status:
            raise ValueError(first)
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if not colon or headers.get(name, value) != value:
                raise ValueError(line)
            headers[name] = value
        return Answer(int(status[1]), headers, self._take_body(headers))

    def _take_body(self, headers: Mapping[str, str]) -> bytes:
        """The body; one that ends with the connection cannot be told from one that was cut."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._take_chunks())
        length = headers.get("content-length", "")
        if not length.isdecimal():
            raise ValueError(length)
        return self._take(int(length))

    def _take_chunks(self) -> Iterator[bytes]:
        while size := self._take_chunk_size():
            yield self._take(size)
            if self._take(2) != b"\r\n":
                raise ValueError("a chunk of another length")
        while self._take_until(b"\r\n"):
            pass  # trailers

    def _take_chunk_size(self) -> int:
        size = _CHUNK_SIZE.match(self._take_until(b"\r\n"))
        if not size:
            raise ValueError("a chunk without a length")
        return int(size[1], 16)

    def _take_until(self, end: bytes) -> bytes:
        while (found := self._data.find(end)) < 0:
            if len(self._data) > _LONGEST_HEAD:
                raise ValueError("a head without an end")
            self._receive()
        taken, self._data = self._data[:found], self._data[found + len(end) :]
        return taken

    def _take(self, size: int) -> bytes:
        parts, missing = [self._data], size - len(self._data)
        while missing > 0:
            self._data = b""
            self._receive()
            parts.append(self._data)
            missing -= len(self._data)
        data = b"".join(parts)
        self._data = data[size:]
        return data[:size]

    def _receive(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._source.settimeout(left)
        try:
            received = self._source.recv(_BYTES_AT_ONCE)
        except TimeoutError:
            raise
        except OSError:
            received = b""
        if not received:
            if self._begun:
                raise NoAnswerError("ConnectionClosedError")
            raise _StaleError
        self._begun = True
        self._data += received
