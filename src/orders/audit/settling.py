"""Judges orders, and reads again what does not look right, as orders flow meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from orders.audit.decisions import (
    Books,
    Finding,
    Queues,
    audit_order,
    is_in_flight,
    is_on_its_way,
)

if TYPE_CHECKING:
    from datetime import datetime

    from orders.card_books import CardBooks

_ROUNDS: Final = 4
_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settled:
    """What is so, of some orders."""

    findings: list[Finding]
    """What does not hold."""
    moving: set[str]
    """Orders that changed all the time, or wait for a message that is on its way."""
    in_flight: int
    """How many have not ended yet."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges orders by all books."""

    books: CardBooks
    read: Callable[[Collection[str]], dict[str, Books]]
    """What the tables say of orders now."""
    queues: Callable[[], Queues]
    """What is on its way now; asked only if that matters."""
    now: Callable[[], datetime]
    sleep: Callable[[float], None]

    def judge(self, books: Books) -> list[Finding]:
        """Everything that does not hold of an order, the card processor's books included."""
        return audit_order(replace(books, booked=self.books.find(books.order_id)))

    def settle(self, order_ids: Collection[str]) -> Settled:
        """Say what does not hold, once it reads the same twice and nothing can put it right.

        Args:
            order_ids: each once.
        """
        settled = self._read_twice(set(order_ids))
        if not any(finding.may_pass for finding in settled.findings):
            return settled
        queues, now = self.queues(), self.now()
        # What left the queues by now was perhaps put right.
        findings = self._still(settled.findings)
        late = [finding for finding in findings if is_on_its_way(finding, queues, now)]
        return Settled(
            [finding for finding in findings if finding not in late],
            settled.moving | {finding.subject for finding in late},
            settled.in_flight,
        )

    def _read_twice(self, suspects: set[str]) -> Settled:
        """Read orders until they read the same twice; what may pass has all rounds for it."""
        last: dict[str, list[Finding]] = {}
        sure: list[Finding] = []
        in_flight: set[str] = set()
        for number in range(_ROUNDS):
            if not suspects:
                break
            if number:
                self.sleep(_PAUSE_SECONDS)
            now = self.read(suspects)
            found = {id_: self.judge(books) for id_, books in now.items()}
            in_flight = {id_ for id_, books in now.items() if is_in_flight(books)}
            waits = number < _ROUNDS - 1
            for id_ in list(suspects):
                passes = id_ in in_flight or any(f.may_pass for f in found[id_])
                if id_ in last and found[id_] == last[id_] and not (passes and waits):
                    sure += found[id_]
                    suspects.remove(id_)
                elif not found[id_] and id_ not in in_flight:
                    suspects.remove(id_)
            last = found
        return Settled(sure, suspects - in_flight, len(in_flight))

    def _still(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that are still so, of those that may pass; and all others."""
        now = self.read({finding.subject for finding in findings if finding.may_pass})
        found = {id_: self.judge(books) for id_, books in now.items()}
        return [f for f in findings if not f.may_pass or f in found[f.subject]]
