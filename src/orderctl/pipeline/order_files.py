"""Reads orders from a file: one JSON object per line, one JSON array, or CSV with a header."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orderctl.errors import OrderctlError
from orders.events import encode
from orders.order_api.validation import Fault, InvalidOrderError, parse_order

_SHOWN_FAULTS = 20
_COLUMNS = ("order_id", "amount", "currency", "customer_id", "items")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An order to be posted."""

    order_id: str
    body: bytes
    where: str = ""
    """Its place in the file, such as `line 3`."""


def prepare(fields: dict[str, Any], where: str = "") -> Outgoing:
    """Prepare an order for posting: check it and give it an id, so that it can be posted again.

    The check is the API's own, so that a file is refused before any of it is sent.

    Raises:
        InvalidOrderError: it is invalid; the error has all its faults.
    """
    named = {"order_id": str(uuid.uuid4()), **fields}
    try:
        body = encode(named)
    except (OverflowError, ValueError, RecursionError) as error:
        raise InvalidOrderError(Fault("", f"cannot be sent: {error}")) from error
    return Outgoing(parse_order(body, named["order_id"]).order_id, body.encode(), where)


def describe_fault(fault: Fault) -> str:
    """A fault as one line."""
    return f"{fault.field}: {fault.detail}" if fault.field else fault.detail


def read(text: str, name: str) -> list[Outgoing]:
    """Read orders.

    Args:
        text: JSON lines, a JSON array, or CSV.
        name: the name of the file in errors.

    Raises:
        OrderctlError: it has no orders, or some of them are invalid.
    """
    orders: list[Outgoing] = []
    faults: list[str] = []
    first: dict[str, str] = {}
    for where, value in _read_values(text, name):
        try:
            if isinstance(value, Exception):
                faults.append(f"{where}: {value}")
                continue
            if not isinstance(value, dict):
                faults.append(f"{where}: must be a JSON object {{…}}")
                continue
            order = prepare(value, where)
        except InvalidOrderError as error:
            faults += [f"{where}: {describe_fault(fault)}" for fault in error.faults]
            continue
        if first.setdefault(order.order_id, where) != where:
            faults.append(
                f"{where}: order_id: {order.order_id} is also used in {first[order.order_id]}"
            )
        orders.append(order)
    if faults:
        raise OrderctlError("\n  ".join([f"Nothing was sent. {name} has faults:", *_limit(faults)]))
    if not orders:
        raise OrderctlError(
            f"{name} has no orders. Write one JSON object per line, one JSON array, or CSV."
        )
    return orders


def _read_values(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Each order's place and value; the value is an exception where it is not JSON."""
    start = text.lstrip()
    if start and start[0] not in "{[":
        yield from _read_csv(start, name)
        return
    if start.startswith("["):
        array = _parse(text)
        if isinstance(array, Exception):
            raise OrderctlError(f"{name} {array}")
        for number, value in enumerate(array, 1):
            yield f"order {number}", value
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"line {number}", _parse(line)


def _read_csv(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Each order's place and fields, from CSV whose first row names the columns.

    Raises:
        OrderctlError: The columns are not those of an order.
    """
    header = text.partition("\n")[0]
    delimiter = next((each for each in ";\t" if each in header and "," not in header), ",")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise OrderctlError(f"{name} is not CSV: {error}.") from error
    columns = [column.strip() for column in rows[0]]
    if "amount" not in columns:
        raise OrderctlError(
            f"{name} is neither JSON nor CSV with the column amount. "
            "Write one JSON object per line, one JSON array, or CSV."
        )
    if unknown := [column for column in columns if column not in _COLUMNS]:
        raise OrderctlError(
            f"{name}: orders have no {', '.join(unknown)}. The columns are: {', '.join(_COLUMNS)}"
        )
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        if len(row) != len(columns):
            yield f"row {number}", ValueError(f"it has {len(row)} cells, not {len(columns)}")
        else:
            yield f"row {number}", _fields(dict(zip(columns, row, strict=True)))


def _fields(cells: dict[str, str]) -> dict[str, Any]:
    """An order's fields from the cells of a row; what cannot be one is left for the check."""
    fields: dict[str, Any] = {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    with suppress(ArithmeticError):
        fields["amount"] = Decimal(fields.get("amount", ""))
    if "items" in fields:
        fields["items"] = [_line(part.strip()) for part in re.split("[,;]", fields["items"])]
    return fields


def _line(text: str) -> dict[str, Any]:
    """An item from a cell: `mug=2`, `2 mug`, or `mug`."""
    if found := re.fullmatch(r"(?P<sku>\S+)=(?P<n>\d+)|(?P<m>\d+) (?P<article>\S+)", text):
        number = found["n"] or found["m"]
        return {"sku": found["sku"] or found["article"], "quantity": int(number)}
    return {"sku": text, "quantity": 1}


def _parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        # Amounts keep every digit.
        return json.loads(text, parse_float=Decimal, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column" if "\n" in text.strip() else "column"
        return ValueError(f"is not JSON: {error.msg}, at {place} {error.colno}")
    except (ValueError, ArithmeticError, RecursionError) as error:
        return ValueError(f"is not JSON: {error}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field is named twice")
    return fields


def _limit(faults: list[str]) -> list[str]:
    more = len(faults) - _SHOWN_FAULTS
    return faults[:_SHOWN_FAULTS] + ([f"… and {more} more"] if more > 0 else [])
