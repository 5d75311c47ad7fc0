"""Reads the body of ``POST /orders``: an order, or every fault in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, get_args

import msgspec

from orders.events import (
    CURRENCIES,
    MAX_LINES,
    Amount,
    Currency,
    CustomerId,
    OrderId,
    OrderLines,
    OrderPlaced,
    Quantity,
    Sku,
    check_amount,
)

MAX_BODY_CHARACTERS: Final = 65_536
_SHOWN_CHARACTERS: Final = 40

_ORDER_FIELDS: Final[dict[str, Any]] = {
    "order_id": OrderId,
    "amount": Amount,
    "currency": Currency,
    "customer_id": CustomerId,
    "items": OrderLines,
}
_LINE_FIELDS: Final[dict[str, Any]] = {"sku": Sku, "quantity": Quantity}


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
        # A caller may send thousands of unknown fields: each text stands once.
        super().__init__("; ".join(dict.fromkeys(fault.loggable for fault in faults)))
        self.faults = faults


class _DuplicateKeyError(ValueError):
    """A JSON object names a key twice: its argument."""


def parse_order(body: str, new_order_id: str) -> OrderPlaced:
    """Read an order.

    Args:
        body: the text the caller sent.
        new_order_id: the id of an order that names none.

    Raises:
        InvalidOrderError: with all the faults of the body.
    """
    fields = _parse_object(body)
    faults = _faults(fields, _ORDER_FIELDS, required=("amount",), prefix="")
    if isinstance(fields.get("items"), list):
        faults += _line_faults(fields["items"])
    if faults:
        raise InvalidOrderError(*faults)
    amount = _plain(Decimal(fields["amount"]))
    return msgspec.convert({"order_id": new_order_id, **fields, "amount": amount}, OrderPlaced)


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
        is_known = name in _ORDER_FIELDS or name in _LINE_FIELDS
        raise InvalidOrderError(
            Fault(_clip(name), "must be named only once", is_known=is_known)
        ) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidOrderError(Fault("", f"must be JSON: {error or 'empty'}")) from error
    if not isinstance(value, dict):
        raise InvalidOrderError(Fault("", "must be a JSON object", _shown(value)))
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return fields


def _faults(
    value: dict[str, Any], kinds: dict[str, Any], *, required: tuple[str, ...], prefix: str
) -> list[Fault]:
    """The faults of one object: what is missing, what is unknown, what does not fit."""
    faults = [
        Fault(prefix + name, f"is required: {_rule(kinds[name])}")
        for name in required
        if name not in value
    ]
    for name, field in value.items():
        if name not in kinds:
            rule = f"is not a known field; known: {', '.join(kinds)}"
            faults.append(Fault(prefix + _clip(name), rule, is_known=False))
        elif not _fits(field, kinds[name]):
            faults.append(Fault(prefix + name, f"must be {_rule(kinds[name])}", _shown(field)))
    return faults


def _line_faults(lines: list[Any]) -> list[Fault]:
    faults = []
    seen: dict[str, int] = {}
    for index, line in enumerate(lines[:MAX_LINES]):
        where = f"items[{index}]"
        if not isinstance(line, dict):
            faults.append(Fault(where, "must be an object {sku, quantity}", _shown(line)))
            continue
        faults += _faults(line, _LINE_FIELDS, required=("sku", "quantity"), prefix=f"{where}.")
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


def _plain(amount: Decimal) -> Decimal:
    """The same amount without an exponent or a negative zero: 1E+2 is 100, 1.50 stays 1.50."""
    digits = 0 if amount == amount.to_integral_value() else 2
    return abs(round(amount, digits))


def _rule(kind: Any) -> str:  # noqa: ANN401 - a type of the contract
    """What a field must be, in the contract's own words."""
    description: str = get_args(kind)[1].description
    return description


def _shown(value: object) -> str:
    """A value as the caller wrote it, cut short and safe to print."""
    if isinstance(value, Decimal):
        return _clip(str(value))
    return _clip(json.dumps(value, default=str))


def _clip(text: str) -> str:
    printable = text.encode("ascii", "backslashreplace").decode()
    return printable if len(printable) <= _SHOWN_CHARACTERS else printable[:_SHOWN_CHARACTERS] + "…"
