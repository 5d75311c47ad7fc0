"""Parses times as an operator types them, and formats times as the logs do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from orderctl.pipeline import reading

_AGO = re.compile(r"-?(\d{1,9})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str, now: datetime) -> datetime:
    """Parse a time: ISO 8601 (UTC unless it has an offset), or how long ago.

    Args:
        text: such as `2026-11-24T03:00:00Z`, `10m`, `-2h` or `now`.
        now: the present time.

    Raises:
        ValueError: it is not a time, or is out of range.
    """
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        length = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if length > now - reading.FIRST:
            raise ValueError(f"{text!r} is too long ago: give a time after 1970")
        return now - length
    moment = reading.parse_time(text)
    if moment is None:
        raise ValueError(
            f"{text!r} is not a time: write how long ago, such as 10m, 2h or 3d, or an "
            "ISO 8601 time, "
            f"such as {now:%Y-%m-%dT%H:%M:%SZ}"
        )
    return moment


def format_time(moment: datetime) -> str:
    """A time as the tables and the logs write it: in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
