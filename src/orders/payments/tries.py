"""How the last tries of the card processor went, as one execution environment remembers them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orders.events import PaymentsFailing


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Tries:
    """Says so when most of the last tries have failed.

    It stays in memory, so that a try costs no call. Each environment sees its own share of the
    tries, and in an outage that is enough for all of them.
    """

    least: int
    """How many tries it takes to judge; more are not remembered."""
    failed_share: float
    """From which share of failed tries on it is said, 0 to 1."""
    pause: timedelta
    """How long a try is remembered, and how long after a notice none is given."""
    now: Callable[[], datetime] = _now
    _tries: deque[tuple[datetime, bool]] = field(default_factory=deque)
    """When each was, and whether it failed."""
    _noticed_at: datetime | None = None

    def note(self, *, failed: bool) -> None:
        """Remember a try that got an answer, or failed."""
        self._tries.append((self.now(), failed))
        if len(self._tries) > self.least:
            self._tries.popleft()

    def take_notice(self) -> PaymentsFailing | None:
        """The notice that is to be given now, if any."""
        now = self.now()
        while self._tries and self._tries[0][0] <= now - self.pause:
            self._tries.popleft()
        if len(self._tries) < self.least:
            return None
        failed = sum(failed for _, failed in self._tries)
        noticed = self._noticed_at is not None and now < self._noticed_at + self.pause
        if failed < self.failed_share * self.least or noticed:
            return None
        self._noticed_at = now
        return PaymentsFailing(tries=self.least, failed=failed)
