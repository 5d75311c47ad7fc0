"""What consumers take as an event, and what they say of what they do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders import events
from orders.events import (
    CURRENCIES,
    ROUTING,
    Announcement,
    OrderCancelled,
    OrderCancelRequested,
    OrderLine,
    OrderPlaced,
    UnreadableEventError,
    convert_alert,
    convert_milestone,
    decode_command,
    decode_event,
    decode_outcome,
    encode,
    encode_event,
    fit,
)
from support.examples import EXAMPLES
from support.lambdas import event_of, order_placed

SOURCES = (*{source for source, _ in ROUTING.values()}, "com.evil", "", "com.myapp.orders ")
DECODERS = [read for name, read in vars(events).items() if name.startswith("decode_")]
READERS = (
    *DECODERS,
    lambda body: convert_milestone(json.loads(body)),
    lambda body: convert_alert(json.loads(body)),
)
FIELDS: dict[str, dict[str, Any]] = {
    example.detail_type: json.loads(encode(example))
    for example in EXAMPLES
    if isinstance(example, Announcement)
}


def why(read: Callable[[str], object], event: dict[str, Any] | str) -> str | None:
    """Why an event cannot be read; None if it can."""
    try:
        read(event if isinstance(event, str) else json.dumps(event))
    except UnreadableEventError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "detail", [example for example in EXAMPLES if isinstance(example, Announcement)], ids=repr
)
def test_what_a_newer_version_adds_is_ignored(detail: Announcement) -> None:
    fields = {**json.loads(encode(detail)), "added_later": {"a": [1]}}
    event = event_of(detail.detail_type, **fields)
    assert decode_event(json.dumps({**event, "added": 1})).detail == detail


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("source", "detail_type"), ROUTING.values())
def test_an_event_counts_from_its_own_source_alone(
    read: Callable[[str], object], source: str, detail_type: str
) -> None:
    event = event_of(detail_type, **FIELDS[detail_type])
    if why(read, event) is not None:
        assert "detail-type" in str(why(read, event)), "this consumer reads no such events"
        return
    for other in SOURCES:
        told = why(read, {**event, "source": other})
        if other == source:
            assert told is None
        else:
            assert told == f"{detail_type} must come from {source}, and is from another source"
    del event["source"]
    assert "source" in str(why(read, event))


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "2026-08-18",
        "2026-08-18T09:30:00",
        "2026-08-18 09:30:00Z",
        "2026-08-18T09:30:00+00:00",
        "2026-08-18T09:30:00z",
        "2026-08-18T09:30:00Z\n",
        "2026-08-18T09:30:00.1Z",
        "2026-08-18T09:30:00.123456Z",
        "2026-08-18T24:00:00Z",
        "2026-08-18T09:60:00Z",
        "2026-08-18T09:30:60Z",
        "2026-13-01T09:30:00Z",
        "2026-02-29T09:30:00Z",
        "2100-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "20260818T093000Z",
        "٢٠٢٦-08-18T09:30:00Z",
        1786000000,
        None,
    ],
)
class TestATimeThatIsNone:
    def test_in_the_envelope(self, time: object) -> None:
        assert "`$.time`" in str(why(decode_command, {**order_placed(), "time": time}))

    def test_of_the_order(self, time: object) -> None:
        event = event_of("order.cancelled", placed_at=time)
        assert "`$.detail.placed_at`" in str(why(decode_outcome, event))


@pytest.mark.parametrize("time", ["2024-02-29T00:00:00Z", "2026-12-31T23:59:59.999Z"])
def test_a_time_as_eventbridge_or_our_clock_writes_it(time: str) -> None:
    assert why(decode_command, {**order_placed(), "time": time}) is None


@pytest.mark.parametrize(
    ("event", "place"),
    [
        (event_of("order.cancelled", reason="x" * 3001), "reason"),
        (event_of("payment.declined", reason="x" * 3001), "reason"),
        (
            event_of("payment.charged", amount=1, currency="USD", charge_id="x" * 256),
            "charge_id",
        ),
    ],
)
def test_free_text_is_bounded(event: dict[str, Any], place: str) -> None:
    assert f"`$.detail.{place}`" in str(why(decode_outcome, event))
    shorter = {**event["detail"], place: event["detail"][place][1:]}
    assert why(decode_outcome, {**event, "detail": shorter}) is None


def test_each_source_is_the_one_that_rules_and_permissions_name() -> None:
    assert {source for source, _ in ROUTING.values()} >= {
        "com.myapp.orders",
        "com.myapp.payments",
        "com.myapp.inventory",
        "com.myapp.circuits",
    }


def test_each_currency_is_one_that_an_order_can_have() -> None:
    for currency in CURRENCIES:
        assert why(decode_command, order_placed(currency=currency)) is None, currency


@pytest.mark.parametrize("amount", [-1, 0.001, 1e10, "NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_none_is_refused_in_words(amount: object) -> None:
    assert why(decode_command, order_placed(amount=amount)) == (
        "amount must be from 0 to 9,999,999,999.99 with at most 2 decimals - at `$.detail`"
    )


def test_an_order_names_an_article_in_one_line() -> None:
    lines = [{"sku": "mug", "quantity": 1}, {"sku": "cap", "quantity": 1}]
    assert why(decode_command, order_placed(items=lines)) is None
    assert why(decode_command, order_placed(items=[*lines, lines[0]])) == (
        "items must not name a SKU twice - at `$.detail`"
    )


def test_a_cancel_may_come_without_a_reason() -> None:
    requested = decode_outcome(json.dumps(event_of("order.cancel_requested"))).detail
    cancelled = decode_outcome(json.dumps(event_of("order.cancelled"))).detail
    assert isinstance(requested, OrderCancelRequested)
    assert isinstance(cancelled, OrderCancelled)
    assert (requested.reason, cancelled.reason) == ("cancel requested", "")


@pytest.mark.parametrize(
    ("text", "fitting"), [("abcde", "abcde"), ("abcdef", "abcd…"), ("ab\ud800", "ab?")]
)
def test_a_text_from_elsewhere_is_made_to_fit(text: str, fitting: str) -> None:
    assert fit(text, 5) == fitting


@pytest.mark.parametrize("order_id", [".", ".."])
def test_an_id_that_means_a_place_in_a_path_is_none(order_id: str) -> None:
    for read in READERS[:-1]:  # the last reads what is about no order
        faults = [
            str(why(read, event_of(name, **fields | {"order_id": order_id})))
            for name, fields in FIELDS.items()
            if "order_id" in fields
        ]
        of_its_own = [fault for fault in faults if "detail-type" not in fault]
        assert of_its_own
        assert all("order_id" in fault for fault in of_its_own)


@pytest.mark.parametrize("nested", ["[" * 100_000, "[" * 100_000 + "]" * 100_000])
def test_deep_nesting_is_unreadable(nested: str) -> None:
    body = json.dumps({**order_placed(), "x": "NESTED"}).replace('"NESTED"', nested)
    assert why(decode_command, body)
    assert why(decode_outcome, nested)


def test_a_wrong_name_is_not_repeated() -> None:
    assert why(decode_command, event_of("4111 1111")) == "Unknown value - at `$.detail-type`"


def test_a_fingerprint_is_of_what_was_ordered() -> None:
    order = OrderPlaced(
        order_id="a", amount=Decimal("5"), items=(OrderLine("b", 1), OrderLine("c", 2))
    )
    same = {
        order.fingerprint,
        replace(order, amount=Decimal("5.00")).fingerprint,
        replace(order, items=order.items[::-1]).fingerprint,
    }
    assert same == {"523599c47115dfaa"}
    others = [
        replace(order, order_id="b"),
        replace(order, amount=Decimal("5.01")),
        replace(order, currency="EUR"),
        replace(order, customer_id="Zo\u00eb"),
        replace(order, items=order.items[:1]),
    ]
    assert len({other.fingerprint for other in others} | same) == 6


@pytest.mark.parametrize(
    ("at", "time"),
    [
        ("2026-08-18T09:30:00.999Z", "2026-08-18T09:30:00.999Z"),
        ("2026-08-18T09:25:00.001Z", "2026-08-18T09:25:00.001Z"),
        ("2026-08-18T09:30:01.000Z", "2026-08-18T09:30:00Z"),
        ("2026-08-18T09:30:00.999", "2026-08-18T09:30:00Z"),
        (1787045400, "2026-08-18T09:30:00Z"),
        ({"at": None}, "2026-08-18T09:30:00Z"),
    ],
    ids=["the same second", "archived", "later than it was received", "no time", "number", "map"],
)
def test_an_event_has_the_milliseconds_that_its_publisher_says(at: object, time: str) -> None:
    event = event_of("inventory.reserved", at=at)
    assert decode_outcome(json.dumps(event)).time == time
    assert convert_milestone(order_placed(at=at)).time == time


@pytest.mark.parametrize(
    "detail", [example for example in EXAMPLES if isinstance(example, Announcement)], ids=repr
)
def test_an_event_is_published_with_its_time(detail: Announcement) -> None:
    at = "2026-08-18T09:30:00.123Z"
    says = json.loads(encode(detail))
    assert json.loads(encode_event(detail, at)) == {**says, "at": at}
