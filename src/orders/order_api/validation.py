"""Reads the body of ``POST /orders``: an order, or every fault in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import UnsetType

from orders.events import (
    CURRENCIES,
    MAX_LINES,
    Amount,
    Currency,
    OrderLine,
    OrderLines,
    OrderPlaced,
    check_amount,
)

MAX_BODY_CHARACTERS: Final = 65_536
_EXCERPT_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a struct of the contract."""

    types: dict[str, Any]
    required: tuple[str, ...]


@cache
def _fields(struct: type[msgspec.Struct]) -> _Fields:
    fields = msgspec.structs.fields(struct)
    return _Fields(
        {field.name: _value_type(field.type) for field in fields},
        tuple(field.name for field in fields if field.required),
    )


def _value_type(annotated: Any) -> Any:  # noqa: ANN401 - a type of the contract
    """The type of a field's value: without UnsetType, which says that it may be absent."""
    if get_origin(annotated) not in (Union, UnionType):
        return annotated
    members = tuple(member for member in get_args(annotated) if member is not UnsetType)
    return Union[members]  # noqa: UP007 - made of a tuple


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a body."""

    field: str
    """Where, such as ``items[2].quantity``; empty for the body as a whole."""
    rule: str
    """What the field must be."""
    got: str = ""
    """What was there, for the caller alone."""
    is_known: bool = True
    """Whether the field is one of the contract; otherwise its name is the caller's own text."""

    @property
    def detail(self) -> str:
        """What the field must be, and what was there."""
        return f"{self.rule}; got {self.got}" if self.got else self.rule

    @property
    def loggable(self) -> str:
        """The field and the rule, with nothing that the caller wrote."""
        field = self.field if self.is_known else "unknown field"
        return f"{field}: {self.rule}" if field else self.rule


class InvalidOrderError(Exception):
    """The body is not an order; the message can be logged."""

    def __init__(self, *faults: Fault) -> None:
        # A caller may send thousands of unknown fields: each text is logged once.
        super().__init__("; ".join(dict.fromkeys(fault.loggable for fault in faults)))
        self.faults = faults


class _DuplicateKeyError(ValueError):
    """A JSON object names a key twice: the error's argument."""


def parse_order(body: str, new_order_id: str) -> OrderPlaced:
    """Read an order.

    Args:
        body: the text the caller sent.
        new_order_id: the id of an order that names none.

    Raises:
        InvalidOrderError: with all the faults of the body.
    """
    fields = _parse_object(body)
    fields.setdefault("order_id", new_order_id)
    order = _fields(OrderPlaced)
    faults = _faults(fields, order, prefix="")
    if isinstance(fields.get("items"), list):
        faults += _line_faults(fields["items"])
    if faults:
        raise InvalidOrderError(*faults)
    for name, kind in order.types.items():
        if kind is Amount and name in fields:
            fields[name] = _normalize(Decimal(fields[name]))
    return msgspec.convert(fields, OrderPlaced)


def _parse_object(body: str) -> dict[str, Any]:
    if len(body) > MAX_BODY_CHARACTERS:
        raise InvalidOrderError(
            Fault("", f"must be at most {MAX_BODY_CHARACTERS} characters", str(len(body)))
        )
    try:
        value = json.loads(
            body,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_without_duplicates,
        )
    except _DuplicateKeyError as error:
        (name,) = error.args
        is_known = name in _fields(OrderPlaced).types or name in _fields(OrderLine).types
        raise InvalidOrderError(
            Fault(_clip(name), "must be named only once", is_known=is_known)
        ) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidOrderError(Fault("", f"must be JSON: {error}")) from error
    if not isinstance(value, dict):
        raise InvalidOrderError(Fault("", "must be a JSON object", _excerpt(value)))
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return fields


def _faults(value: dict[str, Any], fields: _Fields, *, prefix: str) -> list[Fault]:
    """The faults of one object: what is missing, what is unknown, what does not fit."""
    faults = [
        Fault(prefix + name, f"is required: {_rule(fields.types[name])}")
        for name in fields.required
        if name not in value
    ]
    for name, field in value.items():
        if name not in fields.types:
            rule = f"is not a known field; known: {', '.join(fields.types)}"
            faults.append(Fault(prefix + _clip(name), rule, is_known=False))
        elif not _fits(field, fields.types[name]):
            rule = f"must be {_rule(fields.types[name])}"
            faults.append(Fault(prefix + name, rule, _excerpt(field)))
    return faults


def _line_faults(lines: list[Any]) -> list[Fault]:
    faults = []
    seen: dict[str, int] = {}
    for index, line in enumerate(lines[:MAX_LINES]):
        where = f"items[{index}]"
        if not isinstance(line, dict):
            faults.append(Fault(where, "must be an object {sku, quantity}", _excerpt(line)))
            continue
        faults += _faults(line, _fields(OrderLine), prefix=f"{where}.")
        sku = line.get("sku")
        if isinstance(sku, str) and seen.setdefault(sku, index) != index:
            faults.append(Fault(f"{where}.sku", f"must not repeat items[{seen[sku]}].sku"))
    return faults


def _fits(value: Any, kind: Any) -> bool:  # noqa: ANN401 - any JSON value, any type of the contract
    if kind is Amount:
        return _is_amount(value)
    if kind is OrderLines:
        return isinstance(value, list) and 1 <= len(value) <= MAX_LINES
    if kind is Currency:
        return isinstance(value, str) and value in CURRENCIES
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeError):  # the latter for a lone surrogate
        return False
    return True


def _is_amount(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    try:
        check_amount(Decimal(value))
    except ValueError:
        return False
    return True


def _normalize(amount: Decimal) -> Decimal:
    """Write an amount without an exponent or a negative zero: 1E+2 is 100, 1.50 stays 1.50."""
    digits = 0 if amount == amount.to_integral_value() else 2
    return abs(round(amount, digits))


def _rule(kind: Any) -> str:  # noqa: ANN401 - a type of the contract
    """What a field must be, in the contract's own words."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    plain = getattr(kind, "__origin__", kind)
    return f"of type {getattr(plain, '__name__', plain)}"


def _excerpt(value: object) -> str:
    """A value as the caller wrote it, cut short and safe to print."""
    if isinstance(value, Decimal):
        return _clip(str(value))
    return _clip(json.dumps(value, default=str))


def _clip(text: str) -> str:
    printable = text.encode("ascii", "backslashreplace").decode()
    return (
        printable
        if len(printable) <= _EXCERPT_CHARACTERS
        else printable[:_EXCERPT_CHARACTERS] + "…"
    )
