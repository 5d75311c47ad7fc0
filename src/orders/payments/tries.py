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

    def are_failing(self) -> bool:
        """Whether most of the last tries have failed."""
        since = self.now() - self.pause
        while self._tries and self._tries[0][0] <= since:
            self._tries.popleft()
        return len(self._tries) == self.least and self._failed() >= self.failed_share * self.least

    def take_notice(self) -> PaymentsFailing | None:
        """The notice that is to be given now: most tries fail, and none was given for a pause."""
        now = self.now()
        if not self.are_failing() or (self._noticed_at and now < self._noticed_at + self.pause):
            return None
        self._noticed_at = now
        return PaymentsFailing(tries=self.least, failed=self._failed())

    def _failed(self) -> int:
        return sum(failed for _, failed in self._tries)
