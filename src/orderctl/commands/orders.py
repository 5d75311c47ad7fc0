"""`orderctl orders`: the orders that are not finished, or those of a span of time."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter, validators

from orderctl import paths
from orderctl.commands import ORDERS, app
from orderctl.errors import UsageError
from orderctl.pipeline import reading
from orderctl.pipeline.dead_letters import order_id_in
from orderctl.pipeline.order_list import STATUSES, Wanted
from orderctl.pipeline.pipeline import Pipeline
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, parse_moment
from orderctl.terminal.order_texts import amount, items
from orderctl.terminal.results import Lines
from orders.order import Status

_UNFINISHED_HEADER = ("order", "age", "status", "payment", "inventory", "missing", "parked in")
_LISTED_HEADER = ("placed (UTC)", "order", "status", "amount", "why")
_NOTHING = "-"
_SINCE = "7d"
_LIMIT = 50
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@")


class Unfinished(msgspec.Struct, kw_only=True):
    """An order that has not ended.

    Attributes:
        order_id: Its id.
        placed_at: When it was placed.
        age_seconds: How long ago that was; null when the time cannot be read.
        status: Its status.
        payment: What is known of its payment.
        inventory: What is known of its stock.
        missing: What it waits for: payment, inventory, refund, release, or the decision.
        parked_in: The dead-letter queues that have a message of it.
    """

    order_id: str
    placed_at: str | None
    age_seconds: int | None
    status: str | None
    payment: str | None
    inventory: str | None
    missing: list[str]
    parked_in: list[str]


class Listed(msgspec.Struct, kw_only=True):
    """An order of a span of time, with --all, --status, --since, --sku, --reason or --scan.

    Attributes:
        order_id: Its id.
        placed_at: When it was placed.
        status: Its status.
        reason: Why it was cancelled.
        payment: What is known of its payment.
        inventory: What is known of its stock.
        amount: Its amount.
        currency: The currency of the amount.
        customer_id: Who ordered.
        items: What was ordered, such as 2 mug, 1 tea.
    """

    order_id: str
    placed_at: str
    status: str
    reason: str
    payment: str
    inventory: str
    amount: str
    currency: str
    customer_id: str
    items: str


_JSON = Lines(Unfinished, Listed)


@dataclass(frozen=True, slots=True)
class _Paging:
    """How much to list, and how it is printed."""

    limit: int | None
    after: str | None
    as_csv: bool
    as_json: bool


@app.command(
    group=ORDERS,
    help_epilogue="Examples:\n\n"
    "orderctl orders --stuck --minutes 5\n\n"
    "orderctl orders --status cancelled --reason stock --since 1h\n\n"
    "orderctl orders --all --since 1d --csv > orders.csv",
)
@_JSON.of_command
def orders(
    *,
    stuck: bool = False,
    minutes: Annotated[
        float | None, Parameter(metavar="N", validator=validators.Number(gte=0, lte=1_000_000))
    ] = None,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    status: Annotated[tuple[Status, ...], Parameter(metavar="STATUS")] = (),
    since: Annotated[str | None, Parameter(metavar="TIME")] = None,
    sku: Annotated[str | None, Parameter(metavar="SKU")] = None,
    reason: Annotated[str | None, Parameter(metavar="TEXT")] = None,
    scan: bool = False,
    limit: Annotated[
        int | None, Parameter(metavar="N", validator=validators.Number(gte=1, lte=1_000_000))
    ] = None,
    after: Annotated[str | None, Parameter(metavar="PLACE")] = None,
    as_csv: Annotated[bool, Parameter(name="--csv")] = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """List orders: those that are unfinished, with what each is waiting for; or those of a time.

    With --all or any of the options below it, the orders are listed by when they were placed, the
    newest first, whether they have ended or not. An index finds them by time and status; a SKU and
    a reason are looked for in each order, half a read unit an order. Orders that ended while the
    stack's OrdersIndex was false are found with --scan alone.

    Args:
        stuck: Only orders that should have ended by now, and those that are parked.
        minutes: Only stuck or parked orders that were placed more than N minutes ago.
            [default: the stack's StuckAfterMinutes]
        all_: Orders of any status.
        status: Only orders that are placed, confirmed or cancelled; repeatable.
        since: Orders placed since this time: 1h, 1d, or an ISO 8601 time (UTC). [default: 7d]
        sku: Only orders with this article.
        reason: Only orders with this in the reason why they were cancelled.
        scan: Read the whole table, half a read unit for each 4 KB, in place of the indexes.
        limit: How many. [default: 50; with --csv all]
        after: Go on where a page has ended: the place that it has named.
        as_csv: Print CSV, for a spreadsheet.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        UsageError: The options cannot be combined.
        OrderctlError: The stack does not list the orders that have ended.
    """
    listed = all_ or status or since or sku or reason or scan or after or as_csv or limit
    if not listed:
        _show_unfinished(stuck or minutes is not None, minutes, as_json, target)
        return
    if stuck or minutes is not None:
        raise UsageError("--stuck and --minutes are for unfinished orders alone.")
    if as_csv and as_json:
        raise UsageError("--csv cannot be combined with --json.")
    now = datetime.now(UTC)
    wanted = Wanted(
        since=parse_moment(since or _SINCE, "--since"),
        until=now,
        statuses=status or STATUSES,
        sku=sku,
        reason=reason,
        scan=scan,
    )
    if wanted.since > now:
        raise UsageError("--since is in the future. Times are UTC.")
    _show_listed(wanted, _Paging(limit, after, as_csv, as_json), target)


def _show_listed(wanted: Wanted, paging: _Paging, target: Target) -> None:
    with (
        connect(target) as pipeline,
        console.waiting("Reading the whole table", shown=wanted.scan and not paging.as_json),
    ):
        try:
            if paging.as_csv and paging.limit is None:
                _print_csv(map(_listed, pipeline.order_list.every(wanted, paging.after)))
                return
            page = pipeline.order_list.page(wanted, paging.limit or _LIMIT, paging.after)
        except ValueError as error:
            raise UsageError(f"--after: {error}.") from None
    rows = [_listed(order) for order in page.orders]
    if paging.as_csv:
        _print_csv(rows)
    elif paging.as_json:
        _JSON.show(rows)
    elif rows:
        cells = [_listed_cells(o, row) for o, row in zip(page.orders, rows, strict=True)]
        console.table(_LISTED_HEADER, cells)
    else:
        console.out().print(f"No such order since {wanted.since:%Y-%m-%d %H:%M} UTC.")
    if page.next:
        console.note(f"There are more. The next page: --after {page.next}")


def _listed(order: Mapping[str, Any]) -> Listed:
    number = order.get("amount")
    texts = {name: reading.to_text(order.get(name) or "") for name in Listed.__struct_fields__[:6]}
    return Listed(
        **texts,
        amount="" if number is None else reading.amount({"amount": number}),
        currency=reading.to_text(order.get("currency") or ""),
        customer_id=reading.to_text(order.get("customer_id") or ""),
        items=items(order),
    )


def _listed_cells(order: Mapping[str, Any], row: Listed) -> Sequence[str]:
    placed_at = reading.parse_time(row.placed_at)
    return (
        f"{placed_at:%Y-%m-%d %H:%M:%S}" if placed_at else reading.UNREADABLE,
        row.order_id,
        row.status,
        amount(order) or _NOTHING,
        row.reason,
    )


def _print_csv(rows: Iterable[Listed]) -> None:
    names = Listed.__struct_fields__
    console.script([_csv_line(names)])
    for row in rows:
        console.script([_csv_line([_cell(getattr(row, name)) for name in names])])


def _cell(text: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([console.clean(cell) for cell in cells])
    return line.getvalue()


def _show_unfinished(stuck: bool, minutes: float | None, as_json: bool, target: Target) -> None:
    now = datetime.now(UTC)
    with connect(target) as pipeline:
        if stuck and minutes is None:
            minutes = float(pipeline.stack.parameter("StuckAfterMinutes"))
        older_than = timedelta(minutes=minutes if stuck and minutes else 0)
        rows = _look(pipeline, now, older_than)
        messages = 0 if rows else sum(pipeline.dead_letters.depths().values())
    if as_json:
        _JSON.show(rows)
    elif rows:
        console.table(_UNFINISHED_HEADER, [_cells(row) for row in rows])
    else:
        console.out().print("No order is stuck." if stuck else "All orders are finished.")
        if messages:
            what = "1 message is" if messages == 1 else f"{messages} messages are"
            console.note(
                f"But {what} parked, which no unfinished order waits for: "
                f"{paths.orderctl()} dlq list"
            )


def _look(pipeline: Pipeline, now: datetime, older_than: timedelta) -> list[Unfinished]:
    """The orders that have not ended and are old enough, or parked."""
    parked = _parked(pipeline)
    orders = pipeline.orders
    found = [
        *orders.unfinished(now - older_than),
        # A parked order is stuck, however young.
        *(order for order in orders.find(list(parked)).values() if "unfinished" in order),
    ]
    found = sorted(
        {o["order_id"]: o for o in found}.values(), key=lambda o: str(o.get("placed_at"))
    )
    ids = [order["order_id"] for order in found]
    payments, reservations = orders.payments(ids), orders.reservations(ids)
    return [
        Unfinished(
            order_id=order["order_id"],
            placed_at=_text(order.get("placed_at")),
            age_seconds=age_seconds(order, now),
            status=_text(order.get("status")),
            payment=_text(order.get("payment")),
            inventory=_text(order.get("inventory")),
            missing=missing(
                order,
                paid=order["order_id"] in payments,
                reserved=order["order_id"] in reservations,
            ),
            parked_in=parked.get(order["order_id"], []),
        )
        for order in found
    ]


def _text(value: object) -> str | None:
    return None if value is None else reading.to_text(value)


def _parked(pipeline: Pipeline) -> dict[str, list[str]]:
    """The dead-letter queues with messages of an order, by order id."""
    queues: dict[str, list[str]] = defaultdict(list)
    for queue in pipeline.dead_letters.queues():
        with queue.peek() as messages:
            ids = {order_id_in(message.body) for message in messages}
        for order_id in filter(None, ids):
            queues[order_id].append(queue.name)
    return queues


def missing(order: Mapping[str, Any], *, paid: bool, reserved: bool) -> list[str]:
    """What an unfinished order waits for.

    Args:
        order: Its item in the orders table, which the tracker writes.
        paid: Whether the payments table has a record of it: charged, or declined.
        reserved: Whether the reservations table has one: reserved, or rejected.

    Returns:
        `payment`, `inventory`, `refund`, `release`; or `decision` if all of that is done and the
        tracker has not received the outcomes yet.
    """
    if order.get("status") == "cancelled":
        waits = {
            "refund": order.get("payment") == "charged",
            "release": order.get("inventory") == "reserved",
        }
    else:
        waits = {
            "payment": not (paid or "payment" in order),
            "inventory": not (reserved or "inventory" in order),
        }
    return [name for name, is_missing in waits.items() if is_missing] or ["decision"]


def age_seconds(order: Mapping[str, Any], now: datetime) -> int | None:
    """How long ago an order was placed; None when its time cannot be read."""
    placed_at = reading.parse_time(order.get("placed_at"))
    return int((now - placed_at).total_seconds()) if placed_at else None


def _cells(row: Unfinished) -> Sequence[str]:
    age = row.age_seconds
    return (
        row.order_id,
        reading.UNREADABLE if age is None else console.duration(timedelta(seconds=age)),
        row.status or reading.UNREADABLE,
        row.payment or _NOTHING,
        row.inventory or _NOTHING,
        ", ".join(row.missing),
        ", ".join(row.parked_in) or _NOTHING,
    )
