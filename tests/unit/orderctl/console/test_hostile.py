"""Whatever callers, publishers and libraries write, a page shows it as text and as nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, cast

import pytest

from orderctl.console import (
    dead_letters_page,
    flow,
    flow_page,
    operate_page,
    order_page,
    orders_page,
)
from orderctl.console.collector import Open, Snapshot
from orderctl.console.dead_letters_page import One, Seen
from orderctl.console.live import Frame
from orderctl.console.orders_page import Filters
from orderctl.console.page import Setting, document, notice, to_html
from orderctl.console.practice import Practice
from orderctl.deploying import Template
from orderctl.pipeline.attempts import Attempt, Call
from orderctl.pipeline.feed import SeenEvent
from orderctl.pipeline.health import Depth, Health, StepHealth
from orderctl.pipeline.logs import LogLine
from orderctl.pipeline.order_list import Page
from orderctl.pipeline.parked import Parked
from orderctl.pipeline.queues import Message
from orderctl.pipeline.reasons import Reason
from orderctl.pipeline.spans import Kind, Span
from orderctl.pipeline.steps import STEPS
from orderctl.pipeline.trace import Entry, Story, Waiting
from support.hostile import HOSTILE, assert_harmless

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EVIL = (
    f"</td></svg></textarea><script>evil()</script><img src=x onerror=evil()>\"' onload='{HOSTILE}"
)
SETTING = Setting(EVIL, EVIL, "form-token", may_change=True)
FLOW = flow.read(Template.load().resources())

ITEM: dict[str, Any] = {
    "order_id": EVIL,
    "status": EVIL,
    "payment": EVIL,
    "inventory": EVIL,
    "reason": EVIL,
    "currency": EVIL,
    "amount": 1,
    "items": [{"sku": EVIL, "quantity": EVIL}],
    "placed_at": EVIL,
    EVIL: {EVIL: [EVIL]},
}
MESSAGE = Message(EVIL, EVIL, EVIL, {EVIL: EVIL}, 3, NOW, EVIL)
PARKED = Parked(EVIL, MESSAGE, EVIL, EVIL, Reason(EVIL, EVIL))
LINE = LogLine(EVIL, NOW, EVIL, EVIL, {"level": EVIL, "message": EVIL, EVIL: EVIL})
ENTRIES = (
    Entry(NOW, "table orders", EVIL, {EVIL: EVIL}, NOW),
    Entry(NOW + timedelta(seconds=1), f"log {EVIL}", EVIL, {EVIL: EVIL}, NOW),
    Entry(None, EVIL, EVIL, {}, NOW),
)
CALL = Call(service=EVIL, operation=EVIL, on=EVIL, began_at=NOW, ended_at=NOW, error=EVIL)
ATTEMPT = Attempt(step=EVIL, event=EVIL, began_at=NOW, failed=True, says=(EVIL,), calls=(CALL,))
STORY = Story(
    ITEM,
    ENTRIES,
    (PARKED,),
    (Waiting(EVIL, 1, 1, True),),
    payment=ITEM,
    reservation=ITEM,
    spans=tuple(Span(EVIL, kind, EVIL, NOW, None, ATTEMPT) for kind in Kind),
    unknown=(EVIL,),
)
DEPTH = Depth(EVIL, 1, 1, timedelta(1))
HEALTH = Health(
    NOW,
    timedelta(minutes=5),
    tuple(
        StepHealth(step.name, EVIL, {"Invocations": 1}, {EVIL: 1}, DEPTH, DEPTH, EVIL)
        for step in STEPS
    ),
    1,
    None,
    {EVIL: "ALARM"},
)
SNAPSHOT = Snapshot(1, FLOW, HEALTH, {"payments": (EVIL,), "": (EVIL,)}, EVIL)
EVENT = SeenEvent(EVIL, NOW, EVIL, EVIL, EVIL, {EVIL: EVIL}, EVIL, EVIL)
PRACTICE = Practice(cast(Open, None))

PAGES = {
    "flow": flow_page.page(flow_page.live(SNAPSHOT), [EVENT], 10),
    "orders": orders_page.page(
        Filters(sku=EVIL, reason=EVIL, text=EVIL), orders_page.Seen(Page((ITEM,), EVIL), EVIL), NOW
    ),
    "order": order_page.page(SETTING, order_page.Seen(EVIL, STORY, NOW)),
    "dead letters": dead_letters_page.page(
        SETTING, Seen(tuple(dead_letters_page.group([PARKED])), {EVIL: 1}), NOW
    ),
    "dead letter": dead_letters_page.message_page(SETTING, One(PARKED, (LINE,))),
    "operate": operate_page.page(
        SETTING, operate_page.Seen({EVIL: EVIL}, {EVIL: 1}, (EVIL,), 30), PRACTICE
    ),
    "failure": notice(EVIL),
}


class Reader(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(html: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(html)
    yield from reader.tags


@pytest.mark.parametrize("name", PAGES)
def test_hostile_text_stays_text(name: str) -> None:
    html = to_html(document(SETTING, EVIL, "/", PAGES[name]))

    assert_harmless(html)
    assert "evil()" in html
    found = list(tags(html))
    assert [attributes["src"] for tag, attributes in found if tag == "script"] == [
        "/static/htmx.min.js",
        "/static/console.js",
    ]
    for tag, attributes in found:
        assert tag not in ("img", "iframe", "object", "embed", "style", "base")
        assert not [each for each in attributes if each.startswith("on") or each == "style"]
        for address in ("href", "src", "action"):
            assert (attributes.get(address) or "/").startswith(("/", "#"))
            assert not (attributes.get(address) or "").startswith("//")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_sent(name: str) -> None:
    html = to_html(PAGES[name])

    html.encode()
    lines = Frame("flow", html).text.split("\n")
    assert all(not line or line.startswith(("event: flow", "data: ")) for line in lines)
