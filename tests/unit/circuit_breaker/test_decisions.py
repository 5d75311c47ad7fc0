"""When a circuit opens, is tested and closes, and what an operator has to say in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from orders.circuit_breaker.decisions import (
    LONGEST_RUN,
    Circuit,
    Trial,
    being_tested,
    is_due,
    is_news,
    is_settled,
    is_to_be_on,
    judged,
    opened,
)
from orders.events import Alert, PaymentsFailing

NOW = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)
PAUSE = timedelta(seconds=60)
CLOSED = Circuit(consumer="payments")
ALERT = Alert("2026-08-18T09:29:59Z", PaymentsFailing(tries=20, failed=18))
OPEN = opened(CLOSED, ALERT, NOW, PAUSE)
PASSED, FAILED = Trial(tried=5, failed=2), Trial(tried=5, failed=3)


def test_an_alert_opens_a_closed_circuit() -> None:
    assert is_news(CLOSED, ALERT, NOW)
    assert (OPEN.state, OPEN.since) == ("open", NOW)
    assert OPEN.reason == "18 of the last 20 tries of the card processor failed"
    assert is_to_be_on(OPEN) is False


@pytest.mark.parametrize(
    "circuit",
    [
        OPEN,
        being_tested(OPEN, NOW, PAUSE),
        replace(CLOSED, on_hold=NOW),
        replace(CLOSED, since=NOW),  # it has closed since
    ],
)
def test_an_alert_that_is_known_held_or_over_is_no_news(circuit: Circuit) -> None:
    assert not is_news(circuit, ALERT, NOW)


def test_an_old_alert_is_no_news() -> None:
    assert not is_news(CLOSED, ALERT, NOW + timedelta(minutes=1))


def test_a_few_orders_try_after_a_pause_and_nobody_else_does_meanwhile() -> None:
    assert not is_due(OPEN, NOW)
    assert is_due(OPEN, NOW + PAUSE)
    claimed = being_tested(OPEN, NOW + PAUSE, timedelta(seconds=120))
    assert not is_due(claimed, NOW + 2 * PAUSE)
    assert is_due(claimed, NOW + 3 * PAUSE), "that run has died"
    assert not is_due(CLOSED, NOW)


def test_nothing_is_tried_or_resumed_on_hold() -> None:
    held = replace(OPEN, on_hold=NOW)
    assert not is_due(held, NOW + PAUSE)
    assert is_to_be_on(held) is False
    closed = replace(judged(OPEN, PASSED, NOW, PAUSE), on_hold=NOW)
    assert is_to_be_on(closed) is False


def test_it_closes_when_most_succeed() -> None:
    closed = judged(being_tested(OPEN, NOW, PAUSE), PASSED, NOW, PAUSE)
    assert closed.is_closed
    assert (closed.reason, closed.test_at, closed.since) == (None, None, NOW)
    assert is_to_be_on(closed) is True


def test_it_stays_open_for_another_pause_when_most_fail() -> None:
    still = judged(being_tested(OPEN, NOW, PAUSE), FAILED, NOW, PAUSE)
    assert (still.state, still.since, still.reason) == ("open", OPEN.since, OPEN.reason)
    assert not is_due(still, NOW)
    assert is_due(still, NOW + PAUSE)


@pytest.mark.parametrize(("waiting", "passed"), [(0, True), (3, False)])
def test_it_closes_without_a_try_only_when_the_queue_is_empty(waiting: int, passed: bool) -> None:
    assert Trial(0, 0, waiting).passed == passed


def test_what_the_breaker_has_not_switched_it_leaves_alone() -> None:
    assert is_to_be_on(CLOSED) is None
    closed = judged(OPEN, PASSED, NOW, PAUSE)
    assert not is_settled(closed, NOW + LONGEST_RUN)
    assert is_settled(closed, NOW + LONGEST_RUN + timedelta(seconds=1))
    assert not is_settled(OPEN, NOW + timedelta(days=1))


def test_at_first_a_circuit_is_new_and_a_trial_has_left_nothing() -> None:
    assert CLOSED.version == 0
    assert Trial(tried=0, failed=0).passed
    assert not Trial(tried=0, failed=0, waiting=1).passed
    assert not Trial(tried=2, failed=1).passed, "half of them is not most"


@pytest.mark.parametrize(
    ("closed_at", "said_at", "news"),
    [
        pytest.param(NOW, "2026-08-18T09:30:00Z", True, id="in the same second"),
        pytest.param(NOW.replace(microsecond=5), "2026-08-18T09:30:00Z", True, id="just before"),
        pytest.param(NOW, "2026-08-18T09:29:59Z", False, id="before"),
        pytest.param(NOW - timedelta(hours=1), "2026-08-18T09:29:59Z", True, id="long after"),
        pytest.param(None, "2026-08-18T09:29:30Z", False, id="a minute ago"),
    ],
)
def test_an_alert_is_news_from_the_second_on_in_which_the_circuit_closed(
    closed_at: datetime | None, said_at: str, news: bool
) -> None:
    alert = replace(ALERT, time=said_at)
    now = NOW + timedelta(seconds=30)
    assert is_news(replace(CLOSED, since=closed_at), alert, now) is news


def test_an_open_circuit_without_a_time_is_due() -> None:
    assert is_due(replace(OPEN, test_at=None), NOW)


def test_what_nobody_switches_is_not_settled_again() -> None:
    assert not is_settled(replace(CLOSED, switched_at=None), NOW)
