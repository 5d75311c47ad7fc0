"""``auditor``: reads all the books on a schedule, however large the tables are.

It is called once a minute while the schedule is on, and goes on where it ended. It may run twice
at once and die anywhere: what it has read counts when its leg is written, and never twice. It
writes nothing but the table ``audit``.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orders.audit.decisions import Books, Finding, Unreadable, reserved
from orders.audit.legs import Leg, Run, Stage, Task, Way
from orders.audit.mending import mend
from orders.audit.progress import Progress
from orders.audit.queues import QueueDepths
from orders.audit.records import pack_stock, read_reservation, read_stock
from orders.audit.settling import Judge
from orders.audit.tables import SEGMENTS, TableNames, Tables, note
from orders.aws import clients, telemetry
from orders.aws.errors import AwsError, reason
from orders.card_books import CardBooks, SimulatedCardBooks
from orders.clock import timestamp
from orders.events import is_time

if TYPE_CHECKING:
    from orders.aws.context import Context

READ_UNITS_A_SECOND: Final = 2000
"""How many it consumes at most, over three tables: each of them alone takes 12,000 a second when it
is new ("On-demand capacity mode", DynamoDB developer guide)."""
ITEMS_A_PAGE: Final = 100
"""Two calls of ``BatchGetItem`` look them up in two tables."""
SETTLED_AT_ONCE: Final = 300
"""How many orders that did not look right are read again together."""
_LEG_MILLISECONDS: Final = 15_000
"""How long a leg takes at most: so much is done again when the function dies."""
_SPARED_MILLISECONDS: Final = 15_000
"""How long before its timeout it takes up nothing new."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Auditor:
    """Reads the books, leg by leg, and says what does not hold."""

    tables: Tables
    books: CardBooks
    progress: Progress
    queues: QueueDepths
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, event: dict[str, Any], context: Context) -> None:
        """Begin an audit unless one is on, and go on with it while there is time.

        Args:
            event: with ``continue`` no audit is begun.
            context: the invocation's.

        Raises:
            AwsError: a call failed; the next invocation goes on.
        """
        telemetry.begin(context)
        run = self.progress.last_run()
        if not event.get("continue") and (run is None or run.ended_at):
            run = self._begin(run)
        if run:
            self._report(run)  # first, so that one that is always killed is noticed
        if run and not run.ended_at and (ended := self._go_on(run, context)).ended_at:
            self._report(ended)

    def _begin(self, last: Run | None) -> Run | None:
        run = Run(began_at=timestamp(self.now()), findings=last.findings if last else 0)
        if self.progress.begin(run):
            telemetry.info("audit began", run=run.began_at)
            return run
        return self.progress.last_run()

    def _go_on(self, run: Run, context: Context) -> Run:
        """Walk legs while there is time."""
        way = Way(self.progress.legs(run.began_at))
        while tasks := way.tasks():
            if _is_late(context):
                telemetry.info("audit goes on later", run=run.began_at, next=tasks[0].leg)
                return run
            # Whoever runs at the same time takes another segment, mostly.
            leg = self._walk(run, random.choice(tasks), way, context)  # noqa: S311
            if self.progress.add(leg, self.now()):
                way.add(leg)
            else:
                way = Way(self.progress.legs(run.began_at))
        return self._end(run, way)

    def _walk(self, run: Run, task: Task, way: Way, context: Context) -> Leg:
        """Read as much of a segment as a leg takes."""
        leg = Leg(run=run.began_at, leg=task.leg, end=task.start)
        began = context.get_remaining_time_in_millis()
        while True:
            before, units = context.get_remaining_time_in_millis(), self.tables.read_units
            try:
                self._read_page(leg, task, way)
            except AwsError as error:
                if leg.end == task.start:
                    raise
                telemetry.warning("leg ends early", leg=task.leg, reason=reason(error))
                return leg
            took = (before - context.get_remaining_time_in_millis()) / 1000
            self.sleep(max(0.0, (self.tables.read_units - units) / READ_UNITS_A_SECOND - took))
            is_long = began - context.get_remaining_time_in_millis() > _LEG_MILLISECONDS
            if leg.end is None or leg.is_full or is_long or _is_late(context):
                return leg

    def _read_page(self, leg: Leg, task: Task, way: Way) -> None:
        """Add one page to a leg; an error leaves the leg as it was."""
        match task.stage:
            case Stage.STOCK:
                self._read_stock(leg)
            case Stage.RESERVATIONS:
                self._read_reservations(leg, task)
            case Stage.PAYMENTS:
                self._read_payments(leg, task)
            case Stage.ORDERS:
                self._read_orders(leg, task)
            case Stage.SETTLE:
                self._settle(leg, way.suspects())

    def _read_stock(self, leg: Leg) -> None:
        start = {"sku": {"S": leg.end}} if leg.end else None
        items, end = self.tables.page(
            self.tables.names.stock, start, Limit=ITEMS_A_PAGE, ConsistentRead=True
        )
        leg.stock |= {item["sku"]["S"]: pack_stock(read_stock(item)) for item in items}
        _went(leg, len(items), end["sku"]["S"] if end else None)

    def _read_reservations(self, leg: Leg, task: Task) -> None:
        """Add up what is reserved; the first time, look for reservations without an order too."""
        items, end = self._page("reservation", leg, task, is_consistent=True)
        reservations = [read_reservation(item) for item in items]
        suspects = self._without_order(items, "reservation") if task.round == 0 else set()
        leg.unreadable += sum(isinstance(each, Unreadable) for each in reservations)
        for sku, quantity in reserved(reservations).items():
            leg.held[sku] = leg.held.get(sku, 0) + quantity
        leg.suspects |= suspects
        _went(leg, len(items), end)

    def _read_payments(self, leg: Leg, task: Task) -> None:
        """Look for charges without an order."""
        items, end = self._page("payment", leg, task)
        leg.suspects |= self._without_order(items, "payment")
        _went(leg, len(items), end)

    def _read_orders(self, leg: Leg, task: Task) -> None:
        """Look at orders, each with what its payment and its reservation say."""
        items, end = self._page("order", leg, task)
        ids = [item["order_id"]["S"] for item in items]
        found = self.tables.read(ids, ("payment", "reservation"), is_consistent=False)
        for item in items:
            note(found, item, "order")
        leg.suspects |= self._suspects(found)
        _went(leg, len(items), end)

    def _without_order(self, items: list[dict[str, Any]], record: str) -> set[str]:
        """Of records those that would be wrong without an order, and have none."""
        found: dict[str, Books] = {}
        for item in items:
            note(found, item, record)
        suspects = self._suspects(found)
        orders = self.tables.read(suspects, ("order",), is_consistent=False)
        return {order_id for order_id, books in orders.items() if books.order is None}

    def _suspects(self, found: dict[str, Books]) -> set[str]:
        judge = self._judge()
        return {order_id for order_id, books in found.items() if judge.judge(books)}

    def _settle(self, leg: Leg, suspects: list[str]) -> None:
        """Read again what did not look right, and log what does not hold."""
        start = int(leg.end or 0)
        end = start + SETTLED_AT_ONCE
        settled = self._judge().settle(suspects[start:end])
        self._log("order_id", settled.findings)
        leg.findings += len(settled.findings)
        leg.not_judged += len(settled.moving)
        _went(leg, len(suspects[start:end]), str(end) if end < len(suspects) else None)

    def _end(self, run: Run, way: Way) -> Run:
        """Say what came of a run."""
        stock, settled = way.findings_of_stock(), way.of(Stage.SETTLE)
        self._log("sku", stock.findings)
        ended = Run(
            began_at=run.began_at,
            ended_at=timestamp(self.now()),
            findings=len(stock.findings) + sum(leg.findings for leg in settled),
        )
        if self.progress.end(ended):
            telemetry.info(
                "audit ended",
                run=run.began_at,
                orders=sum(leg.read for leg in way.of(Stage.ORDERS)),
                skus=len(way.levels()),
                findings=ended.findings,
                not_judged=len(stock.left) + sum(leg.not_judged for leg in settled),
            )
        return ended

    def _report(self, run: Run) -> None:
        """Report the metrics that the alarms look at, zero included."""
        minutes = 0
        if not run.ended_at and is_time(run.began_at):
            minutes = (self.now() - datetime.fromisoformat(run.began_at)) // timedelta(minutes=1)
        telemetry.gauge(AuditFindings=run.findings, AuditMinutes=minutes)

    def _log(self, subject: str, findings: list[Finding]) -> None:
        """Name what does not hold, and the command that mends it."""
        for finding in findings:
            command = mend(finding, self.tables.names, self.now())
            telemetry.error(
                "audit finding", rule=finding.kind, mend=command, **{subject: finding.subject}
            )

    def _page(
        self, record: str, leg: Leg, task: Task, *, is_consistent: bool = False
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The next page of a segment, and where the page after it begins."""
        items, end = self.tables.page(
            self.tables.names.of(record),
            {"order_id": {"S": leg.end}} if leg.end else None,
            Segment=task.segment,
            TotalSegments=SEGMENTS,
            Limit=ITEMS_A_PAGE,
            ConsistentRead=is_consistent,
        )
        return items, end["order_id"]["S"] if end else None

    def _judge(self) -> Judge:
        return Judge(
            books=self.books,
            read=self.tables.read,
            queues=self.queues.look,
            now=self.now,
            sleep=self.sleep,
        )


def _went(leg: Leg, read: int, end: str | None) -> None:
    """Note how far a leg has come."""
    leg.read += read
    leg.end = end


def _is_late(context: Context) -> bool:
    return context.get_remaining_time_in_millis() < _SPARED_MILLISECONDS


_dynamodb = clients.dynamodb()
handler = Auditor(
    tables=Tables(
        _dynamodb,
        TableNames(
            order=os.environ["ORDERS_TABLE"],
            payment=os.environ["PAYMENTS_TABLE"],
            reservation=os.environ["RESERVATIONS_TABLE"],
            stock=os.environ["STOCK_TABLE"],
        ),
    ),
    books=SimulatedCardBooks(),
    progress=Progress(_dynamodb, os.environ["AUDIT_TABLE"]),
    queues=QueueDepths(
        clients.sqs,
        consumed=[
            os.environ[f"{name}_QUEUE_URL"] for name in ("PAYMENTS", "INVENTORY", "OUTCOMES")
        ],
        dead_letter=[
            os.environ[f"{name}_DLQ_URL"]
            for name in ("PAYMENTS", "INVENTORY", "OUTCOMES", "UNDELIVERABLE_EVENTS")
        ],
    ),
)
