"""The table ``orders``: what was ordered, and how it stands.

The one table that two functions share, and so here and not in a room: ``order-api`` writes an
order's first record, ``order-tracker`` every later one.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import UNSET

from orders.aws.dynamodb import Item, Statement, insert, read_all, update, write_all
from orders.events import OrderLine, OrderPlaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.context import Context

Status = Literal["placed", "confirmed", "cancelled"]

UNFINISHED_SHARDS: Final = 8
"""Over how many keys the index of unfinished orders is spread, so that none gets hot."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to an order."""

    type: str
    at: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
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
    version: int = 0
    """How often it was written; 0 for an order that is not on record."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is to happen: decided, money and stock where they belong."""
        if self.status == "cancelled":
            return self.payment != "charged" and self.inventory != "reserved"
        return self.status == "confirmed"


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
            The orders on record, by order id; and, by order id, why DynamoDB gave no answer.
        """
        items, unanswered = read_all(self.client, self.table, order_ids, context)
        return {order_id: _order(item) for order_id, item in items.items()}, unanswered

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

    def write(self, orders: Sequence[Order], context: Context) -> list[str | None]:
        """Write orders, with one call, each only if nobody wrote it since it was read.

        Args:
            orders: as they are to be.
            context: the invocation's, for what is to be tried again.

        Returns:
            For each None, CONFLICT if somebody wrote first, or why else it was not written.
        """
        return write_all(self.client, [self._statement(order) for order in orders], context)

    def _statement(self, order: Order) -> Statement:
        if order.version == 0:
            return insert(self.table, _item(order))
        item = _item(order)
        changing = ("status", "payment", "inventory", "reason", "history", "version", "unfinished")
        return update(
            self.table,
            ("order_id", order.order_id),
            {name: item[name] for name in changing if name in item},
            removed=["unfinished"] if order.is_finished else (),
            condition=("version", {"N": str(order.version)}),
        )


def unfinished_shard(order_id: str) -> str:
    """The key under which the index ``unfinished`` holds an order."""
    return str(zlib.crc32(order_id.encode()) % UNFINISHED_SHARDS)


def _item(order: Order) -> Item:
    """The item to be written: with the next version, and in the index while unfinished."""
    texts = {
        "order_id": order.order_id,
        "placed_at": order.placed_at,
        "status": order.status,
        "payment": order.payment,
        "inventory": order.inventory,
        "reason": order.reason,
        "unfinished": None if order.is_finished else unfinished_shard(order.order_id),
    }
    item: Item = {name: {"S": text} for name, text in texts.items() if text is not None}
    item["history"] = {"L": [_step_value(step) for step in order.history]}
    item["version"] = {"N": str(order.version + 1)}
    if order.ordered is not None:
        item |= _ordered_item(order.ordered)
    return item


def _step_value(step: Step) -> dict[str, Any]:
    texts = {"type": step.type, "at": step.at, "reason": step.reason}
    return {"M": {name: {"S": text} for name, text in texts.items() if text is not None}}


def _ordered_item(ordered: OrderPlaced) -> Item:
    lines = [
        {"M": {"sku": {"S": line.sku}, "quantity": {"N": str(line.quantity)}}}
        for line in ordered.items
    ]
    item: Item = {
        "amount": {"N": str(ordered.amount)},
        "currency": {"S": ordered.currency},
        "items": {"L": lines},
    }
    if ordered.customer_id is not UNSET:
        item["customer_id"] = {"S": ordered.customer_id}
    return item


def _order(item: Item) -> Order:
    def text(name: str) -> Any:  # noqa: ANN401 - one of the attribute's literals
        return item[name]["S"] if name in item else None

    return Order(
        order_id=item["order_id"]["S"],
        placed_at=item["placed_at"]["S"],
        status=item["status"]["S"],
        payment=text("payment"),
        inventory=text("inventory"),
        reason=text("reason"),
        history=tuple(_step(value["M"]) for value in item["history"]["L"]),
        ordered=_ordered(item) if "amount" in item else None,
        version=int(item["version"]["N"]),
    )


def _step(value: Item) -> Step:
    return Step(value["type"]["S"], value["at"]["S"], value.get("reason", {}).get("S"))


def _ordered(item: Item) -> OrderPlaced:
    lines = [line["M"] for line in item["items"]["L"]]
    return OrderPlaced(
        order_id=item["order_id"]["S"],
        amount=Decimal(item["amount"]["N"]),
        currency=item["currency"]["S"],
        customer_id=item["customer_id"]["S"] if "customer_id" in item else UNSET,
        items=tuple(OrderLine(line["sku"]["S"], int(line["quantity"]["N"])) for line in lines),
    )
