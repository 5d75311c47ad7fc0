"""The table ``payments``: one item an order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orders.aws.dynamodb import change_state, read_all, write_all
from orders.aws.items import from_item
from orders.payments.decisions import Payment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.context import Context

_payment = partial(from_item, kind=Payment)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The only place that knows the table's attributes and conditions."""

    client: DynamoDBClient
    table: str

    def find(
        self, order_ids: Sequence[str], context: Context
    ) -> tuple[dict[str, Payment], dict[str, str]]:
        """Read the payments of orders.

        Args:
            order_ids: each once.
            context: the invocation's, for what is to be tried again.

        Returns:
            The payments that exist, by order id; and, by order id, why one could not be read.
        """
        return read_all(self.client, self.table, order_ids, _payment, context)

    def write(
        self, changes: Sequence[tuple[Payment | None, Payment]], context: Context
    ) -> dict[str, str]:
        """Write payments, each only if its record is still what it was.

        Args:
            changes: what is on record (None: nothing), and what is to be.
            context: the invocation's, for what is to be tried again.

        Returns:
            By order id, CONFLICT if somebody wrote first, or why else it was not written.
        """
        statements = {
            now.order_id: change_state(self.table, before, now) for before, now in changes
        }
        return write_all(self.client, statements, context)
