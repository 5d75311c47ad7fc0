"""The table ``payments``: one item an order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from orders.aws.dynamodb import Item, Statement, insert, read_all, update, write_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.context import Context

PaymentState = Literal["charged", "declined", "refunded", "voided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Where an order's payment stands."""

    order_id: str
    state: PaymentState
    at: str
    """Since when."""
    amount: Decimal | None = None
    """None for a payment that was voided before anybody knew the amount; so the rest."""
    currency: str | None = None
    charge_id: str | None = None
    reason: str | None = None
    attempt: int | None = None
    """The delivery that brought the answer: 1 unless earlier attempts failed."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The only place that knows the table's attributes and conditions."""

    client: DynamoDBClient
    table: str

    def find(
        self, order_ids: Sequence[str], context: Context
    ) -> tuple[dict[str, Payment], dict[str, str]]:
        """Read the payments of orders, with one call.

        Args:
            order_ids: at most 100, each once.
            context: the invocation's, for what is to be tried again.

        Returns:
            The payments that exist, by order id; and, by order id, why DynamoDB gave no answer.
        """
        items, unanswered = read_all(self.client, self.table, order_ids, context)
        return {order_id: _payment(item) for order_id, item in items.items()}, unanswered

    def write(
        self, changes: Sequence[tuple[Payment | None, Payment]], context: Context
    ) -> list[str | None]:
        """Write payments, with one call, each only if its record is still what it was.

        Args:
            changes: what is on record (None: nothing), and what is to be.
            context: the invocation's, for what is to be tried again.

        Returns:
            For each None, CONFLICT if somebody wrote first, or why else it was not written.
        """
        return write_all(
            self.client, [self._statement(before, now) for before, now in changes], context
        )

    def _statement(self, before: Payment | None, now: Payment) -> Statement:
        if before is None:
            return insert(self.table, _item(now))
        return update(
            self.table,
            ("order_id", now.order_id),
            {"state": {"S": now.state}, "at": {"S": now.at}},
            condition=("state", {"S": before.state}),
        )


def _item(payment: Payment) -> Item:
    texts = {
        "order_id": payment.order_id,
        "state": payment.state,
        "at": payment.at,
        "currency": payment.currency,
        "charge_id": payment.charge_id,
        "reason": payment.reason,
    }
    numbers = {"amount": payment.amount, "attempt": payment.attempt}
    return {
        **{name: {"S": text} for name, text in texts.items() if text is not None},
        **{name: {"N": str(number)} for name, number in numbers.items() if number is not None},
    }


def _payment(item: Item) -> Payment:
    def text(name: str) -> str | None:
        return item[name]["S"] if name in item else None

    return Payment(
        order_id=item["order_id"]["S"],
        state=item["state"]["S"],
        at=item["at"]["S"],
        amount=Decimal(item["amount"]["N"]) if "amount" in item else None,
        currency=text("currency"),
        charge_id=text("charge_id"),
        reason=text("reason"),
        attempt=int(item["attempt"]["N"]) if "attempt" in item else None,
    )
