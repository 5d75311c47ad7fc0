"""`orderctl audit`: whether the books balance."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from msgspec.structs import astuple

from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import history as feeds
from orderctl.pipeline import reading
from orderctl.pipeline.audit import Report, table_names
from orderctl.pipeline.audit import audit as read_books
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Document
from orders.audit.mending import OF_STOCK, mend


class Finding(msgspec.Struct, kw_only=True):
    """Something that does not hold.

    Attributes:
        subject: The order's id, or the SKU.
        kind: Which rule it breaks, as docs/operations.md names it.
        finding: What it is, in words.
        mend: The command that mends it.
    """

    subject: str
    kind: str
    finding: str
    mend: str


class NotJudged(msgspec.Struct, kw_only=True):
    """What could not be judged yet.

    Attributes:
        orders_in_flight: How many orders have not ended.
        orders_moving: The ids of orders that still move.
        skus_moving: The SKUs that still move.
        skus_unknown: The SKUs of which nobody noted what was put in.
    """

    orders_in_flight: int
    orders_moving: list[str]
    skus_moving: list[str]
    skus_unknown: list[str]


class Books(msgspec.Struct, kw_only=True):
    """The result of an audit of the tables.

    Attributes:
        findings: What does not hold.
        orders: How many orders were read.
        skus: How many SKUs were read.
        not_judged: What could not be judged yet.
        waiting: How many messages wait, by queue.
        parked: How many messages are parked, by dead-letter queue.
    """

    findings: list[Finding]
    orders: int
    skus: int
    not_judged: NotJudged
    waiting: dict[str, int]
    parked: dict[str, int]


class FeedFinding(msgspec.Struct, kw_only=True):
    """Something that the events of an order tell and that does not hold.

    Attributes:
        order_id: The order.
        kind: Which rule it breaks, as docs/operations.md names it.
        finding: What it is, in words.
    """

    order_id: str
    kind: str
    finding: str


class Feed(msgspec.Struct, kw_only=True):
    """The result of an audit of events, with --history.

    Attributes:
        findings: What does not hold.
        events: How many events were read.
        orders: Of how many orders.
        began_before: How many of these began before the first event.
    """

    findings: list[FeedFinding]
    events: int
    orders: int
    began_before: int


_JSON: Document[Books | Feed] = Document(Books, Feed)


@app.command(
    group=OPERATING,
    help_epilogue="Examples:\n\norderctl audit --json\n\norderctl audit --history events.jsonl",
)
@_JSON.of_command
def audit(
    *,
    history: Annotated[
        str | None, Parameter(metavar="FILE", allow_leading_hyphen=True, negative=())
    ] = None,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Check that the books balance: orders, payments, reservations, stock, the card processor's.

    Each confirmed order is charged once and reserved, each cancelled one neither. The stock that
    was put in is available or reserved. No charge and no reservation is without its order, and the
    index has exactly the orders that have not ended.

    Reads every item of the four tables, while orders flow. What does not look right is read
    again; what is still moving is counted as not judged. The exit status is 1 when something does
    not hold.

    With --history it reads no stack, but events of the bus, one a line, and checks what they tell
    of each order.

    Args:
        history: A file of events as JSON, one a line; - for standard input.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: Something does not hold.
    """
    if history is not None:
        _audit_history(history, as_json)
        return
    with (
        connect(target) as pipeline,
        console.waiting("Reading the books", shown=not as_json) as progress,
    ):
        report = read_books(pipeline, progress)
        tables, now = table_names(pipeline.stack.outputs), datetime.now(UTC)
    rows = [
        Finding(
            subject=finding.subject,
            kind=str(finding.kind),
            finding=finding.says,
            mend=mend(finding, tables, now),
        )
        for finding in report.findings
    ]
    if as_json:
        _JSON.show(_books(report, rows))
    else:
        if rows:
            console.table(("order or SKU", "finding", "what it is"), [_cells(row) for row in rows])
            console.out().print("\nTo mend them, in this order:")
            in_order = sorted(rows, key=lambda row: row.kind not in OF_STOCK)
            for command in dict.fromkeys(row.mend for row in in_order):
                console.out().print(console.text(f"  {command}"))
            console.out().print()
        console.summary(_summary(report))
    if rows:
        raise OrderctlError(
            f"{len(rows)} {'findings' if len(rows) > 1 else 'finding'}. What each means stands in "
            "docs/operations.md, section Audit."
        )


def _audit_history(path: str, as_json: bool) -> None:
    """Check the events of a file, or of standard input.

    Raises:
        OrderctlError: Something does not hold, or a line is no event.
    """
    name = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        report = feeds.audit_feed(text.split("\n"))
    except (OSError, UnicodeError, feeds.FeedError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise OrderctlError(f"{name}: {why}") from None
    rows = [
        FeedFinding(order_id=finding.order_id, kind=str(finding.rule), finding=finding.says)
        for finding in report.findings
    ]
    if as_json:
        _JSON.show(
            Feed(
                findings=rows,
                events=report.events,
                orders=report.orders,
                began_before=report.began_before,
            )
        )
    else:
        if rows:
            cells = [tuple(map(reading.to_text, astuple(row))) for row in rows]
            console.table(("order", "finding", "what it is"), cells)
            console.out().print()
        console.summary(
            [
                ("read", f"{report.events} events of {report.orders} orders"),
                ("findings", str(len(rows)) if rows else "none: every order's events hold"),
                ("began before", f"{report.began_before} orders, judged in part"),
            ]
        )
    if rows:
        raise OrderctlError(
            f"{len(rows)} {'findings' if len(rows) > 1 else 'finding'}. What each means stands in "
            "docs/operations.md, section Events."
        )


def _cells(row: Finding) -> tuple[str, str, str]:
    return reading.to_text(row.subject), row.kind, reading.to_text(row.finding)


def _summary(report: Report) -> list[tuple[str, str]]:
    not_judged = {
        "orders in flight": report.in_flight,
        "orders that still move": len(report.moving),
        "SKUs that still move": len(report.skus_moving),
        "SKUs of which nobody noted what was put in": len(report.skus_unknown),
    }
    return [
        ("read", f"{report.orders} orders, {report.skus} SKUs"),
        ("findings", str(len(report.findings)) if report.findings else "none: the books balance"),
        ("not judged yet", _listed(not_judged) or "nothing"),
        ("waiting", _listed(report.waiting) or "nothing"),
        ("parked", _listed(report.parked) or "nothing"),
    ]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _books(report: Report, findings: list[Finding]) -> Books:
    """What was found, read and not judged, for a script."""
    return Books(
        findings=findings,
        orders=report.orders,
        skus=report.skus,
        not_judged=NotJudged(
            orders_in_flight=report.in_flight,
            orders_moving=list(report.moving),
            skus_moving=list(report.skus_moving),
            skus_unknown=list(report.skus_unknown),
        ),
        waiting=dict(report.waiting),
        parked=dict(report.parked),
    )
