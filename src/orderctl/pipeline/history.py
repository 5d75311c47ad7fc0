"""Reads a feed of events, and finds what does not hold of its orders. The rules are `orders.audit`.

A feed has an event a line, as a target of the bus gets it: what a queue or a log group behind a
rule has received, or an exported archive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orders.audit.history import Finding, audit_history, histories
from orders.events import Event, UnreadableEventError, decode_event


class FeedError(Exception):
    """A line is no event of the pipeline; the message says which, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a feed."""

    findings: tuple[Finding, ...]
    """By order id."""
    events: int
    orders: int
    began_before: int
    """Orders that began before the feed: only what their events contradict is judged."""


def audit_feed(lines: Iterable[str]) -> Report:
    """Check every order of a feed.

    Args:
        lines: each an event as JSON; empty ones are left out.

    Raises:
        FeedError: a line is no event.
    """
    events = [_event(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    found = histories(events)
    until = max((datetime.fromisoformat(event.time) for event in events), default=datetime.min)
    return Report(
        findings=tuple(finding for history in found for finding in audit_history(history, until)),
        events=len(events),
        orders=len(found),
        began_before=sum(not history.is_whole for history in found),
    )


def _event(number: int, line: str) -> Event[Any]:
    try:
        return decode_event(line)
    except UnreadableEventError as error:
        raise FeedError(f"line {number}: {error}") from None
