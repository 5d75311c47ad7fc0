"""What `orderctl audit` would find in a run's tables: by its own rules, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from orders.audit.decisions import (
    Books,
    Finding,
    Reservation,
    Unreadable,
    add_up,
    audit_order,
    audit_stock,
    reserved,
)
from orders.audit.records import read_order, read_payment, read_reservation, read_stock
from orders.card_books import Booked
from simulation.card_processor import CardProcessor
from simulation.dynamodb import DynamoDB


@dataclass(frozen=True, slots=True)
class SimulatedBooks:
    """The simulation's card processor, as an audit asks it."""

    processor: CardProcessor

    def find(self, idempotency_key: str) -> Booked:
        """See orders.card_books.CardBooks."""
        movements = self.processor.books.get(idempotency_key, [])
        charges = tuple(f"ch_{idempotency_key}" for each in movements if each.amount > 0)
        return Booked(charges, sum((each.amount for each in movements), Decimal(0)))


def audit(tables: DynamoDB, processor: CardProcessor) -> Iterator[Finding]:
    """Everything that does not hold, when nothing moves any more."""
    payments, reservations = tables.items("payments"), tables.items("reservations")
    orders, books = tables.items("orders"), SimulatedBooks(processor)
    held: list[Reservation | Unreadable | None] = []
    for key in sorted({*orders, *payments, *reservations, *processor.books}):
        reservation = read_reservation(reservations[key]) if key in reservations else None
        held.append(reservation)
        yield from audit_order(
            Books(
                key,
                read_order(orders[key]) if key in orders else None,
                read_payment(payments[key]) if key in payments else None,
                reservation,
                books.find(key),
            )
        )
    sums = reserved(held)
    shelves = {key: read_stock(item) for key, item in tables.items("stock").items()}
    for sku, level in add_up(shelves).items():
        if finding := audit_stock(level, sku, sums[sku]):
            yield finding
