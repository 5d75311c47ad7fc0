"""Virtual time: what is to happen happens in its order, and nobody waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

BEGINNING: Final = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)


class Timeline:
    """The virtual time, and what is to happen in it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._added = 0

    def now(self) -> datetime:
        """The time as a date."""
        return BEGINNING + timedelta(seconds=self.seconds)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen in that many seconds."""
        self._added += 1
        heapq.heappush(self._agenda, (self.seconds + seconds, self._added, action))

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen again and again."""

        def again() -> None:
            action()
            self.after(seconds, again)

        self.after(seconds, again)

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Let it all happen, up to a moment when that holds."""
        while not is_over():
            self.seconds, _, action = heapq.heappop(self._agenda)
            action()
