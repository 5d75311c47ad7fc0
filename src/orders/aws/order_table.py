"""The table ``orders``: what was ordered, and how it stands.

The one table that several functions share, and so here and not in a room: ``order-api`` writes an
order's first record, ``order-tracker`` every later one, and ``caretaker`` beside it how often it
has published something about the order again.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import sample
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orders.aws.dynamodb import CONFLICT, Statement, insert, read_all, update, write_all
from orders.aws.errors import AwsError
from orders.aws.items import Item, from_values, to_item, values_of
from orders.order import Order, Repeats, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

    from orders.aws.context import Context

LEAST_UNFINISHED_KEYS: Final = 8
"""Over how many keys at least the indexes are spread, so that none gets hot."""
_DATE_LENGTH: Final = len("2026-11-29")
_CONSTANT: Final = ("order_id", "placed_at")
"""The attributes of a record that are never changed; nor is what was ordered."""
_KEYS_A_PAGE: Final = 100
"""As many as ``BatchGetItem`` takes."""


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
    unfinished_keys: int = LEAST_UNFINISHED_KEYS
    """Over how many keys the indexes are spread. It may grow: an order stays
    under its key until it is written again. It must never shrink, as only these are looked at."""
    lists_ended: bool = True
    """Whether an order that has ended is in the index ``ended``, which costs a write unit."""

    def create(self, order: Order) -> None:
        """Write an order's first record.

        Raises:
            OrderExistsError: with the order that is on record under this id.
            UnreadableRecordError: what is on record under this id cannot be read.
            AwsError: the call failed.
        """
        try:
            self.client.put_item(
                TableName=self.table,
                Item=self._item(order),
                ConditionExpression="attribute_not_exists(order_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except AwsError as error:
            if not error.is_condition_failed:
                raise
            raise OrderExistsError(_order(error.answer["Item"])) from error

    def get(self, order_id: str) -> Order | None:
        """Read one order.

        Raises:
            UnreadableRecordError: what is on record cannot be read.
            AwsError: the call failed.
        """
        key = {"order_id": {"S": order_id}}
        item = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return _order(item) if item else None

    def find(
        self, order_ids: Sequence[str], context: Context
    ) -> tuple[dict[str, Order], dict[str, str]]:
        """Read orders.

        Args:
            order_ids: each once.
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
            AwsError: a call failed.
        """
        return sum(
            page["Count"]
            for shard in range(self.unfinished_keys)
            for page in self._query_unfinished(shard, placed_before, Select="COUNT")
        )

    def unfinished(self, placed_before: str) -> Iterator[list[str]]:
        """The ids of the orders placed before a time that have not finished yet, in pages.

        The keys of the index come in a new order each time: whoever has no time for all of them
        leaves out others the next time.

        Args:
            placed_before: a time as ``clock.timestamp`` writes it.

        Raises:
            AwsError: a call failed.
        """
        for shard in sample(range(self.unfinished_keys), self.unfinished_keys):
            for page in self._query_unfinished(
                shard,
                placed_before,
                ProjectionExpression="order_id",
                Limit=_KEYS_A_PAGE,
            ):
                if keys := page["Items"]:
                    yield [key["order_id"]["S"] for key in keys]

    def _query_unfinished(
        self,
        shard: int,
        placed_before: str,
        **what: Any,  # noqa: ANN401
    ) -> Iterator[QueryOutputTypeDef]:
        """The pages of one key of the index, with what ``Query`` is to return of each entry."""
        start: dict[str, Any] = {}
        while True:
            page = self.client.query(
                TableName=self.table,
                IndexName="unfinished",
                KeyConditionExpression="unfinished = :shard AND placed_at < :time",
                ExpressionAttributeValues={
                    ":shard": {"S": str(shard)},
                    ":time": {"S": placed_before},
                },
                **what,
                **start,
            )
            yield page
            if not (last := page.get("LastEvaluatedKey")):
                return
            start = {"ExclusiveStartKey": last}

    def find_repeated(
        self, order_ids: Sequence[str], context: Context
    ) -> tuple[dict[str, tuple[Order, Repeats]], dict[str, str]]:
        """Read orders as ``find`` does, each with how often something was published again."""
        return read_all(self.client, self.table, order_ids, _repeated, context)

    def note_repeat(self, order_id: str, before: Repeats, at: str) -> str | None:
        """Note that something about an unfinished order is published again, unless somebody did.

        Neither the order's version nor anything else that the tracker writes is touched.

        Args:
            order_id: an order on record.
            before: what is on record.
            at: the time.

        Returns:
            None when it is noted; CONFLICT if the order has ended or another one was quicker; or
            why else it was not written.
        """
        first = "attribute_not_exists(repeats)"
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"order_id": {"S": order_id}},
                UpdateExpression="SET repeats = :next, repeated_at = :at",
                ConditionExpression="attribute_exists(unfinished) AND "
                + ("repeats = :count" if before.repeats else first),
                ExpressionAttributeValues={
                    ":next": {"N": str(before.repeats + 1)},
                    ":at": {"S": at},
                    **({":count": {"N": str(before.repeats)}} if before.repeats else {}),
                },
            )
        except AwsError as error:
            return CONFLICT if error.is_condition_failed else str(error)
        return None

    def write(self, orders: Sequence[Order], context: Context) -> dict[str, str]:
        """Write orders, each only if nobody wrote it since it was read.

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
            return insert(self.table, self._item(order))
        return update(
            self.table,
            ("order_id", order.order_id),
            {name: value for name, value in self._record(order).items() if name not in _CONSTANT},
            removed=["unfinished"] if order.is_finished else (),
            condition=("version", {"N": str(order.version)}),
        )

    def _item(self, order: Order) -> Item:
        """The item to be written: what was ordered stands beside how the order stands."""
        return {**(to_item(order.ordered) if order.ordered else {}), **self._record(order)}

    def _record(self, order: Order) -> Item:
        """How the order stands: with the next version, and its place in one of the indexes."""
        item = to_item(replace(order, ordered=None, version=order.version + 1))
        shard = unfinished_shard(order.order_id, self.unfinished_keys)
        if not order.is_finished:
            item["unfinished"] = {"S": shard}
        elif self.lists_ended:
            item["ended"] = {"S": ended_key(order.status, order.placed_at, shard)}
        return item


def unfinished_shard(order_id: str, keys: int = LEAST_UNFINISHED_KEYS) -> str:
    """A key under which the index ``unfinished`` holds an order: one of so many."""
    return str(zlib.crc32(order_id.encode()) % keys)


def ended_key(status: Status, placed_at: str, shard: str) -> str:
    """The key under which the index ``ended`` holds the orders of a day that ended alike.

    Args:
        status: how they ended.
        placed_at: a time of the day on which they were placed; only its date matters.
        shard: as ``unfinished_shard`` has it, so that no key gets hot.
    """
    return f"{status}/{placed_at[:_DATE_LENGTH]}/{shard}"


def _order(item: Item) -> Order:
    values = values_of(item)
    # Every order that came through the API has an amount.
    ordered = values if "amount" in values else None
    return from_values({**values, "ordered": ordered}, Order)


def _repeated(item: Item) -> tuple[Order, Repeats]:
    return _order(item), from_values(values_of(item), Repeats)
