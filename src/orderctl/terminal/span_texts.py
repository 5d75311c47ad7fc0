"""The spans of an order's time in words, for the terminal and the console alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from orderctl.pipeline.spans import Kind, Span

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE

_MILLISECONDS_BELOW: Final = 0.9995
_TENTHS_BELOW: Final = 0.01
_TITLES: Final = {
    Kind.BUS: "{event}on the bus",
    Kind.QUEUE: "{event}waits to be received",
    Kind.START: "cold start",
    Kind.WORK: "{event}attempt{number}",
    Kind.RETRY: "waits for the next attempt",
    Kind.PARKED: "{event}parked in the dead-letter queue",
    Kind.UNSPLIT: "{event}waits, then attempt{number}",
}

UNKNOWN: Final = "not known"
KINDS: Final = tuple(_TITLES)
"""In the order in which an order meets them."""


def title(span: Span) -> str:
    """What an order does during a span, such as `order.placed waits to be received`."""
    if span.kind is Kind.WORK and span.number is None:
        return span.event or "at work"
    event = f"{span.event} " if span.event else ""
    number = f" {span.number}" if span.number else ""
    return _TITLES[span.kind].format(event=event, number=number)


def kind(of: Kind) -> str:
    """What an order does during every span of a kind, such as `waits to be received`."""
    return _TITLES[of].format(event="", number="")


def outcome(span: Span) -> str:
    """What came of the attempt of a span; empty for a span without one."""
    attempt = span.attempt
    if attempt is None:
        return ""
    said = "; ".join(attempt.says)
    if attempt.failed:
        return said if "failed" in said else f"failed: {said}".removesuffix(": ")
    if attempt.ended_at is None:
        return "at work"
    return said or "done"


def beside(span: Span) -> str:
    """What else is to be known of the attempt of a span, such as that it was one of a batch."""
    attempt = span.attempt
    if attempt is None or attempt.messages == 1:
        return ""
    of_others = f", {attempt.other_calls} more calls for the others" if attempt.other_calls else ""
    return f"in a batch of {attempt.messages} messages{of_others}"


def length(span: Span) -> str:
    """How long a span is; `goes on` for one without an end."""
    if span.ends_at is None:
        return "goes on"
    if span.begins_at is None:
        return UNKNOWN
    return precise(span.ends_at - span.begins_at)


def precise(of: timedelta) -> str:
    """A length of time, the more exactly the shorter it is: 1.2 ms, 1.42 s, 2:05 min or 3:10 h."""
    seconds = max(of.total_seconds(), 0.0)
    if 0 < seconds < _TENTHS_BELOW:
        return f"{seconds * 1000:.1f} ms"
    if seconds < _MILLISECONDS_BELOW:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.2f} s"
    unit, name = (_MINUTE, "min") if seconds < _HOUR else (_HOUR, "h")
    return f"{seconds // unit:.0f}:{seconds % unit * _MINUTE // unit:02.0f} {name}"
