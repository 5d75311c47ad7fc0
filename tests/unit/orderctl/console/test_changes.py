"""What the console changes: only from its own forms, once, and only where it may."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from orderctl.console.app import CHANGES, Options, build
from orderctl.console.collector import ON_AWS
from orderctl.console.dead_letters_page import alike
from orderctl.console.guard import FORM_TOKEN
from orderctl.console.key import Key
from orderctl.errors import OrderctlError
from orderctl.pipeline import Pipeline
from orderctl.pipeline.api import Reply
from orderctl.pipeline.times import format_time

PORT = 4580
HERE = f"http://127.0.0.1:{PORT}"
KEY = Key()


class Api:
    """An order API that accepts everything."""

    def __init__(self) -> None:
        self.placed: list[dict[str, Any]] = []
        self.reply = Reply(202, {"order_id": "made"})

    def place(self, order: dict[str, Any]) -> Reply:
        self.placed.append(order)
        return self.reply


class Operated:
    """What the page for operating asks of a pipeline, and its archive."""

    retention_days = 30

    def __init__(self, api: Api) -> None:
        self.api = api
        self.replays: list[tuple[datetime, datetime]] = []
        self.archive = self.stock = self

    def consumer(self, _name: str) -> SimpleNamespace:
        return SimpleNamespace(state=lambda: "Enabled")

    def levels(self) -> dict[str, int]:
        return {"mug": 1}

    def rules(self, _names: tuple[str, ...]) -> list[str]:
        return ["order-placed"]

    def estimate(self, *_when: object) -> SimpleNamespace:
        return SimpleNamespace(by_rule={"order-placed": 1234})

    def replay(self, start: datetime, end: datetime, _rules: list[str]) -> str:
        self.replays.append((start, end))
        return "replay-1"


@pytest.fixture
def api() -> Api:
    return Api()


Console = Callable[..., TestClient]


@pytest.fixture
def console(api: Api) -> Console:
    def make(*, may_change: bool = True, opens: Callable[[], Any] | None = None) -> TestClient:
        pipeline = cast(Pipeline, SimpleNamespace(api=api))
        options = Options("stack", "here", ON_AWS, may_change, PORT, KEY, print)
        client = TestClient(
            build(opens or (lambda: pipeline), options),
            base_url=HERE,
            headers={"origin": HERE},
            follow_redirects=False,
        )
        client.get("/", params={"token": KEY.token})
        return client

    return make


def order(**fields: str) -> dict[str, str]:
    return {FORM_TOKEN: KEY.form_token, "amount": "12.50", "back": "/operate", **fields}


def test_a_form_is_carried_out_once_and_told_of_on_the_next_page(
    console: Console, api: Api
) -> None:
    client = console()

    answer = client.post("/operate/order", data=order(sku="mug", quantity="2"))

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/operate?said=")
    assert api.placed == [{"amount": 12.5, "items": [{"sku": "mug", "quantity": 2}]}]
    said = client.get("/", params={"said": answer.headers["location"].partition("=")[2]}).text
    assert "Accepted: made" in said
    assert len(api.placed) == 1


@pytest.mark.parametrize(
    "token", ["", "x", KEY.session, KEY.token], ids=["none", "another", "session", "address"]
)
def test_a_form_of_another_page_does_nothing(console: Console, api: Api, token: str) -> None:
    answer = console().post("/operate/order", data=order(**{FORM_TOKEN: token}))

    assert answer.status_code == 403
    assert not api.placed


@pytest.mark.parametrize("path", CHANGES)
def test_a_console_that_only_reads_changes_nothing(console: Console, path: str) -> None:
    answer = console(may_change=False).post(path, data=order())

    assert answer.status_code == 403
    assert "--allow-changes" in answer.text


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "evil"])
def test_it_leads_to_its_own_pages_alone(console: Console, back: str) -> None:
    answer = console().post("/operate/order", data=order(back=back))

    assert answer.headers["location"].startswith("/?said=")


@pytest.mark.parametrize(
    ("field", "text"),
    [("amount", "much"), ("amount", "nan"), ("amount", "1e999"), ("quantity", "1.5")],
)
def test_a_wrong_field_is_named_and_what_was_typed_stays(
    console: Console, api: Api, field: str, text: str
) -> None:
    client = console(opens=lambda: Operated(api))
    sent = {"sku": "mug", "quantity": "2", "order_id": "mine", field: text}

    shown = client.get(client.post("/operate/order", data=order(**sent)).headers["location"]).text

    assert not api.placed
    assert f"{field.title()}: &#39;{text}&#39; is not" in shown
    assert "Write it as in" in shown
    for name, value in sent.items():
        assert f'name="{name}" value="{value}"' in shown


def test_what_the_api_refuses_is_told_by_field(console: Console, api: Api) -> None:
    api.reply = Reply(400, {"errors": [{"field": "items.0.sku", "message": "is too long"}]})
    client = console(opens=lambda: Operated(api))

    shown = client.get(
        client.post("/operate/order", data=order(sku="x" * 65, quantity="1")).headers["location"]
    )

    assert "The API answered 400. items.0.sku: is too long" in shown.text
    assert f'name="sku" value="{"x" * 65}"' in shown.text


def test_only_what_was_estimated_can_be_replayed(console: Console, api: Api) -> None:
    operated = Operated(api)
    client = console(opens=lambda: operated)
    sent = {**order(), "from": "2h", "to": "10m", "how": "estimate"}
    assert "Replay 2" not in client.get("/operate").text

    shown = client.get(client.post("/operate/replay", data=sent).headers["location"]).text

    assert "1,234 to order-placed" in shown
    assert not operated.replays
    start, end = re.findall(r'name="(?:from|to)" value="(2[^"]*Z)"', shown)[-2:]
    client.post("/operate/replay", data={**sent, "from": start, "to": end, "how": "start"})
    assert [format_time(each) for each in operated.replays[0]] == [start, end]


def test_what_is_no_form_or_too_long_is_refused(console: Console) -> None:
    client = console()

    assert client.post("/operate/order", content=b"\xff\xfe=%ff").status_code == 400
    assert client.post("/operate/order", content=b"x" * 1_200_000).status_code == 413


def test_a_failure_is_a_page_that_says_what_to_do(console: Console) -> None:
    def fail() -> Pipeline:
        raise OrderctlError("No local cloud is running.")

    answer = console(opens=fail).get("/orders")

    assert answer.status_code == 502
    assert "No local cloud is running." in answer.text
    assert "Traceback" not in answer.text


def test_incidents_are_for_the_local_cloud(console: Console) -> None:
    client = console()
    said = client.post("/operate/incident", data=order(incident="poison", seconds="1"))

    shown = client.get("/", params={"said": said.headers["location"].partition("=")[2]}).text
    assert "Incidents are for the local cloud." in shown


def test_reasons_that_differ_in_the_try_are_one_group() -> None:
    assert alike("charge failed: no answer (try 3)") == alike("charge failed: no answer (try 2)")
