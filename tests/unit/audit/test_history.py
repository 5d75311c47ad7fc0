"""Which events of an order hold together, and what is found when they do not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orderctl.commands.audit import audit
from orderctl.deploying import Template
from orderctl.errors import OrderctlError
from orderctl.pipeline.history import FeedError, audit_feed
from orders.audit.history import (
    ENDED_AFTER,
    SETTLED_AFTER,
    SLACK,
    Rule,
    audit_history,
    histories,
)
from orders.clock import timestamp
from orders.events import decode_event
from support.command_line import run_here
from support.lambdas import event_of

BEGAN = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ITEMS = [{"sku": "mug", "quantity": 2}]
TWO_LINES = [*ITEMS, {"sku": "tea", "quantity": 1}]
OTHER_ITEMS = [{"sku": "mug", "quantity": 1}]
MONEY = {"amount": 12.5, "currency": "USD"}

Told = tuple[int, dict[str, Any]]
"""Seconds since the beginning, and an event."""


def told(seconds: int, detail_type: str, **fields: object) -> Told:
    return seconds, event_of(detail_type, "a", **fields)


def placed(seconds: int = 0, **fields: object) -> Told:
    return told(seconds, "order.placed", **{**MONEY, "items": ITEMS, **fields})


def charged(seconds: int = 1, **fields: object) -> Told:
    return told(seconds, "payment.charged", **{**MONEY, "charge_id": "ch", **fields})


def declined(seconds: int = 1) -> Told:
    return told(seconds, "payment.declined", reason="no funds")


def refunded(seconds: int = 4, **fields: object) -> Told:
    return told(seconds, "payment.refunded", **{**MONEY, **fields})


def reserved(seconds: int = 1, items: object = ITEMS) -> Told:
    return told(seconds, "inventory.reserved", items=items)


def rejected(seconds: int = 1) -> Told:
    return told(seconds, "inventory.rejected", reason="none left")


def released(seconds: int = 4, items: object = ITEMS) -> Told:
    return told(seconds, "inventory.released", items=items)


def confirmed(seconds: int = 2) -> Told:
    return told(seconds, "order.confirmed")


def cancelled(seconds: int = 3) -> Told:
    return told(seconds, "order.cancelled", reason="changed my mind")


def text(event: Told) -> str:
    seconds, envelope = event
    at = (BEGAN + seconds * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({**envelope, "time": at})


def rules(events: list[Told], known_for: timedelta = timedelta(days=30)) -> list[Rule]:
    """What is found of the events, when all are known that came in so long a time."""
    (history,) = histories(decode_event(text(event)) for event in events)
    return [finding.rule for finding in audit_history(history, BEGAN + known_for)]


@pytest.mark.parametrize(
    "events",
    [
        [placed(), charged(), reserved(), confirmed()],
        [placed(), placed(60), charged(61), charged(), reserved(), confirmed(), confirmed(61)],
        [placed(), declined(), reserved(), cancelled(), released()],
        [placed(), charged(), rejected(), cancelled(), refunded()],
        [placed(), charged(), reserved(), cancelled(), refunded(), released()],
        # The cancel overtook its order: nothing was charged or reserved.
        [cancelled(0), placed(9)],
        # The function died between its record and its event.
        [placed(), cancelled(), refunded(), released()],
        # Told at the same time by two invocations.
        [placed(), cancelled(2), refunded(3), charged(4), released(3), reserved(4)],
        [placed(), reserved(20), confirmed(10), charged(20)],
        [placed(), cancelled(2), refunded(3), charged(18), released(3), reserved(18)],
        [placed(), reserved(25), confirmed(10), charged(25)],
        # The feed begins in the middle of it.
        [confirmed()],
        [cancelled(), placed(600, items=OTHER_ITEMS)],
        [charged(), placed(600)],
    ],
)
def test_what_holds_together(events: list[Told]) -> None:
    assert rules(events) == []
    assert rules(events[::-1]) == [], "however they come"


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([placed(), placed(1, amount=7), charged(), reserved(), confirmed()], "placed differently"),
        ([placed(), placed(1, items=[]), charged(), reserved(), confirmed()], "placed differently"),
        (
            [placed(), charged(), reserved(), confirmed(), cancelled(), refunded(), released()],
            "ended twice",
        ),
        ([placed(), reserved(), confirmed()], "confirmed unpaid"),
        ([placed(), charged(18), reserved(), confirmed()], "confirmed unpaid"),
        ([placed(), charged(), confirmed()], "confirmed unreserved"),
        ([placed(), charged(), reserved(18), confirmed()], "confirmed unreserved"),
        (
            [placed(), charged(), charged(2, charge_id="x"), reserved(), confirmed()],
            "charged twice",
        ),
        ([placed(), charged(amount=7), reserved(), confirmed()], "charge differs"),
        ([placed(), charged(currency="EUR"), reserved(), confirmed()], "charge differs"),
        ([placed(), charged(), cancelled(), refunded(amount=7)], "refund differs"),
        ([placed(), charged(), reserved(items=OTHER_ITEMS), confirmed()], "reservation differs"),
        ([placed(), reserved(), cancelled(), released(items=[])], "reservation differs"),
        ([placed(), charged(), declined(), cancelled(), refunded()], "contradiction"),
        ([placed(), reserved(), rejected(), cancelled(), released()], "contradiction"),
        ([placed(), cancelled(), refunded(), charged(20)], "contradiction"),
        ([placed(), cancelled(), released(), reserved(20)], "contradiction"),
        ([placed(), charged(), refunded(), reserved(), confirmed()], "before its cause"),
        ([placed(), reserved(), charged(), released(), confirmed()], "before its cause"),
        ([placed(), charged(), refunded(2), cancelled(18)], "before its cause"),
        ([placed(), charged(), cancelled()], "not refunded"),
        ([placed(), reserved(), cancelled()], "not released"),
        ([placed(), reserved()], "not ended"),
    ],
)
def test_what_does_not_hold(events: list[Told], found: str) -> None:
    assert rules(events) == [found]
    assert rules(events[::-1]) == rules(events)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (
            [placed(), placed(1, amount=7), placed(2)],
            "2 different orders were placed under its id",
        ),
        (
            [placed(), charged(), reserved(), confirmed(), cancelled(), refunded(), released()],
            "confirmed at 2026-08-18T09:30:02Z, and cancelled at 2026-08-18T09:30:03Z",
        ),
        (
            [placed(), charged(18), reserved(), confirmed()],
            "order.confirmed was told at 2026-08-18T09:30:02Z, "
            "payment.charged only at 2026-08-18T09:30:18Z",
        ),
        (
            [placed(), charged(), charged(2, charge_id="x"), reserved(), confirmed()],
            "there is more than one charge: ch, x",
        ),
        (
            [placed(), charged(amount=7), reserved(), confirmed()],
            "payment.charged has 7.00 USD, ordered for 12.50 USD",
        ),
        (
            [placed(), reserved(), cancelled(), released(items=[])],
            "inventory.released has nothing, ordered 2 mug",
        ),
        (
            [placed(items=TWO_LINES), reserved(items=[]), charged(), confirmed()],
            "inventory.reserved has nothing, ordered 2 mug, 1 tea",
        ),
        (
            [placed(), placed(amount=9), charged(amount=7), reserved(), confirmed()],
            "payment.charged has 7.00 USD, ordered for 9.00 USD or 12.50 USD",
        ),
        (
            [placed(), charged(), declined(), cancelled(), refunded()],
            "payment.charged and payment.declined were told of it",
        ),
        (
            [placed(), cancelled(), released(), reserved(20)],
            "inventory.reserved was told at 2026-08-18T09:30:20Z, and inventory.released before it",
        ),
        (
            [placed(), charged(), cancelled()],
            "cancelled at 2026-08-18T09:30:03Z, and payment.refunded was never told",
        ),
        ([placed()], "placed at 2026-08-18T09:30:00Z, and neither confirmed nor cancelled"),
        (
            [placed(), reserved(), confirmed()],
            "order.confirmed was told at 2026-08-18T09:30:02Z, payment.charged never",
        ),
    ],
)
def test_a_finding_says_what_was_told_and_when(events: list[Told], says: str) -> None:
    (history,) = histories(decode_event(text(event)) for event in events)
    found = audit_history(history, BEGAN + timedelta(days=30))
    assert says in [finding.says for finding in found]


def test_what_may_still_come_is_not_missed() -> None:
    assert rules([placed(), charged(), cancelled(3)], 3 * SECOND + SETTLED_AFTER) == []
    late = [placed(), cancelled(3), charged(9), reserved(9)]
    assert rules(late, 9 * SECOND + SETTLED_AFTER) == []
    assert rules(late, 10 * SECOND + SETTLED_AFTER) == [Rule.NOT_REFUNDED, Rule.NOT_RELEASED]
    assert rules([placed()], ENDED_AFTER) == []
    assert rules([placed()], ENDED_AFTER + SECOND) == [Rule.NOT_ENDED]


def test_an_order_has_ended_an_hour_after_its_deadline() -> None:
    deadline = Template.load().parameters["OrderDeadlineMinutes"]["Default"]
    assert timedelta(minutes=int(deadline), hours=1) == ENDED_AFTER


def test_a_history_is_whole_when_it_begins_with_its_order() -> None:
    within = int(SLACK.total_seconds())
    for late, whole in ((within, True), (within + 1, False)):
        (history,) = histories(decode_event(text(e)) for e in [charged(0), placed(late)])
        assert history.is_whole is whole


class TestFeed:
    def test_each_order_is_judged_by_itself(self) -> None:
        other = event_of("order.confirmed", "b")
        lines = [*map(text, [placed(), charged(), confirmed()]), "", text((9, other)), " \r"]
        report = audit_feed(lines)
        assert [(f.order_id, f.rule) for f in report.findings] == [("a", "confirmed unreserved")]
        assert (report.events, report.orders, report.began_before) == (4, 2, 1)

    def test_an_empty_feed_has_nothing(self) -> None:
        assert audit_feed([]).findings == ()

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{", "line 2: Input data was truncated"),
            ("[]", "line 2: Expected `object`, got `array`"),
            (text(told(0, "order.unheard_of")), "line 2: Unknown value - at `$.detail-type`"),
            (text(placed(amount=-1)), "line 2: amount must be from 0"),
            (
                json.dumps({**placed()[1], "source": "com.myapp.payments"}),
                "line 2: order.placed must come from com.myapp.orders",
            ),
        ],
    )
    def test_a_line_that_is_no_event_is_named(self, line: str, said: str) -> None:
        with pytest.raises(FeedError) as caught:
            audit_feed([text(placed()), line])
        assert str(caught.value).startswith(said)


class TestCommand:
    def test_findings_are_an_error_and_as_json(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        feed = tmp_path / "events.jsonl"
        feed.write_text("\n".join(map(text, [placed(), charged(), confirmed()])))
        with pytest.raises(OrderctlError, match=r"1 finding\. What each means"):
            audit(history=str(feed), as_json=True)
        document = json.loads(capsys.readouterr().out)
        assert [row["kind"] for row in document["findings"]] == ["confirmed unreserved"]
        assert (document["events"], document["orders"], document["began_before"]) == (3, 1, 0)

    def test_a_feed_that_holds_is_no_error(self, tmp_path: Path) -> None:
        feed = tmp_path / "events.jsonl"
        feed.write_text("\n".join(map(text, [placed(), charged(), reserved(), confirmed()])))
        ended = run_here("audit", "--history", str(feed))
        assert (ended.status, ended.stderr) == (0, "")
        assert "none: every order's events hold" in ended.stdout

    def test_what_cannot_be_read_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(OrderctlError, match="No such file"):
            audit(history=str(tmp_path / "gone"))
        odd = tmp_path / "odd"
        odd.write_text("{}\n")
        with pytest.raises(OrderctlError, match="odd: line 1: "):
            audit(history=str(odd))


def test_a_notice_is_about_no_order_and_those_after_it_are_seen() -> None:
    closed = (0, event_of("circuit.closed", consumer="tracker", since=timestamp(BEGAN)))
    del closed[1]["detail"]["order_id"]
    (history,) = histories(decode_event(text(event)) for event in [closed, placed()])
    assert history.order_id == "a"
