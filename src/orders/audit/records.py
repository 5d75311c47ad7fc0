"""The items of the four tables as the audit's values."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec

from orders.audit.decisions import Order, Payment, Reservation, StockLevel, Unreadable
from orders.aws.items import Item, UnreadableRecordError, from_item

T = TypeVar("T")


def read_order(item: Item) -> Order | Unreadable:
    """Read an item of the table ``orders``; of its history only the newest step is kept."""
    order = _read(item, Order, "orders")
    if isinstance(order, Unreadable):
        return order
    return msgspec.structs.replace(order, history=order.history[-1:])


def read_payment(item: Item) -> Payment | Unreadable:
    """Read an item of the table ``payments``."""
    return _read(item, Payment, "payments")


def read_reservation(item: Item) -> Reservation | Unreadable:
    """Read an item of the table ``reservations``."""
    return _read(item, Reservation, "reservations")


def read_stock(item: Item) -> StockLevel | Unreadable:
    """Read an item of the table ``stock``."""
    return _read(item, StockLevel, "stock")


def pack_stock(level: StockLevel | Unreadable) -> str:
    """What there is on a shelf as a short text: ``3/5``, or ``!`` and why it cannot be read.

    That is what is available, what was put in, and the number of shelves if there are several.
    """
    if isinstance(level, Unreadable):
        return f"!{level.why}"
    shelves = f"/{level.shelves}" if level.shelves != 1 else ""
    return f"{level.available}/{'' if level.put_in is None else level.put_in}{shelves}"


def unpack_stock(key: str, text: str) -> StockLevel | Unreadable:
    """The same back."""
    if text.startswith("!"):
        return Unreadable("stock", text[1:])
    available, put_in, *shelves = text.split("/")
    return StockLevel(
        sku=key,
        available=Decimal(available),
        put_in=Decimal(put_in) if put_in else None,
        shelves=int(shelves[0]) if shelves else 1,
    )


def _read(item: Item, kind: type[T], table: str) -> T | Unreadable:
    try:
        return from_item(item, kind)
    except UnreadableRecordError as error:
        return Unreadable(table, str(error))
