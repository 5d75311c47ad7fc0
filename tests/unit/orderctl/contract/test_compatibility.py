"""Which changes of the contract break its users."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from orderctl.contract.compatibility import find_breaks
from orderctl.contract.schemas import build_schemas

Change = Callable[[dict[str, Any]], object]

BREAKING: dict[str, tuple[str, Change, str]] = {
    "a field is removed": (
        "order.placed",
        lambda s: s["properties"].pop("customer_id"),
        "customer_id: is removed",
    ),
    "a field of a line is removed": (
        "order.placed",
        lambda s: s["$defs"]["OrderLine"]["properties"].pop("quantity"),
        "items[].quantity: is removed",
    ),
    "a length falls": (
        "order.cancelled",
        lambda s: s["properties"]["reason"].update(maxLength=10),
        "reason: maxLength is 10, and was 3000",
    ),
    "a bound is new": (
        "order.confirmed",
        lambda s: s["properties"]["version"].update(maximum=9),
        "version: has a maximum of 9 now",
    ),
    "a bound rises": (
        "place-order",
        lambda s: s["$defs"]["OrderLine"]["properties"]["quantity"].update(minimum=2),
        "items[].quantity: minimum is 2, and was 1",
    ),
    "a pattern changes": (
        "payment.charged",
        lambda s: s["properties"]["currency"].update(pattern="^EUR$"),
        "currency: pattern is '^EUR$', and was '^[A-Z]{3}$(?!\\\\n)'",
    ),
    "a value is taken no longer": (
        "order-update",
        lambda s: s["properties"]["status"]["enum"].remove("placed"),
        "status: takes no longer placed",
    ),
    "another type": (
        "payment.charged",
        lambda s: s["properties"]["amount"].update(type="string"),
        "amount: is string, and was number",
    ),
    "a field is required": (
        "order.placed",
        lambda s: s["required"].append("customer_id"),
        "customer_id: is required now, and is missing in what was written before",
    ),
    "a field of an event may be missing": (
        "order.placed",
        lambda s: s["required"].remove("amount"),
        "amount: was always there, and may be missing now",
    ),
    "an event is closed": (
        "order.placed",
        lambda s: s.update(additionalProperties=False),
        "the whole: takes no longer fields that it does not know",
    ),
}

HARMLESS: dict[str, tuple[str, Change]] = {
    "a new field": (
        "order.placed",
        lambda s: s["properties"].update(gift_note={"type": "string", "maxLength": 9}),
    ),
    "a length rises": (
        "order.cancelled",
        lambda s: s["properties"]["reason"].update(maxLength=9000),
    ),
    "a bound is gone": ("place-order", lambda s: s["properties"]["amount"].pop("maximum")),
    "one more value": ("place-order", lambda s: s["properties"]["currency"]["enum"].append("XTS")),
    "other words": ("place-order", lambda s: s.update(description="An order.")),
    "a body need not have it": ("place-order", lambda s: s["required"].remove("amount")),
}


def breaks(name: str, change: Change) -> list[str]:
    before = build_schemas()[name]
    now = copy.deepcopy(before)
    change(now)
    return find_breaks(before, now, is_published=name != "place-order")


@pytest.mark.parametrize(("name", "change", "said"), BREAKING.values(), ids=list(BREAKING))
def test_breaks(name: str, change: Change, said: str) -> None:
    assert breaks(name, change) == [said]


@pytest.mark.parametrize(("name", "change"), HARMLESS.values(), ids=list(HARMLESS))
def test_does_not_break(name: str, change: Change) -> None:
    assert breaks(name, change) == []


def test_any_field_of_any_schema_is_missed() -> None:
    for name, schema in build_schemas().items():
        for field in schema["properties"]:
            without = copy.deepcopy(schema)
            del without["properties"][field]
            assert f"{field}: is removed" in find_breaks(schema, without, is_published=True), name
