"""Lists the orders of a span of time, newest first, in pages: also those that have ended.

Two indexes of the table `orders` serve it. An order is in `unfinished` until it has ended, and then
in `ended`, under how it ended and the day on which it was placed. Both give keys alone; what is
shown of an order is read from the table, half a read unit each. So a SKU, a reason or a text is
looked for in every order of the span, until the page is full or so many were looked at.

A stack fills the second index only if it is told to. Whatever has ended without it is found by a
scan of the whole table, which costs half a read unit for each 4 KB of it, and nothing an order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.times import format_time
from orders.aws.order_table import LEAST_UNFINISHED_KEYS, ended_key
from orders.order import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from orderctl.pipeline.orders import Item, Orders
    from orderctl.pipeline.stack import Stack

STATUSES: Final[tuple[Status, ...]] = ("placed", "confirmed", "cancelled")
"""Every status that an order can have."""
PARAMETER: Final = "OrdersIndex"
KEYS_PARAMETER: Final = "UnfinishedOrderKeys"
_ENDS: Final[tuple[Status, ...]] = ("confirmed", "cancelled")
_KEYS: Final = "order_id, placed_at"
_READ_AT_ONCE = 100
_KEYS_OF_A_SEARCH = 1000
"""Of some 60 bytes each: where most orders do not fit, many keys are needed."""

Key = tuple[str, str]
"""When an order was placed, and its id: the place of an order in the list."""


class NotListedError(OrderctlError):
    """The stack does not list the orders that have ended."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders to list."""

    since: datetime
    """Orders that were placed at this time or later."""
    until: datetime
    """Orders that were placed at this time or earlier."""
    statuses: Sequence[Status] = STATUSES
    sku: str | None = None
    """Only orders with this article."""
    reason: str | None = None
    """Only orders whose reason contains this text, in capital or small letters."""
    text: str | None = None
    """Only orders that contain this text somewhere in what a list shows of them, or in the id of
    their customer; in capital or small letters."""
    unfinished: bool = False
    """Only orders that are not finished: these every stack lists."""
    scan: bool = False
    """Whether the whole table is read in place of the indexes."""

    @property
    def is_search(self) -> bool:
        """Whether the orders themselves say which fit."""
        return any((self.sku, self.reason, self.text))

    def fits(self, order: Item) -> bool:
        """Whether an order is one of them, as far as the indexes do not say."""
        reason = reading.to_text(order.get("reason") or "")
        return (
            order.get("status") in self.statuses
            and (self.sku is None or self.sku in _skus(order))
            and (self.reason is None or self.reason.lower() in reason.lower())
            and (self.text is None or any(self.text.lower() in each for each in _texts(order)))
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the orders."""

    orders: tuple[Item, ...]
    next: str | None
    """Where the next page starts; None when this is the last."""
    looked_at: int = 0
    """How many orders were looked at to find these."""


class OrderList:
    """The orders of one stack by the time at which they were placed."""

    def __init__(self, dynamodb: DynamoDBClient, orders: Orders, stack: Stack) -> None:
        """Take the stack and its tables."""
        self._dynamodb = dynamodb
        self._orders = orders
        self._stack = stack

    def page(
        self, wanted: Wanted, limit: int, after: str | None = None, look_at: int | None = None
    ) -> Page:
        """A page of orders, newest first.

        Args:
            wanted: which orders.
            limit: how many at most.
            after: the `next` of the page before; None for the first.
            look_at: how many orders to look at, at most; then the page ends, full or not, and the
                next one goes on from there. None: as many as it takes.

        Raises:
            NotListedError: orders that have ended are wanted, and the stack does not list them.
            ValueError: `after` is not the end of a page.
        """
        found: list[Item] = []
        looked_at, last = 0, ""
        for (placed_at, order_id), order in self._every_place(wanted, after):
            if looked_at == look_at:
                return Page(tuple(found), last, looked_at)
            looked_at, last = looked_at + 1, f"{placed_at}/{order_id}"
            if order and wanted.fits(order):
                if len(found) == limit:
                    return Page(tuple(found), _cursor(found[-1]), looked_at)
                found.append(order)
        return Page(tuple(found), None, looked_at)

    def every(self, wanted: Wanted, after: str | None = None) -> Iterator[Item]:
        """All orders that are wanted, newest first, read as they are asked for.

        Raises:
            NotListedError: orders that have ended are wanted, and the stack does not list them.
            ValueError: `after` is not the end of a page.
        """
        places = self._every_place(wanted, after)
        return (order for _, order in places if order and wanted.fits(order))

    def _every_place(self, wanted: Wanted, after: str | None) -> Iterator[tuple[Key, Item | None]]:
        """The places to look at, each with its order; None for one that is gone."""
        start = _parse_cursor(after) if after else None
        if set(_ENDS) & set(wanted.statuses) and not (wanted.unfinished or wanted.scan):
            self._check_listed()
        return self._read(self._keys(wanted, start))

    def _read(self, keys: Iterator[Key]) -> Iterator[tuple[Key, Item | None]]:
        while chunk := list(islice(keys, _READ_AT_ONCE)):
            found = self._orders.find([order_id for _, order_id in chunk])
            yield from ((key, found.get(key[1])) for key in chunk)

    def _keys(self, wanted: Wanted, start: Key | None) -> Iterator[Key]:
        """The places of the orders of the span, each once: an index may lag behind the other."""
        last = min(start[0], format_time(wanted.until)) if start else format_time(wanted.until)
        places = (
            self._scanned(wanted, last)
            if wanted.scan
            else heapq.merge(
                self._unfinished(wanted, last), self._ended(wanted, last), reverse=True
            )
        )
        for key, _ in groupby(places):
            if start is None or key < start:
                yield key

    def _unfinished(self, wanted: Wanted, last: str) -> Iterator[Key]:
        if set(wanted.statuses) == {"confirmed"}:  # such an order is finished
            return iter(())
        return self._newest_first("unfinished", self._shards(), wanted, last)

    def _ended(self, wanted: Wanted, last: str) -> Iterator[Key]:
        ends = [status for status in _ENDS if status in wanted.statuses and not wanted.unfinished]
        day = (reading.parse_time(last) or wanted.until).date()
        while ends and day >= wanted.since.astimezone(UTC).date():
            keys = [
                ended_key(status, day.isoformat(), shard)
                for status in ends
                for shard in self._shards()
            ]
            yield from self._newest_first("ended", keys, wanted, last)
            day -= timedelta(days=1)

    def _scanned(self, wanted: Wanted, last: str) -> Iterator[Key]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._stack.outputs["OrdersTableName"],
            FilterExpression="placed_at BETWEEN :first AND :last",
            ExpressionAttributeValues=_times(wanted, last),
            ProjectionExpression=_KEYS,
        )
        yield from sorted((key for page in pages for key in map(_key, page["Items"])), reverse=True)

    def _shards(self) -> list[str]:
        """Over which keys the stack spreads its indexes."""
        count = int(self._stack.parameters().get(KEYS_PARAMETER, LEAST_UNFINISHED_KEYS))
        return [str(shard) for shard in range(count)]

    def _newest_first(
        self, index: str, keys: Sequence[str], wanted: Wanted, last: str
    ) -> Iterator[Key]:
        """The orders under several keys of an index that were placed between two times."""
        return heapq.merge(*(self._under(index, key, wanted, last) for key in keys), reverse=True)

    def _under(self, index: str, key: str, wanted: Wanted, last: str) -> Iterator[Key]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._stack.outputs["OrdersTableName"],
            IndexName=index,
            KeyConditionExpression="#key = :key AND placed_at BETWEEN :first AND :last",
            ExpressionAttributeNames={"#key": index},
            ExpressionAttributeValues={":key": {"S": key}, **_times(wanted, last)},
            ProjectionExpression=_KEYS,
            ScanIndexForward=False,
            PaginationConfig={"PageSize": _page_size(wanted)},
        )
        places = (key for page in pages for key in map(_key, page["Items"]))
        # DynamoDB does not say in which order those of the same time come.
        for _, together in groupby(places, key=lambda place: place[0]):
            yield from sorted(together, reverse=True)

    def _check_listed(self) -> None:
        value = self._stack.parameters().get(PARAMETER)
        if value != "true":
            why = f"its parameter {PARAMETER} is {value}" if value else "it is from before that"
            raise NotListedError(
                f"Stack {self._stack.name} does not list the orders that have ended: {why}. "
                "orderctl orders --scan reads the whole table to list them. Deploy the stack with "
                f"--param {PARAMETER}=true, and those that end from then on are listed without."
            )


def _times(wanted: Wanted, last: str) -> dict[str, AttributeValueTypeDef]:
    """The span of time, as the values of an expression."""
    return {":first": {"S": format_time(wanted.since)}, ":last": {"S": last}}


def _key(item: Mapping[str, AttributeValueTypeDef]) -> Key:
    return item["placed_at"]["S"], item["order_id"]["S"]


def _page_size(wanted: Wanted) -> int:
    """How many keys are read at once."""
    return _KEYS_OF_A_SEARCH if wanted.is_search else _READ_AT_ONCE


def _texts(order: Item) -> Iterator[str]:
    """What a list shows of an order, and its customer, in small letters."""
    names = ("order_id", "status", "payment", "inventory", "reason", "customer_id")
    shown = (reading.to_text(order.get(name) or "") for name in names)
    skus = map(reading.to_text, _skus(order))
    return (text.lower() for text in (*shown, reading.amount(order), *skus))


def _skus(order: Item) -> list[Any]:
    return [line.get("sku") for line in reading.maps(order.get("items"))]


def _cursor(order: Item) -> str:
    return f"{order['placed_at']}/{order['order_id']}"


def _parse_cursor(text: str) -> Key:
    placed_at, slash, order_id = text.partition("/")
    if not slash or not order_id or reading.parse_time(placed_at) is None:
        raise ValueError(f"{text!r} is not the end of a page")
    return placed_at, order_id


def in_words(order: Item) -> str:
    """How an order ended and why, as orders are counted: without what differs in each.

    Such as `cancelled: out of stock`, where the reason says of which article.
    """
    status = reading.to_text(order.get("status") or reading.UNREADABLE)
    reason = reading.to_text(order.get("reason") or "").partition(":")[0]
    return f"{status}: {reason}" if reason else status
