"""The table ``orders``: what was ordered, and how it stands.

The one table that two functions share, and so here and not in a room: ``order-api`` writes an
order's first record, ``order-tracker`` every later one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orders.aws.dynamodb import Statement, insert, read_all, update, write_all
from orders.aws.items import Item, from_values, to_item, values_of
from orders.order import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.context import Context

UNFINISHED_SHARDS: Final = 8
"""Over how many keys the index of unfinished orders is spread, so that none gets hot."""
_CONSTANT: Final = ("order_id", "placed_at")
"""The attributes of a record that are never changed; nor is what was ordered."""


class OrderExistsError(Exception):
    """The order id is taken."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.order_id)
        self.order = order
        """The order that has it."""


@dataclass(frozen=True, slots=True)
class OrderTable:
    """The only place that knows the table's attributes and conditions."""

    client: DynamoDBClient
    table: str

    def create(self, order: Order) -> None:
        """Write an order's first record.

        Raises:
            OrderExistsError: with the order that is on record under this id.
            UnreadableRecordError: what is on record under this id cannot be read.
            ClientError, BotoCoreError: the call failed.
        """
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_item(order),
                ConditionExpression="attribute_not_exists(order_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            answer: dict[str, Any] = dict(error.response)
            raise OrderExistsError(_order(answer["Item"])) from error

    def get(self, order_id: str) -> Order | None:
        """Read one order.

        Raises:
            UnreadableRecordError: what is on record cannot be read.
            ClientError, BotoCoreError: the call failed.
        """
        key = {"order_id": {"S": order_id}}
        item = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return _order(item) if item else None

    def find(
        self, order_ids: Sequence[str], context: Context
    ) -> tuple[dict[str, Order], dict[str, str]]:
        """Read orders, with one call.

        Args:
            order_ids: at most 100, each once.
            context: the invocation's, for what is to be tried again.

        Returns:
            The orders on record, by order id; and, by order id, why one could not be read.
        """
        return read_all(self.client, self.table, order_ids, _order, context)

    def count_unfinished(self, placed_before: str) -> int:
        """How many orders placed before a time have not finished yet.

        Args:
            placed_before: a time as ``clock.timestamp`` writes it.

        Raises:
            ClientError, BotoCoreError: a call failed.
        """
        pages = self.client.get_paginator("query")
        return sum(
            page["Count"]
            for shard in range(UNFINISHED_SHARDS)
            for page in pages.paginate(
                TableName=self.table,
                IndexName="unfinished",
                Select="COUNT",
                KeyConditionExpression="unfinished = :shard AND placed_at < :time",
                ExpressionAttributeValues={
                    ":shard": {"S": str(shard)},
                    ":time": {"S": placed_before},
                },
            )
        )

    def write(self, orders: Sequence[Order], context: Context) -> dict[str, str]:
        """Write orders, with one call, each only if nobody wrote it since it was read.

        Args:
            orders: as they are to be.
            context: the invocation's, for what is to be tried again.

        Returns:
            By order id, CONFLICT if somebody wrote first, or why else it was not written.
        """
        statements = {order.order_id: self._statement(order) for order in orders}
        return write_all(self.client, statements, context)

    def _statement(self, order: Order) -> Statement:
        if order.version == 0:
            return insert(self.table, _item(order))
        return update(
            self.table,
            ("order_id", order.order_id),
            {name: value for name, value in _record(order).items() if name not in _CONSTANT},
            removed=["unfinished"] if order.is_finished else (),
            condition=("version", {"N": str(order.version)}),
        )


def unfinished_shard(order_id: str) -> str:
    """The key under which the index ``unfinished`` holds an order."""
    return str(zlib.crc32(order_id.encode()) % UNFINISHED_SHARDS)


def _item(order: Order) -> Item:
    """The item to be written: what was ordered stands beside how the order stands."""
    return {**(to_item(order.ordered) if order.ordered else {}), **_record(order)}


def _record(order: Order) -> Item:
    """How the order stands: with the next version, and in the index while unfinished."""
    item = to_item(replace(order, ordered=None, version=order.version + 1))
    if not order.is_finished:
        item["unfinished"] = {"S": unfinished_shard(order.order_id)}
    return item


def _order(item: Item) -> Order:
    values = values_of(item)
    # Every order that came through the API has an amount.
    ordered = values if "amount" in values else None
    return from_values({**values, "ordered": ordered}, Order)
