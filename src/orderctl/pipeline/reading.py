"""Parses what others have written: JSON, times and numbers that may be invalid.

Events, messages and log lines can contain anything. The functions here recognize invalid values,
so that these can be shown as unreadable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from orders.events import money

UNREADABLE = "unreadable"
"""Shown in place of a value that cannot be read."""

# Margins, so that an offset from UTC can be added or subtracted; CloudWatch Logs starts in 1970.
FIRST = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=2)
LAST = datetime(9999, 12, 31, tzinfo=UTC) - timedelta(days=2)
_DEEPEST = 100
_LONGEST = 1000
_MOST_DIGITS = 130


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON into a value that can be written as JSON again.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a number that is not finite.
    """
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """The fields of a JSON object; empty when the text is not one."""
    try:
        value = parse_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def parse_time(value: object) -> datetime | None:
    """Parse an ISO 8601 time, as UTC unless it has an offset.

    None when it is not a time, or is out of range: before 1970, or at the end of 9999.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if FIRST <= moment <= LAST else None


def from_milliseconds(value: int) -> datetime:
    """A time from milliseconds since 1970; the nearest one in range."""
    first, last = (round(bound.timestamp() * 1000) for bound in (FIRST, LAST))
    return datetime.fromtimestamp(min(max(value, first), last) / 1000, UTC)


def whole_number(value: object) -> int | None:
    """A whole number from a number of DynamoDB; None when it is not whole."""
    if not isinstance(value, Decimal | str | int):
        return None
    try:
        # A float is what the API's JSON says: the shortest text is the amount.
        number = Decimal(str(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    # DynamoDB's largest number is below 1E126; 1E999999999 would take a gigabyte.
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        return None
    return int(number) if number == int(number) else None


def maps(value: object) -> list[Mapping[str, Any]]:
    """The maps in a list from DynamoDB or JSON; other values are left out."""
    entries = value if isinstance(value, list | tuple) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def to_text(value: object) -> str:
    """Any value as text, cut off when it is too long."""
    try:
        text = value if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # too many digits, too deep
        return UNREADABLE
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def amount(record: Mapping[str, Any]) -> str:
    """A record's amount with its currency, such as `12.50 USD`; empty when it has none."""
    value = record.get("amount", "")
    if value == "":
        return ""
    try:
        # A float is what the API's JSON says: the shortest text is the amount.
        number = Decimal(str(value) if isinstance(value, float) else value)
    except (TypeError, ValueError, ArithmeticError):
        return f"amount {UNREADABLE}"
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        return f"amount {UNREADABLE}"
    return money(number, to_text(record.get("currency", ""))).rstrip()
