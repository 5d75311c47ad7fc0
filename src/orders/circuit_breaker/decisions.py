"""When a circuit opens, is tested and closes: plain functions over plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from orders.events import Alert

_NEWS: Final = timedelta(minutes=1)
"""How old an alert may be. While it is so, it is said again."""
LONGEST_RUN: Final = timedelta(minutes=2)
"""The function's timeout. Longer ago than that, no call of a run is on its way any more."""


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a consumer may take messages."""

    consumer: str
    state: Literal["closed", "open", "half-open"] = "closed"
    """Open: it is paused. Half-open: it is paused, and a few orders try."""
    since: datetime | None = None
    """Since when it is closed, or is not."""
    reason: str | None = None
    """Why it was opened."""
    test_at: datetime | None = None
    """When a few orders try again, unless it is closed."""
    on_hold: datetime | None = None
    """Since when an operator keeps the consumer paused. Then nothing is switched on or tried."""
    switched_at: datetime | None = None
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
    waiting: int = 0
    """If none could be tried: how many are on the queue and come later."""

    @property
    def passed(self) -> bool:
        """Whether most succeeded; also when the queue is empty, as then nothing can fail either."""
        return 2 * self.failed < self.tried if self.tried else not self.waiting


def is_news(circuit: Circuit, alert: Alert, now: datetime) -> bool:
    """Whether an alert tells of something that is still so, and that nobody acts on yet.

    EventBridge delivers late and twice: what was said before the circuit closed is over.
    """
    if not circuit.is_closed or circuit.on_hold:
        return False
    said_at = datetime.fromisoformat(alert.time)
    # An envelope's time is in whole seconds.
    is_over = circuit.since and said_at < circuit.since.replace(microsecond=0)
    return not is_over and said_at > now - _NEWS


def opened(circuit: Circuit, alert: Alert, now: datetime, pause: timedelta) -> Circuit:
    """The circuit as it is to be when most tries fail."""
    tries = alert.detail
    return replace(
        circuit,
        state="open",
        since=now,
        reason=f"{tries.failed} of the last {tries.tries} tries of the card processor failed",
        test_at=now + pause,
        switched_at=now,
    )


def is_due(circuit: Circuit, now: datetime) -> bool:
    """Whether a few orders are to try now."""
    if circuit.is_closed or circuit.on_hold:
        return False
    return circuit.test_at is None or now >= circuit.test_at


def being_tested(circuit: Circuit, now: datetime, longest: timedelta) -> Circuit:
    """The circuit while a few orders try.

    Args:
        circuit: one that is due.
        now: the time.
        longest: how long that can take. Then another run does it again: this one has died.
    """
    return replace(circuit, state="half-open", test_at=now + longest)


def judged(circuit: Circuit, trial: Trial, now: datetime, pause: timedelta) -> Circuit:
    """The circuit after a few orders have tried."""
    if not trial.passed:
        return replace(circuit, state="open", test_at=now + pause)
    return replace(circuit, state="closed", since=now, reason=None, test_at=None, switched_at=now)


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
    at = circuit.switched_at
    return circuit.is_closed and at is not None and now > at + LONGEST_RUN
