"""What to do about an order's stock: plain functions over plain values."""

from __future__ import annotations

from orders.events import OrderLine


def shortage(lines: tuple[OrderLine, ...], available: dict[str, int | None]) -> str:
    """Say why an order cannot be reserved.

    Args:
        lines: what was ordered.
        available: what there is of each SKU that fell short; None for a SKU that is not known.
    """
    wanted = {line.sku: line.quantity for line in lines}
    return "; ".join(
        f"unknown SKU {sku}" if there is None else f"{sku}: {wanted[sku]} wanted, {there} available"
        for sku, there in available.items()
    )
