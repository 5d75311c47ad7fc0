"""Reads the tables of orders, payments and reservations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orderctl.pipeline import reading

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
_READ_AT_ONCE = 100
_THROTTLED_PAUSE_SECONDS = 0.2
_INDEX = "unfinished"


class Orders:
    """The tables of orders, payments and reservations, read by order id."""

    def __init__(self, dynamodb: DynamoDBClient, outputs: Mapping[str, str]) -> None:
        """Take the stack's outputs, which name the tables."""
        self._dynamodb = dynamodb
        self._outputs = outputs

    def find(self, order_ids: Sequence[str]) -> dict[str, Item]:
        """The items of these orders, by order id; an order that is not tracked yet is left out."""
        return self._items("OrdersTableName", order_ids)

    def payments(self, order_ids: Sequence[str]) -> dict[str, Item]:
        """The payments of these orders, by order id; an order without one is left out."""
        return self._items("PaymentsTableName", order_ids)

    def reservations(self, order_ids: Sequence[str]) -> dict[str, Item]:
        """The reservations of these orders, by order id; an order without one is left out."""
        return self._items("ReservationsTableName", order_ids)

    def unfinished(self, placed_before: datetime) -> list[Item]:
        """The orders that are not finished, oldest first.

        Args:
            placed_before: leaves out orders placed later. An order without a readable time is
                included, because somebody must look at it.
        """
        ids = [
            item["order_id"]["S"]
            for item in self._unfinished("order_id, placed_at")
            if (reading.parse_time(item["placed_at"]["S"]) or placed_before) <= placed_before
        ]
        # The index lags behind the table.
        orders = [order for order in self.find(ids).values() if "unfinished" in order]
        return sorted(orders, key=lambda order: str(order.get("placed_at")))

    def count_unfinished(self) -> tuple[int, datetime | None]:
        """How many orders are not finished, and when the oldest of them was placed, if known."""
        times = [
            reading.parse_time(item["placed_at"]["S"]) for item in self._unfinished("placed_at")
        ]
        return len(times), min(filter(None, times), default=None)

    def _unfinished(self, attributes: str) -> Iterator[Item]:
        # A scan: the index holds nothing else, and its keys only spread the writes.
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._outputs["OrdersTableName"],
            IndexName=_INDEX,
            ProjectionExpression=attributes,
        )
        return (item for page in pages for item in page["Items"])

    def _items(self, table_output: str, order_ids: Sequence[str]) -> dict[str, Item]:
        table = self._outputs[table_output]
        found: dict[str, Item] = {}
        for start in range(0, len(order_ids), _READ_AT_ONCE):
            keys = [{"order_id": {"S": i}} for i in order_ids[start : start + _READ_AT_ONCE]]
            requests: Any = {table: {"Keys": keys}}
            while requests:
                answer = self._dynamodb.batch_get_item(RequestItems=requests)
                for item in answer["Responses"].get(table, []):
                    plain = plain_item(item)
                    found[plain["order_id"]] = plain
                # DynamoDB leaves keys out when it throttles, and past 16 MB.
                if requests := answer.get("UnprocessedKeys"):
                    time.sleep(_THROTTLED_PAUSE_SECONDS)
        return found


def plain_item(item: Mapping[str, Any]) -> Item:
    """An item with plain values instead of DynamoDB's typed ones."""
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415 — slow to load

    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}
