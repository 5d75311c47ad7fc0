"""`orderctl trace`: an order's whole story."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.times import format_time
from orderctl.pipeline.trace import Entry, Story, tell
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Since, Target, check_order_id, parse_moment
from orderctl.terminal.order_texts import amount, items

_HEADER = ("time", "where", "what", "facts")
_STYLES = {"WARNING": "yellow", "ERROR": "bold red"}


@app.command(group=OPERATING, help_epilogue="Example: orderctl trace order-1")
def trace(
    order_id: str, /, *, since: Since = "1d", as_json: Json = False, target: Target = Target()
) -> None:
    """Tell an order's whole story in the order of time, and where it is now.

    From the tables, the dead-letter queues, and the logs of all functions (for an order that has
    ended, up to an hour after its last change). EventBridge stamps whole seconds: such a line
    stands at the end of its second. The queues that consumers read are not looked into: a look
    counts as a receive, and would delay a message or park it. Only their counts are shown.

    Args:
        order_id: Which order.
        since: How far back to search the logs for an order that no table knows: 1h, 1d, or
            ISO 8601 (UTC).
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: There is no trace of it.
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
            f"There is no trace of an order {order_id}: not in the tables, not in a dead-letter "
            f"queue, and not in the logs since {format_time(start)}. --since looks further back."
        )
    if as_json:
        console.json_document(facts(order_id, story))
        return
    for line in screen(order_id, story):
        console.out().print(line)


def screen(order_id: str, story: Story) -> list[Text]:
    """The story line by line."""
    lines = [Text.assemble((order_id, "bold"), "   ", *_standing(story.order)), Text()]
    lines += console.table_lines(_HEADER, [_row(entry) for entry in story.entries])
    if story.parked:
        lines.append(Text())
    for each in story.parked:
        lines.append(
            Text.assemble(
                ("parked   ", "bold red"),
                f"{each.event} in {each.queue}; on its way again with: "
                f"{paths.orderctl()} dlq redrive --message {each.message.id}",
            )
        )
    if story.may_wait_in:
        lines.append(Text())
    for queue in story.may_wait_in:
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


def facts(order_id: str, story: Story) -> dict[str, Any]:
    """The story for a script."""
    return {
        "order_id": order_id,
        "status": story.order.get("status"),
        "payment": story.order.get("payment"),
        "inventory": story.order.get("inventory"),
        "reason": story.order.get("reason"),
        "story": [
            {
                "at": entry.at and format_time(entry.at),
                "where": entry.where,
                "what": entry.what,
                "facts": dict(entry.facts),
            }
            for entry in story.entries
        ],
        "parked": [
            {
                "queue": each.queue,
                "message_id": each.message.id,
                "event": each.event,
                "reason": each.reason.text,
            }
            for each in story.parked
        ],
        "may_wait_in": [
            {
                "queue": queue.queue,
                "waiting": queue.waiting,
                "at_work": queue.at_work,
                "paused": queue.paused,
            }
            for queue in story.may_wait_in
        ],
    }
