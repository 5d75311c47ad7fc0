"""The time, as the tables and the logs write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the millisecond: ``2026-08-18T09:30:00.123Z``."""
    return timestamp(datetime.now(UTC))


def utc_ago(seconds: float) -> str:
    """The time so long ago, in the same form."""
    return timestamp(datetime.now(UTC) - timedelta(seconds=seconds))


def timestamp(time: datetime) -> str:
    """A UTC time in the same form; such texts sort as the times do."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
