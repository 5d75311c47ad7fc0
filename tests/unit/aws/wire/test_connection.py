"""Whatever happens on the wire: a right answer, or an error."""

from __future__ import annotations

import datetime
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orders.aws.errors import AwsError
from orders.aws.wire import client as client_module
from orders.aws.wire import connection, endpoints, tls
from orders.aws.wire.client import Client
from orders.aws.wire.connection import Answer, Connection, NoAnswerError, Request
from support.peers import Peer, answer, peer, say, say_and_close, say_slowly

VALUES = {"Item": {"order_id": {"S": "a"}, "amount": {"N": "12"}}}
BODY = json.dumps(VALUES).encode()
ANSWER = answer(BODY, f"x-amz-crc32: {crc32(BODY)}")
REQUEST = Request("POST", "/", {"host": "localhost"}, b"{}")
KEY = {"TableName": "orders", "Key": {"order_id": {"S": "a"}}}


@pytest.fixture(autouse=True)
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits for long, and what is kept open is closed in the end."""
    monkeypatch.setattr(client_module, "sleep", lambda _seconds: None)
    kept: list[Connection] = []
    make = Connection.__init__

    def note(
        self: Connection, endpoint: endpoints.Endpoint, _seconds: float = 0, **options: bool
    ) -> None:
        kept.append(self)
        make(self, endpoint, 0.15, **options)

    monkeypatch.setattr(Connection, "__init__", note)
    yield
    for opened in kept:
        if opened._socket:
            opened._socket.close()


def connected(server: Peer) -> Connection:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        return Connection(endpoints.find("dynamodb", "DYNAMODB"))


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Peer], Client]:
    """Makes a client of a server."""

    def make(server: Peer) -> Client:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return Client("dynamodb")

    return make


@pytest.mark.long
def test_a_hundred_requests_take_one_connection(dynamodb: Callable[[Peer], Client]) -> None:
    with peer(say(ANSWER)) as server:
        client = dynamodb(server)
        assert all(client.get_item(**KEY) == VALUES for _ in range(100))
        assert (server.connections, len(server.requests)) == (1, 100)


def test_an_answer_that_is_cut_anywhere_is_none() -> None:
    cuts = [say_and_close(ANSWER[:length]) for length in range(len(ANSWER))]
    with peer(*cuts) as server:
        opened = connected(server)
        for _ in cuts:
            with pytest.raises(NoAnswerError, match=r"^ConnectionClosedError$"):
                opened.exchange(REQUEST)
        assert server.connections == len(cuts)


def test_a_call_survives_one_cut(dynamodb: Callable[[Peer], Client]) -> None:
    with peer(say_and_close(ANSWER[:60]), say_and_close(ANSWER)) as server:
        assert dynamodb(server).get_item(**KEY) == VALUES
        assert len(server.requests) == 2
        assert server.requests[0] == server.requests[1]


def test_a_call_does_not_survive_two(dynamodb: Callable[[Peer], Client]) -> None:
    with peer(say_and_close(ANSWER[:60])) as server:
        with pytest.raises(AwsError, match="ConnectionClosedError from GetItem"):
            dynamodb(server).get_item(**KEY)
        assert len(server.requests) == 2


def test_a_changed_byte_is_never_a_wrong_answer(dynamodb: Callable[[Peer], Client]) -> None:
    """The last bit of each byte of the answer in turn; both tries get it so."""
    changed = [
        say_and_close(ANSWER[:n] + bytes([ANSWER[n] ^ 1]) + ANSWER[n + 1 :])
        for n in range(len(ANSWER))
        for _ in range(2)
    ]
    with peer(*changed, say_and_close(b"")) as server:
        client = dynamodb(server)
        outcomes = []
        while len(server.requests) < len(changed):
            before = len(server.requests)
            try:
                outcomes.append(client.get_item(**KEY) == VALUES)
                if len(server.requests) - before == 1:
                    server.requests.append(b"the second try was not needed")
            except AwsError:
                pass
        assert all(outcomes)
        assert 0 < len(outcomes) < len(ANSWER), "some bytes do not matter"


def test_one_that_sends_byte_by_byte_does_not_take_longer() -> None:
    stopped = threading.Event()
    with peer(say_slowly(ANSWER, 0.01, stopped)) as server:
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"^ReadTimeoutError$"):
            connected(server).exchange(REQUEST)
        assert time.monotonic() - began < 1
        stopped.set()


def test_one_that_says_nothing_is_not_waited_for() -> None:
    with peer(say(b"")) as server, pytest.raises(NoAnswerError, match=r"^ReadTimeoutError$"):
        connected(server).exchange(REQUEST)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def kept(ours: socket.socket, server: Peer) -> Connection:
    """As it is when a call before has left a connection."""
    opened = connected(server)
    opened._socket = ours
    return opened


def test_one_that_takes_nothing_is_not_waited_for(pair: tuple[socket.socket, Any]) -> None:
    with peer(say(ANSWER)) as server:
        opened = kept(pair[0], server)
        with pytest.raises(NoAnswerError, match=r"^ReadTimeoutError$"):
            opened.exchange(Request("POST", "/", {}, b"x" * 10_000_000))
        assert pair[0].fileno() == -1, "it is closed"
        assert server.requests == []


def test_one_that_takes_no_more_is_opened_anew(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_RD)
    with peer(say_and_close(ANSWER)) as server:
        assert kept(ours, server).exchange(REQUEST).body == BODY


def test_no_answer_is_waited_for_beyond_its_deadline(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    with pytest.raises(NoAnswerError, match=r"^ReadTimeoutError$"):
        connection._Reader(ours, time.monotonic() + 0.05).read()
    theirs.sendall(ANSWER)
    with pytest.raises(NoAnswerError, match=r"^ReadTimeoutError$"):
        connection._Reader(ours, time.monotonic() - 1).read()


def test_a_request_is_written_as_http_has_it(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with peer(say(ANSWER)) as server, pytest.raises(NoAnswerError, match="ReadTimeoutError"):
        kept(ours, server).exchange(Request("PUT", "/a", {"host": "h", "x-a": "b"}, b"{}"))
    sent = theirs.recv(1000)
    assert sent == b"PUT /a HTTP/1.1\r\nhost: h\r\nx-a: b\r\ncontent-length: 2\r\n\r\n{}"


def test_what_is_sent_is_out_at_once() -> None:
    with peer(say_and_close(ANSWER)) as server:
        opened = connected(server)
        opened.exchange(REQUEST)
        assert opened._socket
        assert opened._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_one_that_does_not_take_the_connection_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], seconds: float) -> socket.socket:
        asked.append(address)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    for host in ("[::1]", "BOX"):
        opened = Connection(endpoints.Endpoint("http", host, 4566))
        with pytest.raises(NoAnswerError, match=r"^ConnectTimeoutError$"):
            opened.exchange(REQUEST)
    assert asked == [("::1", 4566), ("BOX", 4566)]


def test_a_text_of_an_answer_has_only_its_status() -> None:
    assert repr(Answer(200, {"set-cookie": "4111"}, b"4111")) == "Answer(status=200)"


def test_one_that_is_not_there_is_not_reached() -> None:
    with peer(say(b"")) as server:
        opened = connected(server)
    with pytest.raises(NoAnswerError, match=r"^EndpointConnectionError$"):
        opened.exchange(REQUEST)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/2 200\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        b"X" * 70_000,
    ],
    ids=range(16),
)
def test_what_is_no_http_is_no_answer(garbage: bytes) -> None:
    with peer(say_and_close(garbage)) as server:
        opened = connected(server)
        with pytest.raises(NoAnswerError, match=r"^ResponseParserError$"):
            opened.exchange(REQUEST)
        assert opened._socket is None


def test_an_answer_longer_than_it_says_is_not_kept_for_the_next_request() -> None:
    other = answer(b'{"Item": "somebody else\'s"}')
    with peer(say(ANSWER + other), say_and_close(ANSWER)) as server:
        opened = connected(server)
        assert [opened.exchange(REQUEST).body for _ in range(2)] == [BODY, BODY]
        assert server.connections == 2


def test_nor_is_one_that_comes_when_nobody_asks() -> None:
    said = threading.Event()

    def say_more(peers: socket.socket) -> bool:
        peers.sendall(ANSWER)
        time.sleep(0.02)
        peers.sendall(answer(b'{"Item": "late"}'))
        said.set()
        return True

    with peer(say_more, say_and_close(ANSWER)) as server:
        opened = connected(server)
        assert opened.exchange(REQUEST).body == BODY
        assert said.wait(5)
        assert opened.exchange(REQUEST).body == BODY
        assert server.connections == 2


def test_an_answer_shorter_than_it_says_is_waited_for_in_vain() -> None:
    with (
        peer(say(ANSWER[:-1])) as server,
        pytest.raises(NoAnswerError, match=r"^ReadTimeoutError$"),
    ):
        connected(server).exchange(REQUEST)


def test_a_connection_that_was_closed_while_idle_is_opened_anew_unnoticed() -> None:
    with peer(say_and_close(ANSWER)) as server:
        opened = connected(server)
        for _ in range(3):
            assert opened.exchange(REQUEST).body == BODY
            time.sleep(0.02)  # the environment is frozen
        assert (server.connections, len(server.requests)) == (3, 3)


def test_also_if_a_request_may_not_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent over the one that was closed."""
    with peer(say_and_close(ANSWER)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        opened = Connection(endpoints.find("lambda", "LAMBDA"), may_send_again=False)
        assert opened.exchange(REQUEST).body == BODY
        assert opened._socket
        select.select([opened._socket], [], [])
        assert opened.exchange(REQUEST).body == BODY


def test_one_that_is_closed_within_an_answer_is_not_asked_again() -> None:
    """It is for the client to try again what may have taken effect."""
    with peer(say(ANSWER), say_and_close(ANSWER[:60]), say(ANSWER)) as server:
        opened = connected(server)
        opened.exchange(REQUEST)
        with pytest.raises(NoAnswerError, match=r"^ConnectionClosedError$"):
            opened.exchange(REQUEST)
        assert len(server.requests) == 2


def test_so_is_one_that_is_closed_as_the_request_arrives() -> None:
    """Not seen in time; the request is sent once more, and the client's tries are all left."""
    with peer(say(ANSWER), say_and_close(), say_and_close(ANSWER)) as server:
        opened = connected(server)
        assert [opened.exchange(REQUEST).body for _ in range(2)] == [BODY, BODY]
        assert (server.connections, len(server.requests)) == (2, 3)


def test_a_function_is_not_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(say(answer(b"1")), say_and_close()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        client = Client("lambda")
        assert client.invoke(FunctionName="f")["Payload"].read() == b"1"
        with pytest.raises(AwsError, match="ConnectionClosedError from Invoke"):
            client.invoke(FunctionName="f")
        assert (server.connections, len(server.requests)) == (1, 2)


def test_one_that_is_to_be_closed_is_not_kept() -> None:
    with peer(say(answer(BODY, "Connection: close"))) as server:
        opened = connected(server)
        opened.exchange(REQUEST)
        assert opened._socket is None


@settings(max_examples=40)
@example(chunks=[b"more than sixteen bytes"], trailer=b"", bytes_at_once=40)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=5), max_size=4),
    trailer=st.sampled_from([b"", b"X-Trailer: 1\r\n"]),
    bytes_at_once=st.integers(1, 40),
)
def test_chunks_are_put_together(chunks: list[bytes], trailer: bytes, bytes_at_once: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    coded = b"".join(b"%x;a=b\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_BYTES_AT_ONCE", bytes_at_once)
        theirs.sendall(head + coded + b"0\r\n" + trailer + b"\r\n" + b"more")
        reader = connection._Reader(ours, time.monotonic() + 5)
        assert reader.read().body == b"".join(chunks)


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        """A certificate of localhost, with its key, that nobody has signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / "certificate.pem"
        file.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return file

    @pytest.fixture
    def context(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context

    @pytest.fixture(autouse=True)
    def fresh(self) -> Iterator[None]:
        tls._context.cache_clear()
        yield
        tls._context.cache_clear()

    def test_the_bundle_of_the_environment_is_believed(
        self, certificate: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        with peer(say(ANSWER), say_and_close(ANSWER), context=context) as server:
            opened = connected(server)
            assert [opened.exchange(REQUEST).body for _ in range(2)] == [BODY, BODY]
            assert server.connections == 1

    def test_nobody_else_is(self, context: ssl.SSLContext) -> None:
        with peer(say(ANSWER), context=context) as server:
            with pytest.raises(NoAnswerError, match=r"^SSLError$"):
                connected(server).exchange(REQUEST)
            assert server.requests == []

    def test_nor_another_host(
        self, certificate: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        with peer(say(ANSWER), context=context) as server:
            url = server.url.replace("localhost", "127.0.0.1")
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            opened = Connection(endpoints.find("dynamodb", "DYNAMODB"))
            with pytest.raises(NoAnswerError, match=r"SSLError|EndpointConnectionError"):
                opened.exchange(REQUEST)
            assert server.requests == []

    def test_one_that_speaks_no_tls_is_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.15)
        with peer(say(ANSWER)) as server:
            url = server.url.replace("http:", "https:")
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            opened = Connection(endpoints.find("dynamodb", "DYNAMODB"))
            with pytest.raises(NoAnswerError, match=r"^ConnectTimeoutError$"):
                opened.exchange(REQUEST)

    def test_one_that_is_closed_in_the_middle_is_no_answer(
        self, certificate: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        with (
            peer(say_and_close(ANSWER[:-1]), context=context) as server,
            pytest.raises(NoAnswerError, match=r"^ConnectionClosedError$"),
        ):
            connected(server).exchange(REQUEST)

    def test_without_roots_of_the_system_the_sdks_are_believed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        none: Any = SimpleNamespace(cafile=None, capath=None)
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: none)
        assert tls._context().cert_store_stats()["x509_ca"] > 50
        assert tls._context().verify_mode == ssl.CERT_REQUIRED
        assert tls._context().check_hostname
