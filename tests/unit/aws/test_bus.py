from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from orders.aws import bus
from orders.events import OrderCancelRequested
from support.aws import Refused, TappedBus, line, refuse
from support.lambdas import Context

KILOBYTE = 1024


def events(count: int, size: int = 10, letter: str = "x") -> list[OrderCancelRequested]:
    return [
        OrderCancelRequested(order_id=f"order-{number}", reason=letter * size)
        for number in range(count)
    ]


@pytest.fixture
def bytes_of_calls(tap: TappedBus) -> list[int]:
    """The bytes of each call's entries, filled as calls are made."""
    calls: list[int] = []

    def look(params: dict[str, Any]) -> None:
        texts = [e["Source"] + e["DetailType"] + e["Detail"] for e in params["Entries"]]
        calls.append(len("".join(texts).encode()))

    line(tap.client).before("PutEvents", look)
    return calls


def test_ten_events_a_call(tap: TappedBus, bytes_of_calls: list[int]) -> None:
    assert tap.bus.publish(events(21), Context()) == [None] * 21
    assert (len(tap.take()), len(bytes_of_calls)) == (21, 3)


@pytest.mark.parametrize("letter", ["x", "ü", "€", "🍏"])
def test_a_call_is_smaller_than_eventbridge_takes(
    tap: TappedBus, bytes_of_calls: list[int], letter: str
) -> None:
    assert tap.bus.publish(events(10, 20 * KILOBYTE, letter), Context()) == [None] * 10
    assert max(bytes_of_calls) < 256 * KILOBYTE
    assert len(bytes_of_calls) == len(letter.encode())
    assert len(tap.take()) == 10


def test_an_event_too_large_by_itself_is_refused_alone(tap: TappedBus, pauses: list[float]) -> None:
    small = events(3)
    (large,) = events(1, 256 * KILOBYTE)
    first, second, third, fourth = tap.bus.publish([small[0], large, *small[1:]], Context())
    assert (first, third, fourth) == (None, None, None)
    assert second is not None
    assert second.startswith("EntryTooLarge (262")
    assert second.endswith("bytes) from PutEvents")
    assert len(tap.take()) == 3
    assert pauses == []


def test_a_call_is_filled_to_the_last_byte(tap: TappedBus, bytes_of_calls: list[int]) -> None:
    """Nothing remains of the calls before."""
    (empty,) = events(1, 0)
    tap.bus.publish([empty], Context())
    half = 125_000 - bytes_of_calls.pop()
    even = [replace(empty, reason="x" * half)] * 5
    assert tap.bus.publish(even, Context()) == [None] * 5
    assert bytes_of_calls == [250_000, 250_000, 125_000]
    bytes_of_calls.clear()
    more = replace(empty, reason="x" * (half + 1))
    assert tap.bus.publish([even[0], more], Context()) == [None, None]
    assert bytes_of_calls == [125_000, 125_001]
    bytes_of_calls.clear()
    largest = replace(empty, reason="x" * (half + 125_000))
    too_large = replace(empty, reason="x" * (half + 125_001))
    too_large_code = "EntryTooLarge (250001 bytes) from PutEvents"
    assert tap.bus.publish([too_large, largest], Context()) == [too_large_code, None]
    assert bytes_of_calls == [250_000]


def test_no_events_take_no_call(tap: TappedBus, bytes_of_calls: list[int]) -> None:
    assert tap.bus.publish([], Context()) == []
    assert bytes_of_calls == []


def test_an_event_that_will_never_be_taken_is_not_tried_again(tap: TappedBus) -> None:
    refusal = {"ErrorCode": "NotAuthorizedForSourceException"}
    sizes = refuse(tap.client, "PutEvents", "order-1", refusal)
    assert tap.bus.publish(events(3), Context()) == [
        None,
        "NotAuthorizedForSourceException from PutEvents",
        None,
    ]
    assert sizes == [3]


def test_a_call_that_fails_is_the_reason_for_each_of_its_events(tap: TappedBus) -> None:
    def refuse_all(_: object) -> None:
        raise Refused("AccessDeniedException")

    line(tap.client).before("PutEvents", refuse_all)
    why = "AccessDeniedException from PutEvents"
    assert tap.bus.publish(events(12), Context()) == [why] * 12


def test_each_event_says_when_it_is_published(
    tap: TappedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [f"2026-11-24T10:00:0{second}.000Z" for second in range(3)]
    clock = iter(times)
    monkeypatch.setattr(bus, "utc_now", lambda: next(clock))
    details: list[dict[str, Any]] = []

    def look(params: dict[str, Any]) -> None:
        details.extend(json.loads(entry["Detail"]) for entry in params["Entries"])

    line(tap.client).before("PutEvents", look)
    assert tap.bus.publish(events(2), Context()) == [None, None]
    assert tap.bus.publish(events(1), Context()) == [None]
    assert [detail["at"] for detail in details] == times
