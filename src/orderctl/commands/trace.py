"""`orderctl trace`: everything that happened to an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.times import format_time
from orderctl.pipeline.trace import Entry, Story, tell
from orderctl.terminal import console
from orderctl.terminal.completing import OrderId
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Since, Target, check_order_id, parse_moment
from orderctl.terminal.order_texts import amount, items
from orderctl.terminal.results import Document

_HEADER = ("time", "where", "what", "facts")
_STYLES = {"WARNING": "yellow", "ERROR": "bold red"}


class Happened(msgspec.Struct, kw_only=True):
    """Something that happened to an order.

    Attributes:
        at: When; null where the time cannot be read.
        where: A table, a function's log, or a dead-letter queue.
        what: What happened.
        facts: What is known of it, by name.
    """

    at: str | None
    where: str
    what: str
    facts: dict[str, str]


class ParkedMessage(msgspec.Struct, kw_only=True):
    """A message of the order in a dead-letter queue.

    Attributes:
        queue: The dead-letter queue.
        message_id: The message's id.
        event: The event that it tells.
        reason: Why it is parked.
    """

    queue: str
    message_id: str
    event: str
    reason: str


class WaitingIn(msgspec.Struct, kw_only=True):
    """A queue with messages, one of which may be the order's.

    Attributes:
        queue: Its name.
        waiting: How many messages wait in it.
        at_work: How many are being worked on, or wait for a retry.
        paused: Whether its consumer is paused.
    """

    queue: str
    waiting: int
    at_work: int
    paused: bool


class Traced(msgspec.Struct, kw_only=True):
    """Everything that happened to an order, and where it is now.

    Attributes:
        order_id: Its id.
        status: Its status; null when it is not in the orders table.
        payment: How its payment stands.
        inventory: How its reservation stands.
        reason: Why it was cancelled.
        story: What happened, in order.
        parked: Its messages in dead-letter queues.
        may_wait_in: The queues in which a message of it may wait.
    """

    order_id: str
    status: str | None
    payment: str | None
    inventory: str | None
    reason: str | None
    story: list[Happened]
    parked: list[ParkedMessage]
    may_wait_in: list[WaitingIn]


_JSON = Document(Traced)


@app.command(group=OPERATING, help_epilogue="Example: orderctl trace order-1")
@_JSON.of_command
def trace(
    order_id: OrderId, /, *, since: Since = "1d", as_json: Json = False, target: Target = Target()
) -> None:
    """Show everything that happened to an order, by time, and where it is now.

    It reads the tables, the dead-letter queues, and the logs of all functions (for an order that
    has ended, up to an hour after its last change). EventBridge's times are whole seconds, so such
    a line comes at the end of its second. Messages on the consumers' queues are only counted:
    reading them would be a receive, which can delay or park them.

    Args:
        order_id: Which order.
        since: How far back to search the logs for an order that is in no table: 1h, 1d, or an
            ISO 8601 time (UTC).
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: Nothing is known about the order.
    """
    start = parse_moment(since, "--since")
    check_order_id(order_id)
    with (
        connect(target) as pipeline,
        console.waiting("Reading tables, queues and logs", shown=not as_json),
    ):
        story = tell(pipeline, order_id, start)
    if not story.is_known:
        raise OrderctlError(
            f"Nothing is known about an order {order_id}: it is not in the tables, not in a "
            f"dead-letter queue, and not in the logs since {format_time(start)}. "
            "Use --since to search further back."
        )
    if as_json:
        _JSON.show(facts(order_id, story))
        return
    for line in screen(order_id, story):
        console.out().print(line)


def screen(order_id: str, story: Story) -> list[Text]:
    """The output, line by line."""
    lines = [Text.assemble((order_id, "bold"), "   ", *_standing(story.order)), Text()]
    lines += console.table_lines(_HEADER, [_row(entry) for entry in story.entries])
    if story.parked:
        lines.append(Text())
    for each in story.parked:
        lines.append(
            Text.assemble(
                ("parked   ", "bold red"),
                f"{each.event} in {each.queue}; to redrive it: "
                f"{paths.orderctl()} dlq redrive --message {each.message.id}",
            )
        )
    if story.may_wait_in:
        lines.append(Text())
    for queue in story.may_wait_in:
        paused = " (its consumer is paused)" if queue.paused else ""
        lines.append(
            Text(
                f"waiting  perhaps in {queue.queue}{paused}: {queue.waiting} waiting, "
                f"{queue.at_work} being worked on or waiting for a retry"
            )
        )
    return lines


def _standing(order: Mapping[str, Any]) -> list[Text]:
    if not order:
        return [Text("not in the orders table", style="yellow")]
    parts = [
        reading.to_text(order.get("status", reading.UNREADABLE)),
        f"payment {reading.to_text(order.get('payment', '-'))}",
        f"inventory {reading.to_text(order.get('inventory', '-'))}",
        amount(order),
        items(order),
        reading.to_text(order.get("reason", "")),
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
    return f"{entry.at:%Y-%m-%dT%H:%M:%SZ}" if entry.is_to_the_second else format_time(entry.at)


def facts(order_id: str, story: Story) -> Traced:
    """The story for a script."""
    return Traced(
        order_id=order_id,
        status=story.order.get("status"),
        payment=story.order.get("payment"),
        inventory=story.order.get("inventory"),
        reason=story.order.get("reason"),
        story=[
            Happened(
                at=format_time(entry.at) if entry.at else None,
                where=entry.where,
                what=entry.what,
                facts=dict(entry.facts),
            )
            for entry in story.entries
        ],
        parked=[
            ParkedMessage(
                queue=each.queue,
                message_id=each.message.id,
                event=each.event,
                reason=each.reason.text,
            )
            for each in story.parked
        ],
        may_wait_in=[
            WaitingIn(
                queue=queue.queue,
                waiting=queue.waiting,
                at_work=queue.at_work,
                paused=queue.paused,
            )
            for queue in story.may_wait_in
        ],
    )
