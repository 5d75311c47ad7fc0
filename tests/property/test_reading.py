"""Whatever others have written, reading it raises the errors that are documented, and no other."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.text import Text

from orderctl.commands import cancel, logs, orders, trace, updates
from orderctl.commands.order import show
from orderctl.pipeline import reading, reasons, times
from orderctl.pipeline.api import Reply
from orderctl.pipeline.dead_letters import event_in, order_id_in, without_qualifier
from orderctl.pipeline.logs import LogLine, log_line
from orderctl.pipeline.parked import Parked
from orderctl.pipeline.queues import Message
from orderctl.pipeline.sender import refusal
from orderctl.pipeline.stock import reserved_lines
from orderctl.pipeline.trace import (
    Story,
    log_entries,
    order_entries,
    parked_entries,
    record_entries,
)
from orderctl.terminal import console, order_texts, results
from support.hostile import HOSTILE, assert_harmless

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MESSAGE = Message("id", "handle", "{}", {}, 1, NOW)

# What breaks parsers: depth, digits, times at the edge of the calendar, what is no Unicode.
ODD_TEXTS = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "[" * 150 + "]" * 150,
    '{"detail":' + "[" * 150 + "]" * 150 + "}",
    "9" * 5000,
    '{"time": 1e999, "x": NaN, "y": -Infinity}',
    "[]",
    "null",
    '"\ud800"',
    "no time",
    HOSTILE,
)
ODD_TIMES = (
    *("9999-12-31T23:59:59.999999-14:00", "0001-01-01T00:00:00+14:00", "1969-12-31", "2026-11-24"),
    *("no time", "", "2026-13-01T00:00:00Z", "2026-11-24T00:00:00", "20261124", "-1", "1e999"),
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*ODD_TIMES, HOSTILE, 10**4000, -(10**40)])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def fields(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of these fields, each with anything in it."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, anything))


def entries(*names: str) -> st.SearchStrategy[Any]:
    return anything | st.lists(fields(*names) | anything, max_size=3)


texts = st.text() | st.sampled_from(ODD_TEXTS)
# What a table can hold: numbers are Decimal, and there are sets and bytes.
attributes = anything | st.decimals(allow_nan=False) | st.binary() | st.sets(st.text())
items = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("status", "payment", "inventory", "reason", "currency"), attributes),
        **dict.fromkeys(("placed_at", "at", "state", "amount", "attempt"), attributes),
        "history": entries("type", "at", "reason"),
        "items": entries("sku", "quantity"),
        "lines": entries("sku", "quantity"),
    },
)
events = fields("detail-type", "detail", "time", "status", "order_id", "requestPayload")
log_fields = fields(
    *("timestamp", "level", "message", "order_id", "message_id", "reason", "attempt", "exception"),
    *("stack_trace", "request_id", "metrics", "_aws"),
)


def written(value: object) -> str:
    """JSON as a careless producer writes it, with NaN and every digit in it."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except ValueError:  # more digits than Python writes
        return '{"timestamp": ' + "9" * 5000 + "}"


def json_of(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return texts | strategy.map(written)


def line_of(text: str, milliseconds: int = 0) -> LogLine:
    return log_line({"eventId": "1", "timestamp": milliseconds, "message": text}, "function")


def printed(*lines: object) -> None:
    """All of it can be shown, and does no harm."""
    with contextlib.redirect_stdout(io.StringIO()) as screen:
        for line in lines:
            console.out().print(line)
    assert_harmless(screen.getvalue())


@given(json_of(anything))
def test_json_is_read_and_can_be_written_again_or_is_refused(text: str) -> None:
    try:
        value = reading.parse_json(text)
    except ValueError:
        assert reading.parse_json_object(text) == {}
    else:
        assert json.loads(console.json_text(value)) == value


@given(anything | st.sampled_from(ODD_TIMES))
def test_a_time_can_be_counted_with(value: object) -> None:
    moment = reading.parse_time(value)
    if moment is not None:
        assert moment.tzinfo is UTC
        assert (moment + timedelta(hours=24)).timestamp() > 0
        assert times.format_time(moment - timedelta(hours=24)).endswith("Z")


@given(st.integers())
@example(253402300800_000)
@example(-62135596801_000)
def test_so_can_milliseconds(value: int) -> None:
    assert reading.FIRST <= reading.from_milliseconds(value) <= reading.LAST


@given(texts | st.sampled_from(ODD_TIMES) | st.from_regex(r"-?\d{1,9}[smhd]", fullmatch=True))
def test_what_is_typed_as_a_time_is_one_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        times.format_time(times.parse(text, NOW) - timedelta(minutes=1))


@given(attributes)
def test_numbers_and_texts(value: object) -> None:
    number = reading.whole_number(value)
    assert number is None or number == Decimal(str(value) if isinstance(value, str) else value)  # type: ignore[arg-type]
    assert isinstance(reading.to_text(value), str)


@given(json_of(log_fields), st.integers())
def test_a_line_of_a_log(text: str, milliseconds: int) -> None:
    line = line_of(text, milliseconds)
    line.is_about("order-1")
    assert json.loads(console.json_text(results.plain(logs.logged(line, "payments"))))
    printed(*logs.format_line(line, Text()))
    printed(*(entry.what for entry in log_entries([line])))
    printed(reasons.of_consumed(MESSAGE, [line], "function").text)


@given(json_of(events))
def test_a_parked_message(body: str) -> None:
    assert isinstance(order_id_in(body), str | None)
    printed(reasons.event_name(event_in(body)))


@given(
    json_of(
        st.fixed_dictionaries(
            {},
            optional={
                "requestContext": fields("functionArn", "approximateInvokeCount", "condition")
                | st.just({"functionArn": "arn:aws:lambda:r:1:function:name"}),
                "responsePayload": fields("errorMessage") | anything,
                "timestamp": anything,
            },
        )
    )
)
def test_a_record_of_an_invocation(body: str) -> None:
    reason = reasons.of_invocation(body)
    printed(reason.text)
    assert reason.at is None or reading.parse_time(reason.at)


@given(st.dictionaries(st.sampled_from(["ERROR_CODE", "TARGET_ARN", "RULE_ARN"]), st.text()))
def test_an_undelivered_event(of_message: dict[str, str]) -> None:
    printed(reasons.of_undelivered(of_message).text, reasons.of_update(of_message).text)
    without_qualifier(of_message.get("TARGET_ARN", ""))


@given(items, items, st.text(), st.none() | st.sampled_from(ODD_TIMES))
def test_an_order_s_story(
    order: Mapping[str, Any], record: Mapping[str, Any], text: str, at: str | None
) -> None:
    parked = [Parked("dlq", MESSAGE, "order-1", text, reasons.Reason(text, at))]
    found = [
        *order_entries(order),
        *record_entries("table payments", record),
        *parked_entries(parked),
    ]
    told = Story(order, tuple(sorted(found, key=lambda e: e.place)), tuple(parked), ())
    printed(*trace.screen("order-1", told))
    assert json.loads(console.json_text(trace.facts("order-1", told)))
    assert isinstance(reserved_lines(record), dict | None)


@given(items)
def test_an_unfinished_order(order: Mapping[str, Any]) -> None:
    age = orders.age_seconds(order, NOW)
    assert age is None or isinstance(age, int)
    assert orders.missing(order, paid=False, reserved=False)
    printed(order_texts.amount(order), order_texts.items(order))
    listed = orders._listed(order)
    printed(*orders._listed_cells(order, listed))
    assert len(listed.__struct_fields__) == len(next(csv.reader([csv_line(listed)])))


def csv_line(listed: orders.Listed) -> str:
    return orders._csv_line([orders._cell(getattr(listed, n)) for n in listed.__struct_fields__])


@given(
    st.one_of(
        anything,
        fields("order_id", "status", "reason", "payment", "amount", "history", "items", "errors"),
        st.fixed_dictionaries({"errors": entries("field", "detail")}),
    )
)
@example({"amount": 10**400})
def test_what_the_api_answers(body: object) -> None:
    printed(refusal(Reply(400, body)))
    if isinstance(body, dict):
        printed(cancel.success_of(body, "order-1"), cancel.failure_of(body, "order-1") or "")
        with contextlib.redirect_stdout(io.StringIO()) as screen:
            show(body)
        assert_harmless(screen.getvalue())


@given(json_of(fields("order_id", "status", "at", "reason")), st.booleans())
@example('{"order_id":"a","status":"placed","at":"\u202e","x":"\x9b\x7f"}', True)
def test_an_update(body: str, as_json: bool) -> None:
    printer = updates.Printer(as_json)
    with contextlib.redirect_stdout(io.StringIO()) as screen:
        read = printer.show([replace(MESSAGE, body=body)])
    assert_harmless(screen.getvalue())
    assert bool(read) != bool(printer.unreadable)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_each_odd_text_is_shown_as_it_is_or_as_unreadable(text: str) -> None:
    printed(*logs.format_line(line_of(text), Text()))
    assert updates.Printer(as_json=True).show([replace(MESSAGE, body=text)]) == []
