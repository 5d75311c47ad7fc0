"""A replay of many events is cut into pieces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from orderctl.pipeline.replay import Estimate, slices

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
END = START + timedelta(minutes=30)


def over_time(*counts: int) -> Estimate:
    """So many events in each minute."""
    minutes = [(START + timedelta(minutes=n), count) for n, count in enumerate(counts) if count]
    return Estimate({"order-placed": sum(counts)}, minutes)


def test_few_events_are_replayed_at_once() -> None:
    assert slices(over_time(), START, END, 50) == [(START, END, 0)]
    assert slices(over_time(100, 0, 200), START, END, 1) == [(START, END, 300)]


def test_pieces_cover_the_time_and_none_has_too_many() -> None:
    pieces = slices(over_time(*[200] * 30), START, END, 2)
    assert pieces[0][0] == START
    assert pieces[-1][1] == END
    assert all(before[1] == after[0] for before, after in pairwise(pieces))
    assert [events for *_, events in pieces] == [600] * 10


def test_what_came_in_one_minute_is_not_divided() -> None:
    assert [events for *_, events in slices(over_time(1, 5000, 1), START, END, 1)] == [1, 5000, 1]


def test_an_estimate_counts_deliveries() -> None:
    estimate = Estimate({"order-placed": 300, "order-outcomes": 600}, [])
    assert estimate.events == 900
    assert estimate.lasts(10) == timedelta(seconds=90)
