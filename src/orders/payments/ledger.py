"""The table ``payments``: one item an order, written once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from orders.aws.dynamodb import insert_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Payment:
    """How an order's payment ended."""

    order_id: str
    state: Literal["charged", "declined"]
    amount: Decimal
    currency: str
    charge_id: str | None
    reason: str | None
    attempt: int
    """The delivery that brought the answer: 1 unless earlier attempts failed."""
    at: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The only place that knows the table's attributes and conditions."""

    client: DynamoDBClient
    table: str

    def settled(self, order_ids: Sequence[str]) -> tuple[set[str], set[str]]:
        """Which of these orders have a payment already, with one read.

        Args:
            order_ids: at most 100, each once.

        Returns:
            The settled ones, and those that DynamoDB did not answer for.

        Raises:
            ClientError, BotoCoreError: the call failed.
        """
        answer = self.client.batch_get_item(
            RequestItems={
                self.table: {
                    "Keys": [{"order_id": {"S": order_id}} for order_id in order_ids],
                    "ProjectionExpression": "order_id",
                    "ConsistentRead": True,
                }
            }
        )
        found = {item["order_id"]["S"] for item in answer["Responses"].get(self.table, [])}
        unanswered = answer.get("UnprocessedKeys", {}).get(self.table, {"Keys": []})["Keys"]
        return found, {str(key["order_id"]["S"]) for key in unanswered}

    def record(self, payments: Sequence[Payment]) -> list[str | None]:
        """Write payments that are not there yet, with one call.

        Returns:
            For each payment None, or DynamoDB's error code; ``DuplicateItem`` when another
            delivery of the same order wrote first.

        Raises:
            ClientError, BotoCoreError: the whole call failed.
        """
        return insert_all(self.client, self.table, [_item(payment) for payment in payments])


def _item(payment: Payment) -> dict[str, Any]:
    return {
        "order_id": {"S": payment.order_id},
        "state": {"S": payment.state},
        "amount": {"N": str(payment.amount)},
        "currency": {"S": payment.currency},
        **({"charge_id": {"S": payment.charge_id}} if payment.charge_id else {}),
        **({"reason": {"S": payment.reason}} if payment.reason else {}),
        "attempt": {"N": str(payment.attempt)},
        "at": {"S": payment.at},
    }
