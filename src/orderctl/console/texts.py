"""How the console writes numbers, lengths of time and times."""

from __future__ import annotations

from datetime import datetime, timedelta

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_ONE_DECIMAL_BELOW = 10


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"


def short(length: timedelta) -> str:
    """A length of time in its largest unit, such as 14 s, 3 min, 2 h or 5 d."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h"
    return f"{seconds // _DAY} d"


def per_minute(number: int, window: timedelta) -> str:
    """A count in a window of time as a rate."""
    if not number:
        return "0"
    rate = number / (window.total_seconds() / _MINUTE)
    return f"{rate:.1f}/min" if rate < _ONE_DECIMAL_BELOW else f"{rate:,.0f}/min"


def clock(moment: datetime) -> str:
    """A time of day in UTC, to the second."""
    return f"{moment:%H:%M:%S}"
