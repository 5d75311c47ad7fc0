"""Times, as the tables and the logs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from orders import clock

NOW = datetime(2026, 8, 18, 9, 30, 0, 123_456, tzinfo=UTC)


class Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return NOW.astimezone(tz)


def test_a_time_is_written_to_the_millisecond_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "datetime", Stopped)
    assert clock.utc_now() == "2026-08-18T09:30:00.123Z"
    assert clock.utc_ago(61.5) == "2026-08-18T09:28:58.623Z"


def test_such_texts_sort_as_the_times_do() -> None:
    times = [NOW + timedelta(milliseconds=17 * 10**number) for number in range(9)]
    texts = [clock.timestamp(time) for time in times]
    assert sorted(texts) == texts
    assert clock.timestamp(datetime(2026, 8, 18, tzinfo=UTC)) == "2026-08-18T00:00:00.000Z"
