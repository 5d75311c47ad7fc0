"""Reads what others have written: JSON, times and numbers, of which nothing is certain.

Producers of events, readers of queues and functions write what they like. What is not what it
ought to be is told apart here, so that it can be shown as unreadable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

UNREADABLE = "unreadable"
"""What stands in the place of a value that cannot be read."""

# An hour or an offset from UTC can be added or taken, and CloudWatch Logs counts from 1970.
FIRST = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=2)
LAST = datetime(9999, 12, 31, tzinfo=UTC) - timedelta(days=2)
_DEEPEST = 100
_LONGEST = 1000
_MOST_DIGITS = 130


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text, which can be written as JSON again.

    Raises:
        ValueError: it is not JSON, or nested too deeply, or has a number that is none.
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
        raise ValueError(f"{text} is no number")
    return number


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """The fields of a JSON object; none when the text is not one."""
    try:
        value = parse_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def parse_time(value: object) -> datetime | None:
    """A point in time from ISO 8601, in UTC also where it does not say so.

    None when it is no time, or one that cannot be counted with: before 1970, or at the end of 9999.
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
    """A point in time from milliseconds since 1970; the nearest that can be counted with."""
    first, last = (round(bound.timestamp() * 1000) for bound in (FIRST, LAST))
    return datetime.fromtimestamp(min(max(value, first), last) / 1000, UTC)


def whole_number(value: object) -> int | None:
    """A whole number from one of DynamoDB; None when it is none."""
    if not isinstance(value, Decimal | str | int):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    # The largest of DynamoDB is below 1E126; 1E999999999 would take a gigabyte.
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        return None
    return int(number) if number == int(number) else None


def maps(value: object) -> list[Mapping[str, Any]]:
    """A list of maps from one of DynamoDB or JSON; what is none is left out."""
    entries = value if isinstance(value, list | tuple) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def to_text(value: object) -> str:
    """Any value as a text: as it is, if it is one, and cut where it gets too long."""
    try:
        text = value if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # too many digits, too deep
        return UNREADABLE
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
