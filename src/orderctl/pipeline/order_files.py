"""Reads orders from a file: one JSON object per line, or one JSON array."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orderctl.errors import OrderctlError
from orders.events import encode
from orders.order_api.validation import Fault, InvalidOrderError, parse_order

_SHOWN_FAULTS = 20


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
        text: JSON lines, or a JSON array.
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
                faults.append(f"{where}: is not JSON: {value}")
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
            f"{name} has no orders. Write one JSON object per line, or one JSON array."
        )
    return orders


def _read_values(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Each order's place and value; the value is an exception where it is not JSON."""
    if text.lstrip().startswith("["):
        array = _parse(text)
        if isinstance(array, Exception):
            raise OrderctlError(f"{name} is not JSON: {array}")
        for number, value in enumerate(array, 1):
            yield f"order {number}", value
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"line {number}", _parse(line)


def _parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        # Amounts keep every digit.
        return json.loads(text, parse_float=Decimal, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column" if "\n" in text.strip() else "column"
        return ValueError(f"{error.msg}, at {place} {error.colno}")
    except (ValueError, ArithmeticError, RecursionError) as error:
        return error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field is named twice")
    return fields


def _limit(faults: list[str]) -> list[str]:
    more = len(faults) - _SHOWN_FAULTS
    return faults[:_SHOWN_FAULTS] + ([f"… and {more} more"] if more > 0 else [])
