"""`orderctl orders` and `orderctl order`: what is not finished, and how one order stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from orderctl import console, reading
from orderctl.commands.connection import connected, print_json
from orderctl.commands.logs import check_order_id
from orderctl.dead_letters import order_id_in
from orderctl.errors import OrderctlError
from orderctl.pipeline import Pipeline

_HEADER = ("order", "age", "status", "payment", "inventory", "missing", "parked in")
_NOTHING = "-"
_NAMED = frozenset(
    {
        *("order_id", "status", "reason", "payment", "inventory", "amount", "currency", "items"),
        *("customer_id", "placed_at", "history"),
    }
)
"""The fields of an order that are shown in a form of their own; any other as it is."""


class UnknownOrderError(OrderctlError):
    """There is no such order."""


class NotServedError(OrderctlError):
    """The API did not answer the question."""


def orders(stuck: bool, minutes: float | None, as_json: bool) -> None:
    """List the orders that are not finished.

    Args:
        stuck: Whether to list only those that should have ended by now.
        minutes: After how long that is; as the stack has it when not given.
        as_json: Whether to print JSON.
    """
    now = datetime.now(UTC)
    with connected() as pipeline:
        if stuck and minutes is None:
            minutes = float(pipeline.parameter("StuckAfterMinutes"))
        older_than = timedelta(minutes=minutes if stuck and minutes else 0)
        rows = _look(pipeline, now, older_than)
    if as_json:
        print_json(rows)
    elif rows:
        console.table(_HEADER, [_cells(row) for row in rows])
    else:
        console.out().print("No order is stuck." if stuck else "No order is unfinished.")


def _look(pipeline: Pipeline, now: datetime, older_than: timedelta) -> list[dict[str, Any]]:
    found = pipeline.unfinished_orders(now - older_than)
    ids = [order["order_id"] for order in found]
    payments, reservations = pipeline.payments(ids), pipeline.reservations(ids)
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
    """The dead-letter queues that have a message of an order, by order id."""
    queues: dict[str, list[str]] = defaultdict(list)
    for queue in pipeline.dead_letter_queues():
        with queue.peeked() as messages:
            ids = {order_id_in(message.body) for message in messages}
        for order_id in filter(None, ids):
            queues[order_id].append(queue.name)
    return queues


def missing(order: Mapping[str, Any], *, paid: bool, reserved: bool) -> list[str]:
    """What an unfinished order waits for.

    Args:
        order: Its item in the table of orders: what the tracker knows.
        paid: Whether the table of payments has something for it: charged, or declined.
        reserved: Whether the table of reservations has: reserved, or rejected.

    Returns:
        `payment`, `inventory`, `refund`, `release`; or `decision` where all is done that the
        tracker needs to decide, and it has not heard of it yet.
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
    return [name for name, open_ in waits.items() if open_] or ["decision"]


def age_seconds(order: Mapping[str, Any], now: datetime) -> int | None:
    """How long ago an order was placed; None when its time cannot be read."""
    placed_at = reading.time(order.get("placed_at"))
    return int((now - placed_at).total_seconds()) if placed_at else None


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    age = row["age_seconds"]
    return (
        row["order_id"],
        reading.UNREADABLE if age is None else console.duration(timedelta(seconds=age)),
        reading.shown(row["status"] or reading.UNREADABLE),
        reading.shown(row["payment"] or _NOTHING),
        reading.shown(row["inventory"] or _NOTHING),
        ", ".join(row["missing"]),
        ", ".join(row["parked_in"]) or _NOTHING,
    )


def order(order_id: str, as_json: bool) -> None:
    """Show one order.

    Args:
        order_id: Which.
        as_json: Whether to print what the API answered.

    Raises:
        NotAnOrderIdError: It cannot be an order's id.
        UnknownOrderError: There is no such order.
        NotServedError: The API did not answer the question.
        NotAnOrderIdError: It cannot be an order's id.
    """
    check_order_id(order_id)
    with connected() as pipeline:
        answer = pipeline.show(order_id)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise UnknownOrderError(f"There is no order {order_id}.")
    if answer.status != HTTPStatus.OK:
        raise NotServedError(f"The API answered {answer.status}. Try again in a few seconds.")
    if not isinstance(answer.body, dict):
        raise NotServedError(f"What the API answered about {order_id} cannot be read.")
    if as_json:
        print_json(answer.body)
    else:
        show(answer.body)


def show(shown: Mapping[str, Any]) -> None:
    """Show an order as the API has it."""
    facts = {
        "order": shown.get("order_id", reading.UNREADABLE),
        "status": shown.get("status", reading.UNREADABLE),
        "reason": shown.get("reason"),
        "payment": shown.get("payment") or _NOTHING,
        "inventory": shown.get("inventory") or _NOTHING,
        "amount": amount(shown),
        "items": items(shown),
        "customer": shown.get("customer_id"),
        **{name: value for name, value in shown.items() if name not in _NAMED},
    }
    console.summary([(name, reading.shown(fact)) for name, fact in facts.items() if fact])
    console.out().print()
    console.table(
        ("time", "event", "reason"),
        [
            [reading.shown(step.get(name) or "") for name in ("at", "type", "reason")]
            for step in reading.maps(shown.get("history"))
        ],
    )


def amount(order: Mapping[str, Any]) -> str:
    """What an order costs, as it is shown; empty when it does not say."""
    if "amount" not in order:
        return ""
    number = order["amount"]
    if not isinstance(number, Decimal | int | float):
        return f"amount {reading.UNREADABLE}"
    return f"{number:.2f} {reading.shown(order.get('currency', ''))}"


def items(order: Mapping[str, Any]) -> str:
    """What was ordered, as it is shown."""
    return ", ".join(
        f"{reading.shown(line.get('quantity'))} {reading.shown(line.get('sku'))}"
        for line in reading.maps(order.get("items"))
    )
