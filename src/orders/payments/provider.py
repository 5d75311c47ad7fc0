"""The card processor: what we ask of one, and a simulated one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from orders.card_books import CardBooks, SimulatedCardBooks, simulated_charge_id


class ProcessorFailedError(Exception):
    """The attempt failed; whether it took effect is not known. The same key may try again.

    The message is logged: it says nothing of the card or its holder.
    """


@dataclass(frozen=True, slots=True)
class Charged:
    """The card was charged."""

    charge_id: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The card was declined: a final answer, and nothing was charged."""

    reason: str
    """The customer and the shop's services get to read it; it is not logged."""


class CardProcessor(CardBooks, Protocol):
    """What a real card processor would have to do to take the simulated one's place."""

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        """Charge the card once, however often the same key asks.

        Args:
            idempotency_key: names the payment; the same key always gets the same final answer.
            amount: in units of the currency, with at most 2 decimals.
            currency: ISO 4217.

        Raises:
            ProcessorFailedError: no final answer this time; or the key has charged another sum.
        """
        ...

    def cancel(self, idempotency_key: str) -> None:
        """Give back what was charged under a key, and refuse to charge it from now on.

        Nothing charged is no error, and to cancel again changes nothing. The refusal matters: a
        charge may be on its way while its order is cancelled.

        Raises:
            ProcessorFailedError: no final answer this time.
        """
        ...


@dataclass(frozen=True, slots=True)
class SimulatedCardProcessor(SimulatedCardBooks):
    """A processor without a network: some attempts fail, some cards are declined.

    Its answers follow from the idempotency key alone, which is how it charges a key only once
    without keeping books. Whether an attempt fails is drawn anew each time.
    """

    failure_rate: float
    """The share of attempts that fail, 0 to 1."""
    decline_rate: float
    """The share of cards that are declined, 0 to 1."""
    draw: Callable[[], float] = random.random

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        """See CardProcessor; nothing is charged to anybody."""
        self._attempt()
        digest = hashlib.sha256(idempotency_key.encode()).digest()
        if int.from_bytes(digest[:4], "big") / 2**32 < self.decline_rate:
            return Declined("card declined (simulated)")
        return Charged(simulated_charge_id(idempotency_key))

    def cancel(self, idempotency_key: str) -> None:
        """See CardProcessor; there is nothing to give back."""
        self._attempt()

    def _attempt(self) -> None:
        if self.draw() < self.failure_rate:
            raise ProcessorFailedError("the card processor did not answer (simulated)")
