"""What may as well come at once, and what comes too late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from simulation.requests import CARD_PROCESSOR, Request
from simulation.settled import Deed, Standing, settled
from simulation.spent import is_spent

KEYS = {"orders": "order_id", "reservations": "order_id", "stock": "sku"}


def test_only_what_says_nothing_for_ever_is_settled_before_an_order_is_decided() -> None:
    found = {
        standing: deed for standing, deed in settled().items() if standing.state[0] == "placed"
    }
    assert {standing.detail_type for standing in found} == {
        "payment.refunded",
        "inventory.released",
    }
    assert set(found.values()) == {Deed(changes=False, publishes=None)}


@pytest.mark.parametrize(
    ("function", "state", "event", "deed"),
    [
        ("order-tracker", ("cancelled", "charged", None), "payment.refunded", Deed(True, None)),
        ("order-tracker", ("cancelled", None, None), "payment.refunded", None),
        ("order-tracker", ("cancelled", "refunded", None), "payment.refunded", Deed(False, None)),
        (
            "order-tracker",
            ("confirmed", "charged", "reserved"),
            "payment.charged",
            Deed(False, "order.confirmed"),
        ),
        ("payments-processor", ("refunded",), "order.cancelled", Deed(False, "payment.refunded")),
        ("payments-processor", ("charged",), "order.placed", None),
        ("inventory-processor", ("reserved",), "order.placed", None),
    ],
)
def test_what_is_settled(
    function: str, state: tuple[str | None, ...], event: str, deed: Deed | None
) -> None:
    """A late charge comes before or after its refund: the record says which was first."""
    assert settled().get(Standing(function, state, event)) == deed


def statement(text: str, *parameters: dict[str, str]) -> dict[str, Any]:
    return {"Statement": text, "Parameters": list(parameters)}


UPDATE = statement(
    'UPDATE "orders" SET "status"=? WHERE "order_id"=? AND "version"=?',
    {"S": "confirmed"},
    {"S": "order-1"},
    {"N": "2"},
)
INSERT = statement(
    """INSERT INTO "orders" VALUE {'status': ?, 'order_id': ?}""", {"S": "placed"}, {"S": "order-1"}
)
RELEASE = {
    "Update": {
        "TableName": "reservations",
        "Key": {"order_id": {"S": "order-1"}},
        "ConditionExpression": "#state = :before",
        "ExpressionAttributeValues": {":before": {"S": "reserved"}},
    }
}
TAKE = {
    "Update": {
        "TableName": "stock",
        "Key": {"sku": {"S": "apple"}},
        "ConditionExpression": "available >= :taken",
    }
}
RESERVE = {
    "Put": {
        "TableName": "reservations",
        "Item": {"order_id": {"S": "order-1"}},
        "ConditionExpression": "attribute_not_exists(order_id)",
    }
}
ANOTHER = {"S": "another"}


@pytest.mark.parametrize(
    ("operation", "arguments", "record", "spent"),
    [
        ("BatchExecuteStatement", {"Statements": [UPDATE]}, {"version": {"N": "2"}}, False),
        ("BatchExecuteStatement", {"Statements": [UPDATE]}, {"version": {"N": "3"}}, True),
        ("BatchExecuteStatement", {"Statements": [UPDATE]}, None, False),
        ("BatchExecuteStatement", {"Statements": [INSERT]}, None, False),
        ("BatchExecuteStatement", {"Statements": [INSERT]}, {}, True),
        ("BatchExecuteStatement", {"Statements": [INSERT, UPDATE]}, {"version": {"N": "2"}}, False),
        ("TransactWriteItems", {"TransactItems": [RELEASE]}, {"state": {"S": "reserved"}}, False),
        ("TransactWriteItems", {"TransactItems": [TAKE, RELEASE]}, {"state": ANOTHER}, True),
        ("TransactWriteItems", {"TransactItems": [TAKE, RESERVE]}, None, False),
        ("TransactWriteItems", {"TransactItems": [TAKE, RESERVE]}, {}, True),
        ("TransactWriteItems", {"TransactItems": [TAKE]}, {}, False),
        ("PutItem", {"Item": {"order_id": {"S": "order-1"}}}, {}, False),
    ],
)
def test_a_write_is_spent_when_its_condition_can_not_hold_again(
    operation: str, arguments: dict[str, Any], record: dict[str, Any] | None, *, spent: bool
) -> None:
    """Stock may come back, so a transaction that is short of it may succeed later."""

    def records(table: str) -> Mapping[str, dict[str, Any]]:
        if record is None or table == "stock":
            return {}
        return {"order-1": {"order_id": {"S": "order-1"}, **record}}

    assert is_spent(Request("dynamodb", operation, arguments), KEYS, records, ()) == spent


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_second_cancel_at_the_card_processor_is_spent(*, cancelled: bool) -> None:
    request = Request(CARD_PROCESSOR, "cancel", {"order_id": "order-1"})
    found = is_spent(request, KEYS, lambda _: {}, ["order-1"] if cancelled else [])
    assert found == cancelled
