"""Any JSON in, never a crash; and what is accepted survives the way to the consumers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import quote, urljoin

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orders.clock import timestamp
from orders.events import (
    CURRENCIES,
    MAX_CHARGE_ID,
    MAX_LINES,
    MAX_REASON,
    ChargeId,
    OrderId,
    OrderLine,
    OrderPlaced,
    Reason,
    Time,
    UnreadableEventError,
    convert_milestone,
    decode_command,
    encode,
    fit,
    is_time,
)
from orders.inventory.decisions import describe_shortage
from orders.order_api.validation import InvalidOrderError, parse_order
from support.lambdas import order_placed

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["order_id", "amount", "currency", "customer_id", "items", "x"])
bodies = st.dictionaries(names, anything)

order_ids = st.text("ABCabc019._-", min_size=1, max_size=64).filter(
    lambda order_id: order_id not in (".", "..")
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))
amounts = st.integers(0, 999_999_999_999).map(lambda cents: Decimal(cents) / 100)
lines = st.lists(
    st.fixed_dictionaries(
        {
            "sku": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(
                lambda sku: sku[:64]
            ),
            "quantity": st.integers(1, 1_000_000),
        }
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda line: line["sku"],
)
valid_orders = st.fixed_dictionaries(
    {"amount": amounts},
    optional={
        "order_id": order_ids,
        "currency": st.sampled_from(sorted(CURRENCIES)),
        "customer_id": st.text(
            st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128
        ),
        "items": lines,
    },
)


def parsed(body: str) -> OrderPlaced | None:
    try:
        return parse_order(body, "made")
    except InvalidOrderError as error:
        assert error.faults
        encode({"errors": list(error.faults)})
        return None


@given(st.text())
def test_any_text_is_an_order_or_a_list_of_faults(body: str) -> None:
    parsed(body)


@given(anything | bodies)
def test_any_json_is_an_order_or_a_list_of_faults(value: Any) -> None:  # noqa: ANN401
    parsed(json.dumps(value))


@given(st.text() | (anything | bodies).map(json.dumps))
def test_a_consumer_reads_an_event_or_says_that_it_cannot(detail: str) -> None:
    for body in (detail, json.dumps(order_placed()).replace('{"order_id"', detail, 1)):
        try:
            assert isinstance(decode_command(body).detail, OrderPlaced)
        except UnreadableEventError as error:
            assert str(error)


@given(valid_orders)
def test_what_is_accepted_survives_the_way_to_the_consumers(fields: dict[str, Any]) -> None:
    body = json.dumps({**fields, "amount": "AMOUNT"}).replace('"AMOUNT"', str(fields["amount"]))
    order = parse_order(body, "made")
    assert order.amount == fields["amount"]
    envelope = {**order_placed(), "detail": "DETAIL"}
    on_the_queue = json.dumps(envelope).replace('"DETAIL"', encode(order))
    assert decode_command(on_the_queue).detail == order
    assert convert_milestone(json.loads(on_the_queue)).detail == order


def pattern(kind: Any) -> str:  # noqa: ANN401 - a type of the contract
    found: str = get_args(kind)[1].pattern
    return found


@given(times)
def test_a_time_as_it_is_written_here_is_one_and_sorts_as_it_does(time: datetime) -> None:
    later = time + timedelta(seconds=1)
    written = [timestamp(time), time.strftime("%Y-%m-%dT%H:%M:%SZ")]
    for text in written:
        assert is_time(text)
        assert all(text < after for after in (timestamp(later), f"{later:%Y-%m-%dT%H:%M:%SZ}"))


@given(st.from_regex(pattern(Time)))
def test_whatever_is_taken_as_a_time_can_be_read_as_one(text: str) -> None:
    assert is_time(text)
    read = datetime.fromisoformat(text)
    assert text in (timestamp(read), f"{read:%Y-%m-%dT%H:%M:%SZ}")
    read.astimezone()


@given(st.from_regex(pattern(OrderId)))
def test_every_order_can_be_asked_for_by_its_id(order_id: str) -> None:
    address = "https://api.example/prod/orders/"
    assert urljoin(address, order_id) == address + order_id
    assert quote(order_id, safe="") == order_id


@given(
    st.text(st.characters(), max_size=30) | st.just("\ud800" * 4000) | st.just("é" * 4000),
    st.sampled_from([(Reason, MAX_REASON), (ChargeId, MAX_CHARGE_ID)]),
)
def test_any_text_of_another_system_is_made_to_fit(text: str, bound: tuple[Any, int]) -> None:
    kind, most = bound
    cut = fit(text, most)
    assert msgspec.convert(cut, kind) == cut
    assert encode({"text": cut})
    assert cut == text or len(text) > most or re.search("[\ud800-\udfff]", text)


def test_a_shortage_of_everything_is_told_uncut() -> None:
    lines = tuple(OrderLine(f"{n:064}", 1_000_000) for n in range(MAX_LINES))
    told = describe_shortage(lines, {line.sku: 10**38 for line in lines})
    assert fit(told, MAX_REASON) == told
