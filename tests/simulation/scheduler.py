"""The virtual clock: actions in order of their time, one after the other."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

Action = Callable[[], None]

BEGINNING: Final = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)


_MOST_ACTIONS: Final = 50_000


class NeverQuietError(Exception):
    """There is always something more to be done."""


class Scheduler:
    """Runs what is due; time passes only from one action to the next."""

    def __init__(self, most_actions: int = _MOST_ACTIONS) -> None:
        """Begin.

        Args:
            most_actions: after so many it never comes to an end.
        """
        self._most_actions = most_actions
        self.now = 0.0
        """Seconds since the beginning."""
        self._agenda: list[tuple[float, int, Action]] = []
        self._added = 0
        self._run = 0

    def after(self, seconds: float, action: Action) -> None:
        """Run an action in that many seconds; of two at one time the first added comes first."""
        self._added += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._added, action))

    def run(self, until: float | None = None) -> None:
        """Run what is due up to a time, or until nothing is left to be done.

        Raises:
            NeverQuietError: it does not come to an end.
        """
        while self._agenda and (until is None or self._agenda[0][0] <= until):
            self.now, _, action = heapq.heappop(self._agenda)
            self._run += 1
            if self._run > self._most_actions:
                raise NeverQuietError
            action()
        if until is not None:
            self.now = max(self.now, until)

    def instant(self) -> datetime:
        """The time as a date."""
        return BEGINNING + timedelta(seconds=self.now)
