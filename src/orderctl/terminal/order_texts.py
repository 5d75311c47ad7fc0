"""An order's amount and items as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orderctl.pipeline import reading


def amount(order: Mapping[str, Any]) -> str:
    """An order's amount with its currency; empty when it has none."""
    if "amount" not in order:
        return ""
    number = order["amount"]
    if not isinstance(number, Decimal | int | float):
        return f"amount {reading.UNREADABLE}"
    try:
        return f"{number:.2f} {reading.to_text(order.get('currency', ''))}"
    except OverflowError:  # a whole number that no float holds
        return f"amount {reading.UNREADABLE}"


def items(order: Mapping[str, Any]) -> str:
    """An order's items, such as 2 mug, 1 tea."""
    return ", ".join(
        f"{reading.to_text(line.get('quantity'))} {reading.to_text(line.get('sku'))}"
        for line in reading.maps(order.get("items"))
    )
