"""What happened, to be read: one line a fact, with the virtual time and who it was."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from simulation.requests import in_order, orders_in
from simulation.scheduler import Scheduler

_SHORT_LINES: Final = 120


class Line(NamedTuple):
    """One fact."""

    seconds: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.seconds:8.2f} s  {self.who:<24}  {self.what}"


class Story:
    """The facts of one run, in their order."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Begin with nothing; the scheduler has the time."""
        self._scheduler = scheduler
        self._lines: list[Line] = []

    def tell(self, who: str, what: str) -> None:
        """Write a fact down."""
        self._lines.append(Line(self._scheduler.now, who, what))

    def lines(self) -> tuple[Line, ...]:
        """The whole schedule."""
        return tuple(self._lines)

    def text(self) -> str:
        """The whole schedule, to be read."""
        return "\n".join(map(str, self._lines))

    def about(self, orders: Collection[str]) -> str:
        """The schedule of some orders, or its end when it is about none; cut to be read."""
        lines = self._lines
        if orders:
            name = re.compile(rf"\b({'|'.join(map(re.escape, orders))})\b")
            lines = [line for line in lines if name.search(line.what)]
        shown = [str(line) for line in lines[-_SHORT_LINES:]]
        if len(lines) > len(shown):
            shown.insert(0, f"  … {len(lines) - len(shown)} earlier lines")
        return "\n".join(shown)


class Silence(Story):
    """The story of a run that nobody wants to read."""

    def tell(self, who: str, what: str) -> None:
        """Leave a fact untold."""


class Violation(Exception):  # noqa: N818 - a finding, and the end of the run
    """Something that must always hold did not."""

    def __init__(self, rule: str, fact: str) -> None:
        """Say what is broken.

        Args:
            rule: what must hold, as the invariants name it.
            fact: what was found; the orders it names are those the story is told of.
        """
        super().__init__(f"{rule}: {fact}")
        self.rule = rule
        self.orders = in_order(orders_in(fact))
