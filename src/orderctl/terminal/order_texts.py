"""An order's amount and items as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orderctl.pipeline import reading


def amount(order: Mapping[str, Any]) -> str:
    """An order's amount with its currency, such as 12.50 USD; empty when it has none."""
    return reading.amount(order)


def items(order: Mapping[str, Any]) -> str:
    """An order's items, such as 2 mug, 1 tea."""
    return ", ".join(
        f"{reading.to_text(line.get('quantity'))} {reading.to_text(line.get('sku'))}"
        for line in reading.maps(order.get("items"))
    )
