"""What to do about an order that has not ended, and about a parked message: plain functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import UNSET

from orders.events import (
    MAX_REASON,
    Detail,
    OrderCancelled,
    OrderCancelRequested,
    fit,
    is_time,
)
from orders.order import Order, Repeats

LATE: Final = "not settled in time"
"""Why an order is cancelled at its deadline."""
MAX_REDRIVES: Final = 24
"""How often a parked message is sent back: over some two hours. Then it waits for a person."""
LONGEST_SEARCH: Final = timedelta(days=1)
"""How far back a log is searched for the reason why a message was parked."""
NEEDS_PERSON: Final = ("AccessDenied", "ResourceNotFound", "EntryTooLarge", "cannot be read")
"""What is in a reason that does not pass by itself: a permission or a table was taken away, an
event is too large, a record is damaged."""
_LONGEST_PAUSE: Final = 4
"""How often the pause between two repeats of an order doubles."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_FIRST_DELAY_SECONDS: Final = 15
_LONGEST_DELAY_SECONDS: Final = 240
"""Less than the age at which a queue's alarm rings."""


class Settings(msgspec.Struct, frozen=True):
    """When something is done about an order."""

    repeat_after: timedelta
    """How long an order has not been heard of before something is published again."""
    deadline: timedelta
    """How old an order gets that has not ended, before it is cancelled."""


class Parked(msgspec.Struct, frozen=True):
    """A message in a dead-letter queue."""

    id: str
    receipt_handle: str
    body: str
    sent_at: datetime
    """When it was sent to the queue whose consumer failed on it."""
    redrives: int
    """How often it was sent back before."""
    order_id: str | None
    """The order it is about; None if no code can read it."""


class Failure(msgspec.Struct, frozen=True):
    """What a consumer has logged of an order."""

    at: datetime
    reason: str


def is_due(order: Order, repeats: Repeats, now: datetime, settings: Settings) -> bool:
    """Whether an order has not been heard of for long; the pauses between repeats double."""
    heard_of = [order.placed_at, *(step.at for step in order.history), repeats.repeated_at]
    last = max((_moment(at) for at in heard_of if at), default=_LONG_AGO)
    pause = settings.repeat_after * (1 << min(repeats.repeats, _LONGEST_PAUSE))
    return now >= last + pause


def next_event(order: Order, now: datetime, settings: Settings) -> Detail | None:
    """What is to be published again so that an unfinished order goes on.

    Everybody who has done their part of it already says so again, and does nothing else.

    Returns:
        None when nothing helps: the order is finished, or what was ordered is not on record.
    """
    if order.is_finished:
        return None
    if order.status == "cancelled":
        placed_at = order.placed_at if is_time(order.placed_at) else UNSET
        return OrderCancelled(
            order_id=order.order_id,
            reason=fit(order.reason or "", MAX_REASON),
            placed_at=placed_at,
            version=order.status_version,
        )
    if now >= _moment(order.placed_at) + settings.deadline:
        return OrderCancelRequested(order_id=order.order_id, reason=LATE)
    return order.ordered


def redrive_delay(message: Parked, failure: Failure | None, now: datetime) -> int | None:
    """When a parked message is to be processed again, in seconds; None if it needs a person.

    Args:
        message: in a dead-letter queue.
        failure: what its consumer has logged last of its order, if anything. If that was nothing
            since the message was sent, it was killed, timed out or was throttled, which passes.
        now: the time.
    """
    if message.order_id is None or message.redrives >= MAX_REDRIVES:
        return None
    if now - message.sent_at > LONGEST_SEARCH:
        return None  # what was logged of it then is not searched
    if failure and failure.at >= message.sent_at and _needs_person(failure.reason):
        return None
    if not message.redrives:
        return 0
    doublings = min(message.redrives - 1, MAX_REDRIVES)
    return min(_FIRST_DELAY_SECONDS << doublings, _LONGEST_DELAY_SECONDS)


def _needs_person(reason: str) -> bool:
    return any(mark in reason for mark in NEEDS_PERSON)


def _moment(at: str) -> datetime:
    """A time of the table; long ago if nobody can read it, as in a record of before."""
    return datetime.fromisoformat(at) if is_time(at) else _LONG_AGO
