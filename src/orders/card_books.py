"""The books of a card processor: what ``payments`` fills and an audit reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Booked:
    """What a card processor has under an idempotency key."""

    charge_ids: tuple[str, ...] = ()
    """The charges, refunded or not. There is never more than one unless something is wrong."""
    net: Decimal | None = None
    """What was charged and not given back; None for a processor that does not say."""


class CardBooks(Protocol):
    """A card processor that can be asked what it has booked."""

    def find(self, idempotency_key: str) -> Booked:
        """What is booked under a key; an empty ``Booked`` when nothing is."""
        ...


class SimulatedCardBooks:
    """The simulated processor's: it keeps no books, and its charges follow from the key alone."""

    def find(self, idempotency_key: str) -> Booked:
        """See CardBooks; the charge that the key has if it was charged, and no sum."""
        return Booked((simulated_charge_id(idempotency_key),))


def simulated_charge_id(idempotency_key: str) -> str:
    """The charge that the simulated processor makes under a key."""
    return f"ch_{hashlib.sha256(idempotency_key.encode()).digest()[4:16].hex()}"
