"""When it is said that most charges fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orders.events import PaymentsFailing
from orders.payments.tries import Tries

MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tries(clock: Clock) -> Tries:
    return Tries(least=10, failed_share=0.8, pause=MINUTE, now=clock)


def note(tries: Tries, failed: int, succeeded: int = 0) -> None:
    for outcome in [True] * failed + [False] * succeeded:
        tries.note(failed=outcome)


def test_it_is_said_when_the_share_has_failed(tries: Tries) -> None:
    note(tries, failed=8, succeeded=1)
    assert tries.take_notice() is None, "these are too few to judge"
    note(tries, failed=0, succeeded=1)
    assert tries.take_notice() == PaymentsFailing(tries=10, failed=8)
    assert tries.are_failing()


def test_fewer_failures_are_nothing(tries: Tries) -> None:
    note(tries, failed=7, succeeded=3)
    assert tries.take_notice() is None
    assert not tries.are_failing()


def test_only_the_last_tries_count(tries: Tries) -> None:
    note(tries, failed=50, succeeded=3)
    assert tries.take_notice() is None


def test_a_try_is_forgotten_after_a_pause(tries: Tries, clock: Clock) -> None:
    note(tries, failed=10)
    clock.time += MINUTE
    assert tries.take_notice() is None
    assert not tries.are_failing()


def test_it_is_said_once_a_pause(tries: Tries, clock: Clock) -> None:
    note(tries, failed=10)
    assert tries.take_notice()
    clock.time += MINUTE / 2
    note(tries, failed=10)
    assert tries.take_notice() is None
    assert tries.are_failing()
    clock.time += MINUTE / 2
    assert tries.take_notice()
