"""`orderctl stock`: shows and changes what is available of each SKU."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.names import did_you_mean
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.stock import StockError
from orderctl.terminal import console
from orderctl.terminal.completing import Quantities, Skus
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Lines
from orders.events import Sku
from orders.stock import MAX_SHELVES

_NOTHING = "-"
_LARGEST = 10**15


stock = App(
    name="stock",
    help="See and change how much of each SKU is available to new orders.",
    group=ORDERS,
)
app.command(stock)


class Level(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How much there is of a SKU.

    Attributes:
        sku: The SKU.
        available: How many new orders can have; null when it cannot be read.
        reserved: How many orders hold, with --reserved.
    """

    sku: str
    available: int | None
    reserved: int | msgspec.UnsetType = msgspec.UNSET


class Changed(msgspec.Struct, kw_only=True):
    """A SKU that was changed.

    Attributes:
        sku: The SKU.
        before: How many were available just before; null for a new SKU.
        available: How many are available now.
    """

    sku: str
    before: int | None
    available: int


class ShelfLevel(msgspec.Struct, kw_only=True):
    """How much there is on a shelf of a SKU.

    Attributes:
        shelf: Its key in the table: the SKU for the first one, then `mug 1`, `mug 2` and so on.
        available: How many new orders can have; null when it cannot be read.
    """

    shelf: str
    available: int | None


_LEVELS, _CHANGED, _SHELVES = Lines(Level), Lines(Changed), Lines(ShelfLevel)


@stock.command(name="list", help_epilogue="Example: orderctl stock list mug tea")
@_LEVELS.of_command
def list_stock(
    skus: Skus = (),
    /,
    *,
    reserved: bool = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """List how much of each SKU is available.

    Args:
        skus: Which SKUs. [default: all]
        reserved: Also show what orders hold, confirmed ones included. Reads every reservation.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: There is no such SKU.
    """
    with connect(target) as pipeline:
        available = pipeline.stock.levels()
        held, unreadable = pipeline.stock.reserved() if reserved else ({}, [])
    if unreadable:
        console.note(
            f"The reservations of {', '.join(unreadable)} cannot be read and are not counted."
        )
    for sku in skus:
        if sku not in available:
            raise OrderctlError(f"There is no SKU {sku}.{did_you_mean(sku, available)}")
    rows = [
        Level(
            sku=sku,
            available=available[sku],
            reserved=held.get(sku, 0) if reserved else msgspec.UNSET,
        )
        for sku in sorted(skus or available)
    ]
    if as_json:
        _LEVELS.show(rows)
    elif rows:
        names = ("sku", "available", "reserved")[: 3 if reserved else 2]
        console.table(names, [[_cell(getattr(row, name)) for name in names] for row in rows])
    else:
        console.out().print("There is no stock. To add some: orderctl stock set SKU=N")


def _cell(value: str | int | None) -> str:
    return reading.UNREADABLE if value is None else str(value)


@stock.command(name="set", help_epilogue="Example: orderctl stock set mug=100 tea=50")
@_CHANGED.of_command
def put(
    pairs: Quantities,
    /,
    *,
    was: Annotated[int | None, Parameter(metavar="N")] = None,
    shelves: Annotated[int | None, Parameter(metavar="N")] = None,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Set how much of a SKU is available to new orders; an unknown SKU is created.

    N does not include what orders have reserved: it is what is on the shelf minus what is
    reserved. What an order reserves between your `stock list` and your `stock set` is
    overwritten, so while orders flow use `stock add`, or pass the number you saw as --was. The
    command prints what was available just before the change.

    Args:
        pairs: The SKU and its new quantity; repeatable.
        was: Change it only if N are available now; for a single SKU.
        shelves: Have it stand on N shelves, 1 to 50, so that orders for it do not wait for each
            other. [default: as many as now]
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: An argument is not of the form SKU=N, a number is out of its range, or not
            every SKU was changed.
    """
    new = quantities(pairs, least=0)
    if was is not None and len(new) > 1:
        raise OrderctlError("--was can be used with a single SKU only.")

    check_shelves(shelves, "--shelves")

    def change(pipeline: Pipeline, sku: str) -> tuple[int | None, int]:
        return pipeline.stock.put(sku, new[sku], was, shelves), new[sku]

    _change(new, change, as_json, target)


@stock.command(help_epilogue="Example: orderctl stock add mug=24 tea=-3")
@_CHANGED.of_command
def add(
    pairs: Quantities,
    /,
    *,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Add to what is available of a SKU, or take away from it with a negative N.

    Safe while orders flow: it is a single transaction, and never goes below 0. What is added to a
    SKU with several shelves is divided among them.

    Args:
        pairs: The SKU and how many to add; repeatable.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: An argument is not of the form SKU=N, or not every SKU was changed.
    """
    differences = quantities(pairs, least=-_LARGEST)

    def change(pipeline: Pipeline, sku: str) -> tuple[int | None, int]:
        before = pipeline.stock.add(sku, differences[sku])
        return before, before + differences[sku]

    _change(differences, change, as_json, target)


@stock.command(name="shelves", help_epilogue="Example: orderctl stock shelves mug --count 20")
@_SHELVES.of_command
def show_shelves(
    sku: Annotated[str, Parameter(name="SKU")],
    /,
    *,
    count: Annotated[int | None, Parameter(metavar="N")] = None,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """List how much of a SKU is available on each of its shelves, or change their number.

    Orders for a SKU with one shelf wait for each other, one transaction at a time. On several
    shelves they do not. The number can be changed while orders flow: each step is a transaction.
    New shelves get their share of what is on the first one.

    Args:
        sku: The SKU.
        count: Have it stand on N shelves, 1 to 50.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: There is no such SKU, or orders kept changing it.
    """
    check_sku(sku, sku)
    check_shelves(count, "--count")
    with connect(target, changes=count is not None) as pipeline:
        there = pipeline.stock.set_shelves(sku, count) if count else pipeline.stock.shelves(sku)
    rows = [ShelfLevel(shelf=key, available=level) for key, level in there.levels.items()]
    if as_json:
        _SHELVES.show(rows)
    else:
        console.table(("shelf", "available"), [[row.shelf, _cell(row.available)] for row in rows])
    if there.lost:
        console.note(
            f"No order is served from {', '.join(there.lost)}. To put it where one is: "
            f"orderctl stock shelves {shlex.quote(sku)} --count {there.count}"
        )


def check_sku(sku: str, argument: str) -> None:
    """Check what is meant to be a SKU.

    Raises:
        OrderctlError: it is none; the argument that it was given in is named.
    """
    try:
        msgspec.convert(sku, Sku)
    except msgspec.ValidationError:
        raise OrderctlError(
            f"{argument!r}: a SKU is 1 to 64 printable ASCII characters without spaces."
        ) from None


def check_shelves(count: int | None, option: str) -> None:
    """Check a number of shelves.

    Raises:
        OrderctlError: it is out of its range.
    """
    if count is not None and not 1 <= count <= MAX_SHELVES:
        raise OrderctlError(f"{option} must be from 1 to {MAX_SHELVES}, and is {count}.")


def quantities(pairs: Sequence[str], least: int) -> dict[str, int]:
    """Parse SKUs and quantities.

    Args:
        pairs: each of the form SKU=N.
        least: the smallest N.

    Raises:
        OrderctlError: one is not of this form, or a SKU is given twice.
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
        check_sku(sku, pair)
        if sku in found:
            raise OrderctlError(f"{sku} is given twice. Give each SKU once.")
        found[sku] = quantity
    return found


def _change(
    skus: Mapping[str, int],
    change: Callable[[Pipeline, str], tuple[int | None, int]],
    as_json: bool,
    target: Target,
) -> None:
    """Change one SKU after the other, and print each one's old and new quantity."""
    rows: list[Changed] = []
    failures: list[str] = []
    with connect(target, changes=True) as pipeline:
        for sku in skus:
            try:
                before, now = change(pipeline, sku)
            except StockError as error:
                failures.append(f"{sku}: {error}")
            else:
                rows.append(Changed(sku=sku, before=before, available=now))
    if as_json:
        _CHANGED.show(rows)
    elif rows:
        console.table(
            ("sku", "before", "available"),
            [
                (
                    row.sku,
                    _NOTHING if row.before is None else str(row.before),
                    str(row.available),
                )
                for row in rows
            ],
        )
    if failures:
        raise OrderctlError("\n  ".join(["Not everything was changed.", *failures]))
