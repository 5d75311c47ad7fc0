"""`orderctl updates`: reads the order updates as a shop's own service would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NoReturn

import msgspec
from cyclopts import Parameter

from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.queues import Message, Queue
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Lines
from orders.events import OrderUpdate

_LONG_POLL_SECONDS = 20


_JSON = Lines(OrderUpdate)


@app.command(group=ORDERS, help_epilogue="Example: orderctl updates --follow")
@_JSON.of_command
def updates(
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    peek: bool = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Read the order updates as a shop's own service would, from the queue order-updates.fifo.

    Updates that were printed are deleted from the queue, so nobody else gets them. To look without
    taking any from the shop's services, use --peek: it has a subscription of its own while it runs,
    so it sees the updates that are published from then on, and not those that wait already.

    Args:
        follow: Keep printing new updates, until Ctrl-C.
        peek: Print new updates beside the shop's services, until Ctrl-C.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: Messages that are not order updates were left on the queue.
    """
    printer = Printer(as_json)
    with connect(target, changes=not peek) as pipeline:
        console.end_with_reader()  # an update that nobody has read is not deleted
        queue = pipeline.updates
        if peek:
            _peek(pipeline, printer)
        for messages in _batches(queue, follow):
            queue.delete(printer.show(messages))
    if printer.unreadable:
        raise OrderctlError(
            f"Some messages are not order updates and were left on {queue.name}; SQS parks them in "
            f"its dead-letter queue. Messages: {', '.join(printer.unreadable)}"
        )
    if not printer.shown:
        console.note(f"There are no messages on {queue.name}.")


def _batches(queue: Queue, follow: bool) -> Iterator[list[Message]]:
    """Receive messages until the queue is empty; with `follow`, for ever."""
    while follow:
        yield queue.receive(_LONG_POLL_SECONDS)
    while messages := queue.receive():
        yield messages


def _peek(pipeline: Pipeline, printer: Printer) -> NoReturn:
    """Print what is published from now on: to receive what waits brings it nearer to parking."""
    with pipeline.update_feeds.follow() as feed:
        if waiting := pipeline.updates.depth():
            console.note(
                f"{waiting} updates wait on {pipeline.updates.name} for the shop's services. "
                "Here come new ones."
            )
        while True:
            printer.show(feed.next())


class Printer:
    """Prints updates line by line, aligned with those before."""

    def __init__(self, as_json: bool) -> None:
        self.shown = 0
        self.unreadable: dict[str, None] = {}  # their ids, each once
        self._as_json = as_json
        self._widths = [0, 0, 0, 0]

    def show(self, messages: Sequence[Message]) -> list[Message]:
        """Print messages, and return those that could be read."""
        read = []
        for message in messages:
            try:
                update = msgspec.json.decode(message.body, type=OrderUpdate)
                reading.parse_json(
                    message.body
                )  # msgspec skips unknown fields, which may be nested too deeply
            except (ValueError, RecursionError):  # includes msgspec's own errors
                self.unreadable[message.id] = None
            else:
                read.append((message, update))
        if self._as_json:
            for message, _ in read:  # as it came: who wrote it may know more fields
                console.json_as_written(msgspec.json.format(message.body, indent=-1))
        else:
            self._print([update for _, update in read])
        console.flush()  # print before the messages are deleted
        self.shown += len(read)
        return [message for message, _ in read]

    def _print(self, updates: Sequence[OrderUpdate]) -> None:
        lines = [
            [console.text(cell) for cell in (u.at, u.order_id, u.status, u.reason or "")]
            for u in updates
        ]
        for line in lines:
            self._widths = [max(w, c.cell_len) for w, c in zip(self._widths, line, strict=True)]
        for line in lines:
            console.out().print(console.align(line, self._widths))
