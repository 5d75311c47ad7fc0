"""When a circuit opens, is tested and closes: plain functions over plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from orders.clock import timestamp
from orders.events import Alert, is_time

_NEWS: Final = timedelta(minutes=1)
"""How old an alert may be. While it is so, it is said again."""
LONGEST_RUN: Final = timedelta(minutes=2)
"""The function's timeout. Longer ago than that, no call of a run is on its way any more."""


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a consumer may take messages."""

    consumer: str
    state: Literal["closed", "open", "half-open"] = "closed"
    """Open: it is paused. Half-open: it is paused, and a few orders try."""
    since: str = ""
    """Since when it is closed, or is not."""
    reason: str | None = None
    """Why it was opened."""
    test_at: str | None = None
    """When a few orders try again, unless it is closed."""
    on_hold: str | None = None
    """Since when an operator keeps the consumer paused. Then nothing is switched on or tried."""
    switched_at: str | None = None
    """When it was opened or closed last; None when nobody switches the consumer any more."""
    told: Literal["closed", "open"] = "closed"
    """What was published last."""
    version: int = 0
    """How often the record was written."""

    @property
    def is_closed(self) -> bool:
        """Whether the consumer may take messages, unless it is on hold."""
        return self.state == "closed"


@dataclass(frozen=True, slots=True)
class Trial:
    """How the few orders did that tried."""

    tried: int
    failed: int

    @property
    def passed(self) -> bool:
        """Whether most succeeded; also when nothing waits, as then nothing can fail either."""
        return not self.tried or 2 * self.failed < self.tried


def is_news(circuit: Circuit, alert: Alert, now: datetime) -> bool:
    """Whether an alert tells of something that is still so, and that nobody acts on yet.

    EventBridge delivers late and twice: what was said before the circuit closed is over.
    """
    if not circuit.is_closed or circuit.on_hold:
        return False
    said_at = datetime.fromisoformat(alert.time)
    # An envelope's time is in whole seconds.
    return said_at > now - _NEWS and said_at >= _moment(circuit.since).replace(microsecond=0)


def opened(circuit: Circuit, alert: Alert, now: datetime, pause: timedelta) -> Circuit:
    """The circuit as it is to be when most tries fail."""
    tries = alert.detail
    return replace(
        circuit,
        state="open",
        since=timestamp(now),
        reason=f"{tries.failed} of the last {tries.tries} tries of the card processor failed",
        test_at=timestamp(now + pause),
        switched_at=timestamp(now),
    )


def is_due(circuit: Circuit, now: datetime) -> bool:
    """Whether a few orders are to try now."""
    return not circuit.is_closed and not circuit.on_hold and now >= _moment(circuit.test_at or "")


def being_tested(circuit: Circuit, now: datetime, longest: timedelta) -> Circuit:
    """The circuit while a few orders try.

    Args:
        circuit: one that is due.
        now: the time.
        longest: how long that can take. Then another run does it again: this one has died.
    """
    return replace(circuit, state="half-open", test_at=timestamp(now + longest))


def tested(circuit: Circuit, trial: Trial, now: datetime, pause: timedelta) -> Circuit:
    """The circuit after a few orders have tried."""
    if not trial.passed:
        return replace(circuit, state="open", test_at=timestamp(now + pause))
    at = timestamp(now)
    return replace(circuit, state="closed", since=at, reason=None, test_at=None, switched_at=at)


def is_to_be_on(circuit: Circuit) -> bool | None:
    """Whether the consumer has to take messages; None if that is not for the breaker to say.

    Only what the breaker has switched off itself does it switch on. While it may still have a call
    on its way it looks after the consumer, and then leaves it alone.
    """
    if circuit.switched_at is None:
        return None
    return circuit.is_closed and not circuit.on_hold


def is_settled(circuit: Circuit, now: datetime) -> bool:
    """Whether a closed circuit can leave its consumer alone, which is as it has to be."""
    return circuit.is_closed and now > _moment(circuit.switched_at or "") + LONGEST_RUN


def _moment(at: str) -> datetime:
    """A time of the table; long ago if there is none."""
    return datetime.fromisoformat(at if is_time(at) else "2000-01-01T00:00:00Z")
