"""Reads all the books of a pipeline, and finds where they do not agree.

The rules are `orders.audit`; here is how the tables are read while orders flow. The scan may be old
by a moment, and a table is not read at one point in time. So whatever does not look right is read
again, consistently, until it reads the same twice; and what a message on its way would put right is
not judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from orderctl.pipeline import reading
from orderctl.pipeline.dead_letters import order_id_in
from orderctl.pipeline.steps import CONSUMERS
from orders.audit.decisions import (
    Books,
    Finding,
    Reservation,
    StockLevel,
    Unreadable,
    audit_order,
    audit_stock,
    is_in_flight,
)
from orders.audit.records import read_order, read_payment, read_reservation, read_stock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orderctl.pipeline.pipeline import Pipeline
    from orders.card_books import CardBooks

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Is told how many items are read, of about how many."""

_SEGMENTS = 8
_READ_AT_ONCE = 33  # orders: three items each, and BatchGetItem takes 100
_ROUNDS = 4
_PAUSE_SECONDS = 1.0
_STOCK_PASSES = 3
_ON_ITS_WAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit has found, and what it could not judge."""

    findings: tuple[Finding, ...]
    """By order id and SKU."""
    orders: int
    """How many order ids were looked at."""
    skus: int
    in_flight: int
    """Orders that have not ended yet."""
    moving: tuple[str, ...]
    """Orders that changed while they were looked at, or wait for a message that is on its way."""
    skus_moving: tuple[str, ...]
    """Articles whose stock changed all the time, or of which a reservation cannot be read."""
    skus_unknown: tuple[str, ...]
    """Articles of which nobody noted how much was put in."""
    waiting: Mapping[str, int]
    """Messages in the consumers' queues, by queue; without the empty ones."""
    parked: Mapping[str, int]
    """Messages in the dead-letter queues, by queue; without the empty ones."""


@dataclass(slots=True)
class _Queues:
    waiting: dict[str, int]
    parked: dict[str, int]
    parked_orders: set[str] = field(default_factory=set)
    is_paused: bool = False


def audit(pipeline: Pipeline, progress: Progress = lambda _done, _total: None) -> Report:
    """Read all the books, and say what does not agree.

    Args:
        pipeline: whose books they are.
        progress: is told how far the scan is.

    Raises:
        ClientError, BotoCoreError: AWS could not be asked.
    """
    tables = Tables(pipeline.session.client("dynamodb"), pipeline.stack.outputs)
    stock_before = tables.stock()
    scanned = tables.scan(progress)
    stock_after = tables.stock()
    first = _Pass(stock_before, stock_after, _reserved(scanned.values()))
    auditor = _Auditor(pipeline.card_books, tables)
    findings, moving, in_flight = auditor.settle(scanned)
    queues = _queues(pipeline, findings)
    # What left the queues by now was perhaps put right.
    findings = auditor.still(findings)
    late = [finding for finding in findings if _is_on_its_way(finding, queues)]
    off, skus_moving = _audit_stock(tables, first)
    if any(isinstance(books.reservation, Unreadable) for books in scanned.values()):
        # Nobody knows what it holds, so the sums cannot be right.
        skus_moving |= {finding.subject for finding in off if finding.off_by}
        off = [finding for finding in off if not finding.off_by]
    sure = [*(finding for finding in findings if finding not in late), *off]
    return Report(
        findings=tuple(sorted(sure, key=lambda finding: (finding.subject, finding.kind))),
        orders=len(scanned),
        skus=len(stock_after),
        in_flight=in_flight,
        moving=tuple(sorted(moving | {finding.subject for finding in late})),
        skus_moving=tuple(sorted(skus_moving)),
        skus_unknown=tuple(
            sorted(
                sku
                for sku, level in stock_after.items()
                if isinstance(level, StockLevel) and level.put_in is None
            )
        ),
        waiting=queues.waiting,
        parked=queues.parked,
    )


class Tables:
    """The four tables, read for an audit."""

    def __init__(self, dynamodb: DynamoDBClient, outputs: Mapping[str, str]) -> None:
        """Take the stack's outputs, which name the tables."""
        self._dynamodb = dynamodb
        # In this order: an order's payment is written before its end is.
        self._readers: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
            outputs["PaymentsTableName"]: ("payment", read_payment),
            outputs["ReservationsTableName"]: ("reservation", read_reservation),
            outputs["OrdersTableName"]: ("order", read_order),
        }
        self._reservations = outputs["ReservationsTableName"]
        self._stock = outputs["StockTableName"]

    def scan(self, progress: Progress) -> dict[str, Books]:
        """What the tables say of every order, by order id, as of about now."""
        total = sum(
            self._dynamodb.describe_table(TableName=table)["Table"].get("ItemCount", 0)
            for table in self._readers
        )
        found: dict[str, Books] = {}
        done = 0
        for table, (name, read) in self._readers.items():
            for item in self._segments(table):
                done += 1
                if not done % 1000:
                    progress(done, max(done, total))
                _note(found, item, name, read)
        return found

    def read(self, order_ids: Collection[str]) -> dict[str, Books]:
        """What the tables say of orders now; of one that they do not know, nothing."""
        found = {order_id: Books(order_id) for order_id in order_ids}
        ids = list(order_ids)
        for start in range(0, len(ids), _READ_AT_ONCE):
            keys = [{"order_id": {"S": i}} for i in ids[start : start + _READ_AT_ONCE]]
            wanted: Any = {table: {"Keys": keys, "ConsistentRead": True} for table in self._readers}
            while wanted:
                answer = self._dynamodb.batch_get_item(RequestItems=wanted)
                for table, items in answer["Responses"].items():
                    for item in items:
                        _note(found, item, *self._readers[table])
                if wanted := answer.get("UnprocessedKeys"):
                    time.sleep(_PAUSE_SECONDS)
        return found

    def stock(self) -> dict[str, StockLevel | Unreadable]:
        """What there is of each article now."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._stock, ConsistentRead=True
        )
        return {item["sku"]["S"]: read_stock(item) for page in pages for item in page["Items"]}

    def reserved(self) -> Counter[str]:
        """How much of each article orders hold now."""
        items = self._segments(
            self._reservations,
            ConsistentRead=True,
            FilterExpression="#state = :reserved",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":reserved": {"S": "reserved"}},
        )
        return _reserved(Books("", reservation=read_reservation(item)) for item in items)

    def _segments(self, table: str, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        """The items of a table, from a scan in segments side by side."""
        keys: list[Any] = [None] * _SEGMENTS

        def page(segment: int) -> list[dict[str, Any]]:
            start = {"ExclusiveStartKey": keys[segment]} if keys[segment] else {}
            answer = self._dynamodb.scan(
                TableName=table, Segment=segment, TotalSegments=_SEGMENTS, **start, **parameters
            )
            keys[segment] = answer.get("LastEvaluatedKey")
            return answer["Items"]

        with ThreadPoolExecutor(_SEGMENTS) as executor:
            left: Sequence[int] = range(_SEGMENTS)
            while left:
                for items in executor.map(page, left):
                    yield from items
                left = [segment for segment in left if keys[segment]]


def _note(
    found: dict[str, Books],
    item: dict[str, Any],
    name: str,
    read: Callable[[dict[str, Any]], Any],
) -> None:
    """Add an item to what is known of its order."""
    order_id = item["order_id"]["S"]
    record: dict[str, Any] = {name: read(item)}
    found[order_id] = replace(found.get(order_id) or Books(order_id), **record)


def _reserved(books: Iterable[Books]) -> Counter[str]:
    held: Counter[str] = Counter()
    for each in books:
        if isinstance(each.reservation, Reservation) and each.reservation.state == "reserved":
            for line in each.reservation.lines:
                held[line.sku] += line.quantity
    return held


@dataclass(frozen=True, slots=True)
class _Auditor:
    """Judges orders, and reads again what does not look right."""

    books: CardBooks
    tables: Tables

    def settle(self, scanned: Mapping[str, Books]) -> tuple[list[Finding], set[str], int]:
        """Judge every order.

        Returns:
            What does not hold; the orders that changed all the time; and how many are in flight.
        """
        suspects = {
            id_ for id_, books in scanned.items() if self._judge(books) or is_in_flight(books)
        }
        last: dict[str, list[Finding]] = {}
        sure: list[Finding] = []
        in_flight: set[str] = set()
        for number in range(_ROUNDS):
            if not suspects:
                break
            if number:
                time.sleep(_PAUSE_SECONDS)
            now = self.tables.read(suspects)
            found = {id_: self._judge(books) for id_, books in now.items()}
            in_flight = {id_ for id_, books in now.items() if is_in_flight(books)}
            waits = number < _ROUNDS - 1
            for id_ in list(suspects):
                passes = id_ in in_flight or any(f.may_pass for f in found[id_])
                if id_ in last and found[id_] == last[id_] and not (passes and waits):
                    sure += found[id_]
                    suspects.remove(id_)
                elif not found[id_] and id_ not in in_flight:
                    suspects.remove(id_)
            last = found
        return sure, suspects - in_flight, len(in_flight)

    def still(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that are still so, of those that may pass; and all others."""
        now = self.tables.read({finding.subject for finding in findings if finding.may_pass})
        found = {id_: self._judge(books) for id_, books in now.items()}
        return [f for f in findings if not f.may_pass or f in found[f.subject]]

    def _judge(self, books: Books) -> list[Finding]:
        return audit_order(replace(books, booked=self.books.find(books.order_id)))


def _queues(pipeline: Pipeline, findings: Sequence[Finding]) -> _Queues:
    """What waits and what is parked; of which orders, if that matters to a finding."""
    waiting = {}
    for step in CONSUMERS.values():
        queue = pipeline.queue(step.queue)
        if depth := queue.depth():
            waiting[queue.name] = depth
    queues = _Queues(waiting, {n: d for n, d in pipeline.dead_letters.depths().items() if d})
    if any(finding.may_pass for finding in findings):
        if waiting:
            consumers = map(pipeline.consumer, CONSUMERS)
            queues.is_paused = any(consumer.state() == "Disabled" for consumer in consumers)
        for dead_letters in pipeline.dead_letters.queues():
            if dead_letters.name in queues.parked:
                with dead_letters.peek() as messages:
                    ids = {order_id_in(message.body) for message in messages}
                queues.parked_orders |= set(filter(None, ids))
    return queues


def _is_on_its_way(finding: Finding, queues: _Queues) -> bool:
    """Whether a message that waits or is parked may put right what was found."""
    if not finding.may_pass:
        return False
    if finding.subject in queues.parked_orders or (queues.waiting and queues.is_paused):
        return True
    moved = reading.parse_time(finding.until)
    return bool(queues.waiting) and moved is not None and datetime.now(UTC) - moved < _ON_ITS_WAY


@dataclass(frozen=True, slots=True)
class _Pass:
    """The stock before and after all reservations were added up."""

    before: Mapping[str, StockLevel | Unreadable]
    after: Mapping[str, StockLevel | Unreadable]
    reserved: Counter[str]

    def judge(self, sku: str) -> tuple[bool, Finding | None]:
        """Whether the stock stood still, and what does not hold."""
        stock = self.after.get(sku)
        finding = audit_stock(stock, sku, self.reserved[sku]) if stock else None
        return self.before.get(sku) == stock, finding


def _audit_stock(tables: Tables, first: _Pass) -> tuple[list[Finding], set[str]]:
    """Add up the stock of every article, and again what does not add up.

    Args:
        tables: where it is read again.
        first: from the scan.

    Returns:
        What is off twice in the same way, and the articles that were never still.
    """
    left: dict[str, Finding | None] = dict.fromkeys(
        sku for sku in first.after if first.judge(sku) != (True, None)
    )
    findings: list[Finding] = []
    for _ in range(_STOCK_PASSES):
        if not left:
            break
        before, reserved = tables.stock(), tables.reserved()
        again = _Pass(before, tables.stock(), reserved)
        for sku, last in list(left.items()):
            still, finding = again.judge(sku)
            if still and finding and finding == last:
                findings.append(finding)
            if still and finding in (None, last):
                del left[sku]
            else:
                left[sku] = finding if still else None
    return findings, set(left)
