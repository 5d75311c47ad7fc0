"""DynamoDB items made of values, and read back: one mapping for all tables.

A field is an attribute of the same name. One that is None or unset has no attribute, and an
attribute that no field is named after is ignored.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from orders.events import describe

T = TypeVar("T")

Item = dict[str, Any]
"""An item as the low-level API spells it: ``{"order_id": {"S": "order-1"}}``."""


class UnreadableRecordError(Exception):
    """An item does not fit; the message names the attribute and can be logged."""


def to_item(record: object) -> Item:
    """Write a record, a msgspec struct, as an item."""
    return _attributes(msgspec.to_builtins(record, builtin_types=(Decimal,)))


def from_item(item: Item, kind: type[T]) -> T:
    """Read an item as a record.

    Raises:
        UnreadableRecordError: an attribute is missing, or has a value that its field cannot have.
    """
    return from_values(values_of(item), kind)


def values_of(item: Item) -> dict[str, Any]:
    """The attributes' values as Python has them; sets and bytes stay as they are.

    Raises:
        UnreadableRecordError: a number cannot be read.
    """
    try:
        return _values(item)
    except (ValueError, ArithmeticError):
        raise UnreadableRecordError("A number cannot be read") from None


def from_values(values: dict[str, Any], kind: type[T]) -> T:
    """Read attributes' values as a record.

    Raises:
        UnreadableRecordError: an attribute is missing, or has a value that its field cannot have.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UnreadableRecordError(describe(error)) from None
    except UnicodeError:
        raise UnreadableRecordError("It has a lone surrogate, which is no character") from None


def _attributes(values: dict[str, Any]) -> Item:
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def _attribute(value: Any) -> dict[str, Any]:  # noqa: ANN401 - what msgspec makes of a field
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is dict:
        return {"M": _attributes(value)}
    if kind is list or kind is tuple:
        return {"L": [_attribute(element) for element in value]}
    if kind is bool:
        return {"BOOL": value}
    return {"N": str(value)}


def _values(item: Item) -> dict[str, Any]:
    # Most attributes are texts: the short way for them saves a third of the time.
    return {name: a["S"] if "S" in a else _value(a) for name, a in item.items()}


def _value(attribute: dict[str, Any]) -> Any:  # noqa: ANN401 - any value of an item
    for kind, value in attribute.items():  # there is one
        if kind == "N":
            # msgspec makes a decimal of a whole number, and not the other way round.
            return int(value) if value.isdigit() else Decimal(value)
        if kind == "M":
            return _values(value)
        if kind == "L":
            return [_value(element) for element in value]
        return None if kind == "NULL" else value
    return None
