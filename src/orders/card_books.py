"""The books of a card processor: what ``payments`` fills and an audit reads."""

from __future__ import annotations

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
