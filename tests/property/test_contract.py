"""Any JSON in, never a crash; and what is accepted survives the way to the consumers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orders.events import (
    CURRENCIES,
    OrderPlaced,
    UnreadableEventError,
    convert_milestone,
    decode_command,
    encode,
)
from orders.order_api.validation import InvalidOrderError, parse_order
from support.lambdas import order_placed

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["order_id", "amount", "currency", "customer_id", "items", "x"])
bodies = st.dictionaries(names, anything)

order_ids = st.text("ABCabc019._-", min_size=1, max_size=64)
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
