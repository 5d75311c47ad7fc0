"""`orderctl stock`: what is available of each article."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from orderctl import console, reading
from orderctl.commands.connection import connected, print_json
from orderctl.errors import OrderctlError
from orderctl.names import did_you_mean
from orderctl.pipeline import Pipeline
from orderctl.stock import StockError
from orders.events import Sku

_NOTHING = "-"
_LARGEST = 10**15


class NotAStockError(OrderctlError):
    """What was typed names no SKU and quantity."""


class StockUnchangedError(OrderctlError):
    """Not every SKU was changed."""


def list_stock(skus: Sequence[str], reserved: bool, as_json: bool) -> None:
    """List what is available.

    Args:
        skus: of what; of everything when empty.
        reserved: whether to add up what orders hold, which reads every reservation.
        as_json: whether to print JSON.

    Raises:
        NotAStockError: there is no such SKU.
    """
    with connected() as pipeline:
        available = pipeline.stock_levels()
        held, unreadable = pipeline.reserved_stock() if reserved else ({}, [])
    if unreadable:
        console.note(
            f"The reservations of {', '.join(unreadable)} cannot be read, and are not counted."
        )
    for sku in skus:
        if sku not in available:
            raise NotAStockError(f"There is no SKU {sku}.{did_you_mean(sku, available)}")
    rows = [
        {
            "sku": sku,
            "available": available[sku],
            **({"reserved": held.get(sku, 0)} if reserved else {}),
        }
        for sku in sorted(skus or available)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        console.table(list(rows[0]), [[_cell(cell) for cell in row.values()] for row in rows])
    else:
        console.out().print("There is no stock. To begin with it: orderctl stock set SKU=N")


def _cell(value: str | int | None) -> str:
    return reading.UNREADABLE if value is None else str(value)


def put(pairs: Sequence[str], was: int | None, as_json: bool) -> None:
    """Set what is available.

    Args:
        pairs: SKU=N each.
        was: what must be available before, for a single SKU.
        as_json: whether to print JSON.

    Raises:
        NotAStockError: they are not that; nothing was changed.
        StockUnchangedError: not every SKU was changed.
    """
    wanted = quantities(pairs, least=0)
    if was is not None and len(wanted) > 1:
        raise NotAStockError("--was goes with a single SKU.")

    def change(pipeline: Pipeline, sku: str) -> tuple[int | None, int]:
        return pipeline.stock().put(sku, wanted[sku], was), wanted[sku]

    _change(wanted, change, as_json)


def add(pairs: Sequence[str], as_json: bool) -> None:
    """Add to what is available, or take from it.

    Args:
        pairs: SKU=N each; N is less than 0 to take.
        as_json: whether to print JSON.

    Raises:
        NotAStockError: they are not that; nothing was changed.
        StockUnchangedError: not every SKU was changed.
    """
    differences = quantities(pairs, least=-_LARGEST)

    def change(pipeline: Pipeline, sku: str) -> tuple[int | None, int]:
        before = pipeline.stock().add(sku, differences[sku])
        return before, before + differences[sku]

    _change(differences, change, as_json)


def quantities(pairs: Sequence[str], least: int) -> dict[str, int]:
    """The SKUs and quantities that were typed.

    Args:
        pairs: SKU=N each.
        least: the smallest N.

    Raises:
        NotAStockError: one is not that, or a SKU stands twice.
    """
    found: dict[str, int] = {}
    for pair in pairs:
        sku, equals, text = pair.rpartition("=")
        if not equals:
            raise NotAStockError(f"{pair!r} is not of the form SKU=N.")
        try:
            quantity = int(text)
        except ValueError:
            raise NotAStockError(f"{pair!r}: {text!r} is not a whole number.") from None
        if not least <= quantity <= _LARGEST:
            raise NotAStockError(f"{pair!r}: the quantity must be from {least} to {_LARGEST}.")
        try:
            msgspec.convert(sku, Sku)
        except msgspec.ValidationError:
            raise NotAStockError(
                f"{pair!r}: a SKU is 1 to 64 printable ASCII characters without spaces."
            ) from None
        if sku in found:
            raise NotAStockError(f"{sku} stands twice.")
        found[sku] = quantity
    return found


def _change(
    skus: Mapping[str, int],
    change: Callable[[Pipeline, str], tuple[int | None, int]],
    as_json: bool,
) -> None:
    """Change one SKU after the other, and say what each was and is."""
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    with connected() as pipeline:
        for sku in skus:
            try:
                before, now = change(pipeline, sku)
            except StockError as error:
                failures.append(f"{sku}: {error}")
            else:
                rows.append({"sku": sku, "before": before, "available": now})
    if as_json:
        print_json(rows)
    elif rows:
        console.table(
            ("sku", "before", "available"),
            [
                (
                    row["sku"],
                    _NOTHING if row["before"] is None else str(row["before"]),
                    str(row["available"]),
                )
                for row in rows
            ],
        )
    if failures:
        raise StockUnchangedError("\n  ".join(["Not everything was changed.", *failures]))
