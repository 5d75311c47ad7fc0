"""`orderctl trace`: an order's whole story."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from orderctl import console, paths, reading, story
from orderctl.commands.connection import connected, print_json
from orderctl.commands.logs import check_order_id
from orderctl.commands.orders import amount, items
from orderctl.errors import OrderctlError
from orderctl.moments import shown
from orderctl.story import Entry, Story

_HEADER = ("time", "where", "what", "facts")
_STYLES = {"WARNING": "yellow", "ERROR": "bold red"}


class UntracedOrderError(OrderctlError):
    """There is no trace of the order."""


def trace(order_id: str, since: datetime, as_json: bool) -> None:
    """Tell an order's story.

    Args:
        order_id: which.
        since: from when on to search the logs, for an order that no table knows.
        as_json: whether to print JSON.

    Raises:
        NotAnOrderIdError: it cannot be an order's id.
        UntracedOrderError: there is no trace of it.
    """
    check_order_id(order_id)
    with (
        connected() as pipeline,
        console.waiting("Reading tables, queues and logs", shown=not as_json),
    ):
        told = story.tell(pipeline, order_id, since)
    if not told.is_known:
        raise UntracedOrderError(
            f"There is no trace of an order {order_id}: not in the tables, not in a dead-letter "
            f"queue, and not in the logs since {shown(since)}. --since looks further back."
        )
    if as_json:
        print_json(facts(order_id, told))
        return
    for line in screen(order_id, told):
        console.out().print(line)


def screen(order_id: str, told: Story) -> list[Text]:
    """The story line by line."""
    lines = [Text.assemble((order_id, "bold"), "   ", *_standing(told.order)), Text()]
    lines += console.table_lines(_HEADER, [_row(entry) for entry in told.entries])
    if told.parked:
        lines.append(Text())
    for each in told.parked:
        lines.append(
            Text.assemble(
                ("parked   ", "bold red"),
                f"{each.event} in {each.queue}; on its way again with: "
                f"{paths.orderctl()} dlq redrive --message {each.message.id}",
            )
        )
    if told.may_wait_in:
        lines.append(Text())
    for queue in told.may_wait_in:
        paused = " (its consumer is paused)" if queue.paused else ""
        lines.append(
            Text(
                f"waits    maybe in {queue.queue}{paused}: {queue.waiting} waiting, "
                f"{queue.at_work} being worked on or to be tried again"
            )
        )
    return lines


def _standing(order: Mapping[str, Any]) -> list[Text]:
    if not order:
        return [Text("is in no table of orders", style="yellow")]
    parts = [
        reading.shown(order.get("status", reading.UNREADABLE)),
        f"payment {reading.shown(order.get('payment', '-'))}",
        f"inventory {reading.shown(order.get('inventory', '-'))}",
        amount(order),
        items(order),
        reading.shown(order.get("reason", "")),
    ]
    return [console.text("   ".join(filter(None, parts)))]


def _row(entry: Entry) -> tuple[Text, ...]:
    parts = ", ".join(f"{name} {value}" for name, value in entry.facts.items())
    what = console.text(entry.what)
    what.stylize(_STYLES.get(entry.what.partition(" ")[0], ""))
    return (
        Text(_time(entry), style="dim"),
        console.text(entry.where),
        what,
        console.text(parts.replace("\n", " ")),
    )


def _time(entry: Entry) -> str:
    if entry.at is None:
        return f"({reading.UNREADABLE})"
    return f"{entry.at:%Y-%m-%dT%H:%M:%SZ}" if entry.is_to_the_second else shown(entry.at)


def facts(order_id: str, told: Story) -> dict[str, Any]:
    """The story for a script."""
    return {
        "order_id": order_id,
        "status": told.order.get("status"),
        "payment": told.order.get("payment"),
        "inventory": told.order.get("inventory"),
        "reason": told.order.get("reason"),
        "story": [
            {
                "at": entry.at and shown(entry.at),
                "where": entry.where,
                "what": entry.what,
                "facts": dict(entry.facts),
            }
            for entry in told.entries
        ],
        "parked": [
            {
                "queue": each.queue,
                "message_id": each.message.id,
                "event": each.event,
                "reason": each.reason.text,
            }
            for each in told.parked
        ],
        "may_wait_in": [
            {
                "queue": queue.queue,
                "waiting": queue.waiting,
                "at_work": queue.at_work,
                "paused": queue.paused,
            }
            for queue in told.may_wait_in
        ],
    }
