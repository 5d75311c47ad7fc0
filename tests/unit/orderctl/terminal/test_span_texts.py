"""What is said of a span, in the terminal and in the console."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orderctl.pipeline.attempts import Attempt
from orderctl.pipeline.spans import Kind, Span
from orderctl.terminal import span_texts

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ATTEMPT = Attempt(step="payments", began_at=NOW, ended_at=NOW + timedelta(seconds=2))
SPAN = Span("payments", Kind.WORK, "order.placed", NOW, NOW + timedelta(seconds=2), ATTEMPT, 2)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.BUS, "order.placed on the bus"),
        (Kind.QUEUE, "order.placed waits to be received"),
        (Kind.START, "cold start"),
        (Kind.WORK, "order.placed attempt 2"),
        (Kind.RETRY, "waits for the next attempt"),
        (Kind.PARKED, "order.placed parked in the dead-letter queue"),
        (Kind.UNSPLIT, "order.placed waits, then attempt 2"),
    ],
)
def test_what_an_order_does(kind: Kind, text: str) -> None:
    assert span_texts.title(replace(SPAN, kind=kind)) == text


def test_what_is_not_known_is_left_out() -> None:
    assert span_texts.title(replace(SPAN, event="POST /orders", number=None)) == "POST /orders"
    assert span_texts.title(replace(SPAN, event="", number=None)) == "at work"
    assert span_texts.length(replace(SPAN, begins_at=None)) == "not known"
    assert span_texts.length(replace(SPAN, ends_at=None)) == "goes on"
    assert span_texts.length(SPAN) == "2.00 s"


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (replace(ATTEMPT, says=("charged",)), "charged"),
        (ATTEMPT, "done"),
        (replace(ATTEMPT, ended_at=None), "at work"),
        (replace(ATTEMPT, failed=True), "failed"),
        (replace(ATTEMPT, failed=True, says=("charge failed: no",)), "charge failed: no"),
        (replace(ATTEMPT, failed=True, says=("not recorded",)), "failed: not recorded"),
        (None, ""),
    ],
)
def test_what_came_of_it(attempt: Attempt | None, text: str) -> None:
    assert span_texts.outcome(replace(SPAN, attempt=attempt)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (-1, "0 ms"),
        (0.0012, "1.2 ms"),
        (0.0124, "12 ms"),
        (0.99951, "1.00 s"),
        (125, "2:05 min"),
        (11400, "3:10 h"),
    ],
)
def test_the_shorter_the_more_exactly(seconds: float, text: str) -> None:
    assert span_texts.precise(timedelta(seconds=seconds)) == text
