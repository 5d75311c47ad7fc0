"""`orderctl orders`: the orders that are not finished, and what they wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter, validators

from orderctl.commands import ORDERS, app
from orderctl.pipeline import reading
from orderctl.pipeline.dead_letters import order_id_in
from orderctl.pipeline.pipeline import Pipeline
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target

_HEADER = ("order", "age", "status", "payment", "inventory", "missing", "parked in")
_NOTHING = "-"


@app.command(group=ORDERS, help_epilogue="Example: orderctl orders --stuck --minutes 5")
def orders(
    *,
    stuck: bool = False,
    minutes: Annotated[
        float | None, Parameter(metavar="N", validator=validators.Number(gte=0, lte=1_000_000))
    ] = None,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """List unfinished orders: what each is waiting for, and where it is parked.

    Args:
        stuck: Only orders that should have ended by now.
        minutes: Only orders placed more than N minutes ago; implies --stuck.
            [default: the stack's StuckAfterMinutes]
        as_json: Print JSON instead.
        target: Which stack.
    """
    stuck = stuck or minutes is not None
    now = datetime.now(UTC)
    with connect(target) as pipeline:
        if stuck and minutes is None:
            minutes = float(pipeline.stack.parameter("StuckAfterMinutes"))
        older_than = timedelta(minutes=minutes if stuck and minutes else 0)
        rows = _look(pipeline, now, older_than)
    if as_json:
        console.json_document(rows)
    elif rows:
        console.table(_HEADER, [_cells(row) for row in rows])
    else:
        console.out().print("No order is stuck." if stuck else "All orders are finished.")


def _look(pipeline: Pipeline, now: datetime, older_than: timedelta) -> list[dict[str, Any]]:
    found = pipeline.orders.unfinished(now - older_than)
    ids = [order["order_id"] for order in found]
    payments, reservations = pipeline.orders.payments(ids), pipeline.orders.reservations(ids)
    parked = _parked(pipeline) if found else {}
    return [
        {
            "order_id": order["order_id"],
            "placed_at": order.get("placed_at"),
            "age_seconds": age_seconds(order, now),
            "status": order.get("status"),
            "payment": order.get("payment"),
            "inventory": order.get("inventory"),
            "missing": missing(
                order,
                paid=order["order_id"] in payments,
                reserved=order["order_id"] in reservations,
            ),
            "parked_in": parked.get(order["order_id"], []),
        }
        for order in found
    ]


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


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    age = row["age_seconds"]
    return (
        row["order_id"],
        reading.UNREADABLE if age is None else console.duration(timedelta(seconds=age)),
        reading.to_text(row["status"] or reading.UNREADABLE),
        reading.to_text(row["payment"] or _NOTHING),
        reading.to_text(row["inventory"] or _NOTHING),
        ", ".join(row["missing"]),
        ", ".join(row["parked_in"]) or _NOTHING,
    )
