"""Nobody uses the console but who has its address, and no page of another site."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from orderctl.console.guard import Guard
from orderctl.console.key import Key

PORT = 4580
HERE = f"http://127.0.0.1:{PORT}"
KEY = Key()


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    await PlainTextResponse(f"inside {request.url.path}")(scope, receive, send)


def client(base: str = HERE) -> TestClient:
    return TestClient(Guard(inside, KEY, PORT), base_url=base, follow_redirects=False)


@pytest.fixture
def stranger() -> TestClient:
    return client()


@pytest.fixture
def insider() -> TestClient:
    found = client()
    found.get("/", params={"token": KEY.token})
    return found


def test_the_address_is_traded_for_a_cookie(stranger: TestClient) -> None:
    answer = stranger.get("/orders", params={"token": KEY.token})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/orders"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert KEY.token.lower() not in cookie
    assert stranger.get("/orders").text == "inside /orders"


def test_the_address_has_the_token_and_nothing_else_has_it() -> None:
    assert KEY.address(PORT) == f"{HERE}/?token={KEY.token}"
    assert KEY.token not in repr(KEY)
    assert KEY.session not in repr(KEY)
    assert len({KEY.token, KEY.session, KEY.form_token, Key().token}) == 4


@pytest.mark.parametrize(
    "path", ["/", "/orders", "/static/console.css", "/live", "/?token=", "/?token=x"]
)
def test_a_stranger_gets_nothing(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)

    assert answer.status_code == 403
    assert "inside" not in answer.text


@pytest.mark.parametrize("cookie", ["x", "", "é", '"', "=;,\\"])
def test_a_wrong_cookie_is_refused(cookie: str) -> None:
    name = f"orderctl-console-{PORT}"
    headers = {b"cookie": f"{name}={cookie}".encode()}

    assert client().get("/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        f"localhost.evil:{PORT}",
    ],
)
def test_only_this_machine_by_name_is_answered(insider: TestClient, host: str) -> None:
    assert insider.get("/", headers={"host": host}).status_code == 421
    token = {"token": KEY.token}
    assert client().get("/", params=token, headers={"host": host}).status_code == 421


def test_port_80_is_left_out_of_the_address() -> None:
    found = TestClient(Guard(inside, KEY, 80), base_url="http://127.0.0.1", follow_redirects=False)

    assert found.get("/", params={"token": KEY.token}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": HERE, "sec-fetch-site": "same-site"},
        {"origin": HERE, "sec-fetch-site": "cross-site"},
    ],
)
def test_another_site_changes_nothing(insider: TestClient, headers: Mapping[str, str]) -> None:
    assert insider.post("/", headers=headers).status_code == 403
    assert insider.delete("/", headers=headers).status_code == 403


def test_another_site_reads_nothing(insider: TestClient) -> None:
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert insider.get("/", headers=headers).status_code == 403
    assert insider.get("/", headers={"sec-fetch-site": "none"}).status_code == 200


def test_its_own_forms_are_let_through(insider: TestClient) -> None:
    answer = insider.post("/x", headers={"origin": HERE, "sec-fetch-site": "same-origin"})

    assert answer.text == "inside /x"


def test_every_answer_limits_what_a_page_may_load(insider: TestClient) -> None:
    refused, given = client().get("/"), insider.get("/")

    for answer in (refused, given):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
