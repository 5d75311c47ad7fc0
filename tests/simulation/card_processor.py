"""A card processor with books of its own, which are what an order's money is judged by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulation.faults import ProcessorFailure
from simulation.requests import Request
from simulation.world import World


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that went from a card (positive) or back to it."""

    amount: Decimal
    currency: str


class CardProcessor:
    """Charges a key at most once, and never after the key was cancelled."""

    def __init__(self, world: World, declined: Collection[str], silent: Collection[str]) -> None:
        """Open the books.

        Args:
            world: the run's.
            declined: the orders whose cards are declined.
            silent: the orders for whose charge it does not answer.
        """
        self.books: dict[str, list[Movement]] = {}
        """The movements of money by key."""
        self.declines: set[str] = set()
        """The keys that were refused a charge."""
        self._world = world
        self._declined = declined
        self.silent = silent
        """The orders for whose charge it never answers, until a person sees to it."""
        self.cancelled: set[str] = set()
        """The orders of which it was asked to give the money back, or never to take it."""

    def perform(self, request: Request) -> Any:  # noqa: ANN401 - the operation's answer
        """``charge`` and ``cancel``: the answer is a charge's id, or None.

        Raises:
            ProcessorFailure: it never charges this order, charged another sum under its key, or
                answers nobody for now.
        """
        key = request.arguments["idempotency_key"]
        if self._world.weather.is_outage(self._world.scheduler.now):
            raise ProcessorFailure
        if request.operation == "cancel":
            self._cancel(key)
            return None
        movements = self.books.setdefault(key, [])
        if key in self._declined or key in self.cancelled:
            self.declines.add(key)
            return None
        if key in self.silent:
            raise ProcessorFailure
        charge = Movement(request.arguments["amount"], request.arguments["currency"])
        if not movements:
            movements.append(charge)
            self._world.story.tell(
                "card processor", f"charges {charge.amount} {charge.currency} ({key})"
            )
        elif movements[0] != charge:
            self._world.story.tell("card processor", f"has charged another sum ({key})")
            raise ProcessorFailure
        return f"ch_{key}"

    def _cancel(self, key: str) -> None:
        self.cancelled.add(key)
        movements = self.books.setdefault(key, [])
        if len(movements) == 1:
            back = Movement(-movements[0].amount, movements[0].currency)
            movements.append(back)
            self._world.story.tell(
                "card processor", f"gives {movements[0].amount} {back.currency} back ({key})"
            )
