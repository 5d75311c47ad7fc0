"""How a SKU's stock stands in the table ``stock``: on one shelf, or on several.

A shelf is an item with a key of its own, so that several transactions can take of one SKU at once.
The first shelf has the SKU itself as its key, and says how many shelves there are.
"""

from __future__ import annotations

from typing import Final

import msgspec

MAX_SHELVES: Final = 50
"""All of them are changed in one transaction, and an order may take of several."""
_SEPARATOR: Final = " "
"""No SKU has a space in it."""


class Shelf(msgspec.Struct, frozen=True):
    """An item of the table ``stock``."""

    available: int
    shelves: int = 1
    """On how many the SKU's stock stands; only the first shelf's item says so."""


def shelf_key(sku: str, number: int) -> str:
    """The key of a SKU's shelf; the first one has the number 0."""
    return f"{sku}{_SEPARATOR}{number}" if number else sku


def shelf_keys(sku: str, count: int) -> list[str]:
    """The keys of a SKU's shelves, the first one first."""
    return [shelf_key(sku, number) for number in range(count)]


def sku_of(key: str) -> str:
    """The SKU that stands on a shelf."""
    return key.partition(_SEPARATOR)[0]


def shelf_number(key: str) -> int:
    """Which shelf of its SKU it is; -1 for a key that no shelf has."""
    _, separator, number = key.partition(_SEPARATOR)
    if not separator:
        return 0
    return int(number) if number.isdecimal() and number[0] != "0" else -1
