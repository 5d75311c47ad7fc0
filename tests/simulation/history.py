"""The events of a run, held against the rules of ``orderctl audit --history``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from orders.audit.history import ENDED_AFTER, Finding, Rule, audit_history, histories
from orders.events import ORDERS, ROUTING, Event, decode_event
from simulation.scheduler import BEGINNING
from simulation.witness import Published
from simulation.workload import PUBLISHER

_FROM_OUTSIDE: Final = {
    "order.cancelled": {Rule.ENDED_TWICE},
    "order.placed": {Rule.PLACED_DIFFERENTLY},
}
"""What somebody else's events may lead to, by their detail-type: a cancel is a fact."""


def audit(published: Sequence[Published]) -> Iterator[Finding]:
    """Everything that does not hold of the events, when nothing moves any more."""
    events = [_event(event) for event in published]
    if not events:
        return
    until = max(_time(event) for event in published) + ENDED_AFTER + timedelta(seconds=1)
    from_outside = {
        (event.order_id, rule)
        for event in published
        if event.publisher == PUBLISHER
        for rule in _FROM_OUTSIDE.get(event.detail_type, ())
    }
    for history in histories(events):
        for finding in audit_history(history, until):
            if (finding.order_id, finding.rule) not in from_outside:
                yield finding


def _event(event: Published) -> Event[Any]:
    """An event as a target of the bus gets it."""
    source = next((s for s, name in ROUTING.values() if name == event.detail_type), ORDERS)
    return decode_event(
        json.dumps(
            {
                "source": source,
                "detail-type": event.detail_type,
                "time": _time(event).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "detail": event.detail,
            }
        )
    )


def _time(event: Published) -> datetime:
    return BEGINNING + timedelta(seconds=event.seconds)
