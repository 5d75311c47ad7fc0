"""Reads all the books of a pipeline, and finds where they do not agree.

The rules, and how orders are read again while they flow, are `orders.audit`'s; here the tables are
read as a whole, into memory. The scan may be old by a moment, and a table is not read at one point
in time. So whatever does not look right is read again, consistently, until it reads the same twice;
and what a message on its way would put right is not judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orderctl.pipeline.dead_letters import order_id_in
from orderctl.pipeline.steps import CONSUMERS
from orders.audit.decisions import (
    Books,
    Finding,
    Queues,
    StockAudit,
    StockLevel,
    StockPass,
    Unreadable,
    is_in_flight,
    reserved,
)
from orders.audit.records import read_reservation
from orders.audit.settling import Judge
from orders.audit.tables import RECORDS, SEGMENTS, TableNames, Tables, note

if TYPE_CHECKING:
    from orderctl.pipeline.pipeline import Pipeline

Progress = Callable[[int, int], None]
"""Is told how many items are read, of about how many."""


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


def audit(pipeline: Pipeline, progress: Progress = lambda _done, _total: None) -> Report:
    """Read all the books, and say what does not agree.

    Args:
        pipeline: whose books they are.
        progress: is told how far the scan is.

    Raises:
        ClientError, BotoCoreError: AWS could not be asked.
    """
    client = pipeline.session.client("dynamodb")
    tables = _WholeTables(client, table_names(pipeline.stack.outputs))
    stock_before = tables.stock()
    scanned = tables.scan(progress)
    stock_after = tables.stock()
    reservations = [books.reservation for books in scanned.values()]
    first = StockPass(stock_before, stock_after, reserved(reservations))
    judge = Judge(
        books=pipeline.card_books,
        read=tables.read,
        queues=lambda: _on_their_way(pipeline),
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )
    settled = judge.settle(
        [id_ for id_, books in scanned.items() if judge.judge(books) or is_in_flight(books)]
    )
    waiting, parked = _depths(pipeline)
    stock = _audit_stock(tables, first)
    if any(isinstance(reservation, Unreadable) for reservation in reservations):
        stock.distrust()
    sure = [*settled.findings, *stock.findings]
    return Report(
        findings=tuple(sorted(sure, key=lambda finding: (finding.subject, finding.kind))),
        orders=len(scanned),
        skus=len(stock_after),
        in_flight=settled.in_flight,
        moving=tuple(sorted(settled.moving)),
        skus_moving=tuple(sorted(stock.left)),
        skus_unknown=tuple(
            sorted(
                sku
                for sku, level in stock_after.items()
                if isinstance(level, StockLevel) and level.put_in is None
            )
        ),
        waiting=waiting,
        parked=parked,
    )


class _WholeTables(Tables):
    """The tables, each read as a whole into memory."""

    def scan(self, progress: Progress) -> dict[str, Books]:
        """What the tables say of every order, by order id, as of about now."""
        total = sum(
            self._client.describe_table(TableName=self.names.of(record))["Table"].get(
                "ItemCount", 0
            )
            for record in RECORDS
        )
        found: dict[str, Books] = {}
        done = 0
        for record in RECORDS:
            for item in self._segments(self.names.of(record)):
                done += 1
                if not done % 1000:
                    progress(done, max(done, total))
                note(found, item, record)
        return found

    def reserved(self) -> Counter[str]:
        """How much of each SKU orders hold now."""
        items = self._segments(
            self.names.reservation,
            ConsistentRead=True,
            FilterExpression="#state = :reserved",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":reserved": {"S": "reserved"}},
        )
        return reserved(map(read_reservation, items))

    def _segments(self, table: str, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        """The items of a table, from a scan in segments side by side."""
        keys: list[Any] = [None] * SEGMENTS

        def page(segment: int) -> list[dict[str, Any]]:
            items, keys[segment] = self.page(
                table, keys[segment], Segment=segment, TotalSegments=SEGMENTS, **parameters
            )
            return items

        with ThreadPoolExecutor(SEGMENTS) as executor:
            left: Sequence[int] = range(SEGMENTS)
            while left:
                for items in executor.map(page, left):
                    yield from items
                left = [segment for segment in left if keys[segment]]


def table_names(outputs: Mapping[str, str]) -> TableNames:
    """What a stack's tables are called, by its outputs."""
    return TableNames(
        order=outputs["OrdersTableName"],
        payment=outputs["PaymentsTableName"],
        reservation=outputs["ReservationsTableName"],
        stock=outputs["StockTableName"],
    )


def _depths(pipeline: Pipeline) -> tuple[dict[str, int], dict[str, int]]:
    """How many messages wait and how many are parked, by queue; without the empty ones."""
    queues = [pipeline.queue(step.queue) for step in CONSUMERS.values()]
    waiting = {queue.name: depth for queue in queues if (depth := queue.depth())}
    return waiting, {name: d for name, d in pipeline.dead_letters.depths().items() if d}


def _on_their_way(pipeline: Pipeline) -> Queues:
    """What may put right a finding that may pass."""
    waiting, parked = _depths(pipeline)
    consumers = map(pipeline.consumer, CONSUMERS)
    parked_orders: set[str] = set()
    for dead_letters in pipeline.dead_letters.queues():
        if dead_letters.name in parked:
            with dead_letters.peek() as messages:
                ids = {order_id_in(message.body) for message in messages}
            parked_orders |= set(filter(None, ids))
    return Queues(
        is_waiting=bool(waiting),
        is_paused=bool(waiting) and any(it.state() == "Disabled" for it in consumers),
        parked=parked_orders,
    )


def _audit_stock(tables: _WholeTables, first: StockPass) -> StockAudit:
    """Add up the stock of every SKU, and again what does not add up."""
    audited = StockAudit()
    audited.add(first)
    while not audited.is_done:
        before, held = tables.stock(), tables.reserved()
        audited.add(StockPass(before, tables.stock(), held))
    return audited
