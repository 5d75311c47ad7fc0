"""`orderctl updates`: reads the order updates as a shop's own service would."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import msgspec

from orderctl import console, reading
from orderctl.commands.connection import connected
from orderctl.errors import OrderctlError
from orderctl.queues import Message, Queue
from orders.events import OrderUpdate

_LONG_POLL_SECONDS = 20


class UnreadableUpdateError(OrderctlError):
    """There are messages on the queue that are no order updates."""


def updates(follow: bool, peek: bool, as_json: bool) -> None:
    """Print the order updates, and delete what was printed.

    Args:
        follow: Whether to wait for more instead of ending when the queue is empty.
        peek: Whether to leave them on the queue.
        as_json: Whether to print each as it is, one JSON object per line.

    Raises:
        UnreadableUpdateError: Messages that are no order updates were left where they are.
    """
    printer = Printer(as_json)
    with connected() as pipeline:
        queue = pipeline.updates()
        if peek:
            _peek(queue, printer)
        else:
            for messages in _batches(queue, follow):
                queue.delete(printer.show(messages))
    if printer.unreadable:
        raise UnreadableUpdateError(
            f"{len(printer.unreadable)} messages on {queue.name} are no order updates; they were "
            "left there, and SQS parks them in its dead-letter queue: "
            + ", ".join(printer.unreadable)
        )
    if not printer.shown:
        console.note(f"There are no messages on {queue.name}.")


def _batches(queue: Queue, follow: bool) -> Iterator[list[Message]]:
    """What is on the queue, until it is empty; or for ever."""
    while follow:
        yield queue.receive(_LONG_POLL_SECONDS)
    while messages := queue.receive():
        yield messages


def _peek(queue: Queue, printer: Printer) -> None:
    last = queue.last_receive()
    with queue.peeked() as messages:
        printer.show(messages)
    if last and any(message.receive_count >= last for message in messages):
        console.note(
            f"Some of these were received {last} times, looks included: SQS parks them in the "
            "dead-letter queue when they are received once more."
        )


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
                reading.parsed(message.body)  # what msgspec skips can be too deep to be shown
            except (ValueError, RecursionError):  # msgspec's own errors among them
                self.unreadable[message.id] = None
            else:
                read.append((message, update))
        if self._as_json:
            for message, _ in read:
                console.json_as_written(msgspec.json.format(message.body, indent=-1))
        else:
            self._print([update for _, update in read])
        sys.stdout.flush()  # what is deleted next must have been printed
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
            console.out().print(console.aligned(line, self._widths))
