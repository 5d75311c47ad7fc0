"""`orderctl stock`: what is available of each article."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.names import did_you_mean
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.stock import StockError
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target
from orders.events import Sku

_NOTHING = "-"
_LARGEST = 10**15


stock = App(
    name="stock",
    help="See and change what is available of each article to new orders.",
    group=ORDERS,
)
app.command(stock)


@stock.command(name="list", help_epilogue="Example: orderctl stock list mug tea")
def list_stock(
    skus: tuple[str, ...] = (),
    /,
    *,
    reserved: bool = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """List what is available of each SKU.

    Args:
        skus: Which. [default: all]
        reserved: Add what orders hold, confirmed ones too. Reads every reservation there is.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: There is no such SKU.
    """
    with connect(target) as pipeline:
        available = pipeline.stock.levels()
        held, unreadable = pipeline.stock.reserved() if reserved else ({}, [])
    if unreadable:
        console.note(
            f"The reservations of {', '.join(unreadable)} cannot be read, and are not counted."
        )
    for sku in skus:
        if sku not in available:
            raise OrderctlError(f"There is no SKU {sku}.{did_you_mean(sku, available)}")
    rows = [
        {
            "sku": sku,
            "available": available[sku],
            **({"reserved": held.get(sku, 0)} if reserved else {}),
        }
        for sku in sorted(skus or available)
    ]
    if as_json:
        console.json_document(rows)
    elif rows:
        console.table(list(rows[0]), [[_cell(cell) for cell in row.values()] for row in rows])
    else:
        console.out().print("There is no stock. To begin with it: orderctl stock set SKU=N")


def _cell(value: str | int | None) -> str:
    return reading.UNREADABLE if value is None else str(value)


@stock.command(name="set", help_epilogue="Example: orderctl stock set mug=100 tea=50")
def put(
    pairs: Annotated[tuple[str, ...], Parameter(name="SKU=N", negative=(), required=True)],
    /,
    *,
    was: Annotated[int | None, Parameter(metavar="N")] = None,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Set how much of a SKU new orders can have from now on; this creates a SKU that is new.

    What orders have reserved was taken out before and is not counted in N. So N is not what
    stands on the shelf: it is that less what is reserved. An order that reserves between your
    look and your set is overwritten: while orders flow use `stock add`, or give --was what
    you saw. What there was at the very moment is printed.

    Args:
        pairs: The SKU and its new quantity; repeatable.
        was: Set it only if so many are available now; for a single SKU.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: What was typed is not SKU=N, or not every SKU was changed.
    """
    wanted = quantities(pairs, least=0)
    if was is not None and len(wanted) > 1:
        raise OrderctlError("--was can be used with a single SKU only.")

    def change(pipeline: Pipeline, sku: str) -> tuple[int | None, int]:
        return pipeline.stock.put(sku, wanted[sku], was), wanted[sku]

    _change(wanted, change, as_json, target)


@stock.command(help_epilogue="Example: orderctl stock add mug=24 tea=-3")
def add(
    pairs: Annotated[tuple[str, ...], Parameter(name="SKU=N", negative=(), required=True)],
    /,
    *,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Add what has come in to what is available, or take what is gone (N less than 0).

    Safe while orders flow: it is one write, and never leaves less than 0.

    Args:
        pairs: The SKU and how many to add; repeatable.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: What was typed is not SKU=N, or not every SKU was changed.
    """
    differences = quantities(pairs, least=-_LARGEST)

    def change(pipeline: Pipeline, sku: str) -> tuple[int | None, int]:
        before = pipeline.stock.add(sku, differences[sku])
        return before, before + differences[sku]

    _change(differences, change, as_json, target)


def quantities(pairs: Sequence[str], least: int) -> dict[str, int]:
    """The SKUs and quantities that were typed.

    Args:
        pairs: SKU=N each.
        least: the smallest N.

    Raises:
        OrderctlError: one is not that, or a SKU stands twice.
    """
    found: dict[str, int] = {}
    for pair in pairs:
        sku, equals, text = pair.rpartition("=")
        if not equals:
            raise OrderctlError(f"{pair!r} is not of the form SKU=N.")
        try:
            quantity = int(text)
        except ValueError:
            raise OrderctlError(f"{pair!r}: {text!r} is not a whole number.") from None
        if not least <= quantity <= _LARGEST:
            raise OrderctlError(f"{pair!r}: the quantity must be from {least} to {_LARGEST}.")
        try:
            msgspec.convert(sku, Sku)
        except msgspec.ValidationError:
            raise OrderctlError(
                f"{pair!r}: a SKU is 1 to 64 printable ASCII characters without spaces."
            ) from None
        if sku in found:
            raise OrderctlError(f"{sku} stands twice.")
        found[sku] = quantity
    return found


def _change(
    skus: Mapping[str, int],
    change: Callable[[Pipeline, str], tuple[int | None, int]],
    as_json: bool,
    target: Target,
) -> None:
    """Change one SKU after the other, and say what each was and is."""
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    with connect(target) as pipeline:
        for sku in skus:
            try:
                before, now = change(pipeline, sku)
            except StockError as error:
                failures.append(f"{sku}: {error}")
            else:
                rows.append({"sku": sku, "before": before, "available": now})
    if as_json:
        console.json_document(rows)
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
        raise OrderctlError("\n  ".join(["Not everything was changed.", *failures]))
