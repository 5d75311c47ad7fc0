"""The order API over kept connections, against a server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orderctl.api_client import ApiClient, NoAnswerError, Reply
from orderctl.processes import LOOPBACK, any_free_port


class Api(BaseHTTPRequestHandler):
    """Answers with what the body of the request asks for, and with who signed it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if body == "hang up":
            self.close_connection = True
            return
        status, _, answer = body.partition(" ")
        if answer == "who":
            answer = json.dumps([self.path, self.headers["Authorization"]])
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(answer)))
        if status == "503":
            self.send_header("Retry-After", "2")
        if status == "429":
            self.send_header("Retry-After", "Tue, 24 Nov 2026 03:00:00 GMT")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer((LOOPBACK, 0), Api) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}/live"
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b'202 {"status": "placed"}', Reply(202, {"status": "placed"})),
        (b'503 {"title": "no"}', Reply(503, {"title": "no"}, retry_after=2)),
        (b"429 slow down", Reply(429, None)),
        (b"500 ", Reply(500, None)),
    ],
)
def test_every_answer_is_one(url: str, body: bytes, reply: Reply) -> None:
    assert ApiClient(url, connections=1).place(body) == reply


def test_a_proxy_is_not_asked_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{LOOPBACK}:1")
    assert ApiClient(url, connections=1).place(b"202 {}").status == 202


def test_each_request_can_be_signed(url: str) -> None:
    def sign(
        method: str, address: str, body: bytes, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        return {**headers, "Authorization": f"{method} {address} {body.decode()}"}

    answer = ApiClient(url, connections=1, sign=sign).place(b"202 who")
    assert answer.body == ["/live/orders", f"POST {url}/orders 202 who"]


def test_no_answer_and_no_connection_are_told_apart(url: str) -> None:
    with pytest.raises(NoAnswerError, match="no answer from"):
        ApiClient(url, connections=1).place(b"hang up")
    nobody = f"http://{LOOPBACK}:{any_free_port()}"
    with pytest.raises(NoAnswerError, match=r"no connection to .*: .*refused"):
        ApiClient(nobody, connections=1).place(b"202 {}")
