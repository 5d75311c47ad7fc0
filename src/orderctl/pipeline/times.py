"""Points in time as an operator types them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from orderctl.pipeline import reading

_AGO = re.compile(r"-?(\d{1,9})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str, now: datetime) -> datetime:
    """A point in time, from ISO 8601 (UTC unless it says otherwise) or as so long ago.

    Args:
        text: such as `2026-11-24T03:00:00Z`, `10m`, `-2h` or `now`.
        now: what `ago` counts from.

    Raises:
        ValueError: it is neither.
    """
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        length = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if length > now - reading.FIRST:
            raise ValueError(f"{text!r} is before all time that counts: name one after 1970")
        return now - length
    moment = reading.parse_time(text)
    if moment is None:
        raise ValueError(
            f"{text!r} is no time: write 10m, 2h or 3d for so long ago, or ISO 8601 such as "
            f"{now:%Y-%m-%dT%H:%M:%SZ}"
        )
    return moment


def format_time(moment: datetime) -> str:
    """A point in time as the tables and the logs write it: UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
