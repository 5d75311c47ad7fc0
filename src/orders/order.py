"""How an order stands: the values that functions share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from orders.events import OrderCancelled, OrderConfirmed, OrderPlaced

Status = Literal["placed", "confirmed", "cancelled"]

STATUS_AFTER: Final[dict[str, Status]] = {
    OrderPlaced.detail_type: "placed",
    OrderConfirmed.detail_type: "confirmed",
    OrderCancelled.detail_type: "cancelled",
}
"""How an order stands after a step of this type; after any other it stands as before."""


class Step(msgspec.Struct, frozen=True):
    """Something that happened to an order."""

    type: str
    at: str
    reason: str | None = None


class Repeats(msgspec.Struct, frozen=True):
    """How often something about an unfinished order was published again, because it did not end."""

    repeats: int = 0
    repeated_at: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How an order stands."""

    order_id: str
    placed_at: str
    """When it was first heard of, for an order that another publisher put on the bus."""
    status: Status = "placed"
    payment: Literal["charged", "declined", "refunded"] | None = None
    inventory: Literal["reserved", "rejected", "released"] | None = None
    reason: str | None = None
    """Why it was cancelled."""
    history: tuple[Step, ...] = ()
    ordered: OrderPlaced | None = None
    """What was ordered; None for an order that another publisher put on the bus."""
    fingerprint: str | None = None
    """Of what was ordered, as its payment or reservation tells; None where ``ordered`` says it."""
    version: int = 0
    """How often it was written; 0 for an order that is not on record."""

    def milestones(self) -> Iterator[tuple[int, Step]]:
        """The steps that changed its status, oldest first, each with its version.

        That is the step's place in the history, which only ever grows at its end.
        """
        steps = enumerate(self.history, start=1)
        return ((version, step) for version, step in steps if step.type in STATUS_AFTER)

    @property
    def status_version(self) -> int:
        """The version of how it stands; 0 if its history does not say since when."""
        return max((version for version, _ in self.milestones()), default=0)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is to happen: decided, money and stock where they belong."""
        if self.status == "cancelled":
            return self.payment != "charged" and self.inventory != "reserved"
        return self.status == "confirmed"
