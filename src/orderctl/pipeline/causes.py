"""The order in which things happened to an order, whatever the clocks say that noted them.

An event is noted with the time of the function that published it, and functions have clocks of
their own. But some things follow from others: an order is placed before anything else happens to
it, a decision comes after what settled it, and what was taken is given back after the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orderctl.pipeline import reading
from orders.events import (
    InventoryReleased,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    PaymentCharged,
    PaymentRefunded,
)

_DECISIONS = frozenset({OrderConfirmed.detail_type, OrderCancelled.detail_type})
_CAUSES = {
    PaymentRefunded.detail_type: _DECISIONS | {PaymentCharged.detail_type},
    InventoryReleased.detail_type: _DECISIONS | {InventoryReserved.detail_type},
}
"""What a step follows from, if that was noted before it. All follow from the first."""


def place(at: datetime | None) -> datetime:
    """The key to sort by: a time in whole seconds counts as the end of that second.

    What has no time comes first.
    """
    if at is None:
        return reading.FIRST
    return at.replace(microsecond=999_999) if at.microsecond == 0 else at


def places(history: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """The keys of the steps of an order's history, so that none comes before what it follows from.

    A decision follows from all that was noted before it.
    """
    found: list[datetime] = []
    kinds = [reading.to_text(step.get("type")) for step in history]
    for step, kind in zip(history, kinds, strict=True):
        causes = _CAUSES.get(kind, frozenset())
        before = [
            key
            for number, key in enumerate(found)
            if number == 0 or kind in _DECISIONS or kinds[number] in causes
        ]
        found.append(max([place(reading.parse_time(step.get("at"))), *before]))
    return found


def in_order(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps of an order's history, sorted so."""
    keyed = zip(places(history), history, strict=True)
    return [step for _, step in sorted(keyed, key=lambda each: each[0])]
