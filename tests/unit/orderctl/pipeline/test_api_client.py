"""The order API over kept connections, against a server on this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from orderctl.localcloud.processes import LOOPBACK, any_free_port
from orderctl.pipeline.api import ApiClient, NoAnswerError, Reply

SESSION = boto3.Session("KEY", "secret", region_name="eu-central-1")


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
    assert ApiClient(SESSION, url).post(body) == reply


def test_a_proxy_is_not_asked_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{LOOPBACK}:1")
    assert ApiClient(SESSION, url).post(b"202 {}").status == 202


def test_each_request_is_signed_for_the_api(url: str) -> None:
    path, signature = ApiClient(SESSION, url).post(b"202 who").body
    assert path == "/live/orders"
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=KEY/\d{8}/eu-central-1/execute-api/aws4_request, "
        r"SignedHeaders=content-type;host;x-amz-date, Signature=[0-9a-f]{64}",
        signature,
    )


def test_a_token_stands_instead_of_the_signature(url: str) -> None:
    _, authorization = ApiClient(SESSION, url, token="a.b.c").post(b"202 who").body
    assert authorization == "Bearer a.b.c"


def test_no_answer_and_no_connection_are_told_apart(url: str) -> None:
    with pytest.raises(NoAnswerError, match="did not answer at"):
        ApiClient(SESSION, url).post(b"hang up")
    nobody = f"http://{LOOPBACK}:{any_free_port()}"
    with pytest.raises(NoAnswerError, match=r"cannot be reached at .*: .*refused"):
        ApiClient(SESSION, nobody).post(b"202 {}")
