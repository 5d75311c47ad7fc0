"""`orderctl dlq`: what is parked in the dead-letter queues, and the way back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from orderctl import console, parked, paths
from orderctl.commands.connection import connected, print_json
from orderctl.dead_letters import (
    DeadLetterQueue,
    Redriven,
    UndeliverableError,
    order_id_in,
    reason,
)
from orderctl.errors import OrderctlError
from orderctl.moments import shown
from orderctl.names import did_you_mean
from orderctl.parked import Parked
from orderctl.pipeline import Pipeline
from orderctl.queues import Message, QueueError

_NOTHING = "-"
_ALARM_STYLES = {"OK": "green", "ALARM": "bold red"}
_FIFO = ".fifo"
_SHORT_ID = 8
_SHORTEST_ID = 4
_ORDERS_IN_A_QUESTION = 5


class UnknownQueueError(OrderctlError):
    """There is no such dead-letter queue."""


class UnknownMessageError(OrderctlError):
    """There is no such message, or several begin like that."""


class RedriveFailedError(OrderctlError):
    """Not every message could be moved."""


class NotPurgedError(OrderctlError):
    """Nothing was deleted, or not everything."""


def list_queues(as_json: bool) -> None:
    """List the dead-letter queues.

    Args:
        as_json: Whether to print JSON.
    """
    with connected() as pipeline:
        alarms = pipeline.queue_alarms()
        rows = []
        for queue in pipeline.dead_letter_queues():
            depth = queue.depth()
            age = pipeline.oldest_age(queue.name) if depth else None
            rows.append((queue.name, depth, age, alarms.get(queue.name)))
    if as_json:
        print_json(
            [
                {
                    "queue": name,
                    "messages": depth,
                    "oldest_age_seconds": None if age is None else int(age.total_seconds()),
                    "alarm": alarm,
                }
                for name, depth, age, alarm in rows
            ]
        )
        return
    console.table(
        ("queue", "messages", "oldest", "alarm"),
        [
            (
                name,
                Text(str(depth), style="bold" if depth else ""),
                _NOTHING if age is None else console.duration(age),
                Text(alarm or _NOTHING, style=_ALARM_STYLES.get(alarm or "", "")),
            )
            for name, depth, age, alarm in rows
        ],
    )
    if any(depth for _, depth, _, _ in rows):
        console.note(f"To send them back to where they came from: {paths.orderctl()} dlq redrive")


def show(names: Sequence[str], most: int, as_json: bool) -> None:
    """Show the messages of dead-letter queues, and why each is there.

    Args:
        names: which queues; all when there are none.
        most: how many messages of each.
        as_json: whether to print JSON, with the messages' bodies.

    Raises:
        UnknownQueueError: a name is none of theirs.
    """
    now = datetime.now(UTC)
    found: list[Parked] = []
    with connected() as pipeline:
        for queue in _chosen(pipeline, names):
            with parked.looked_at(pipeline, queue, most=most) as messages:
                found += messages[:most]
            if len(messages) >= most and (more := queue.depth() - most) > 0:
                console.note(f"{queue.name} has {more} more; --limit shows them.")
    if as_json:
        print_json([facts_of(each) for each in found])
    elif not found:
        console.out().print(_nothing_in(names))
    else:
        console.table(
            ("queue", "message", "order", "event", "age", "why"),
            [
                (
                    each.queue,
                    each.message.id[:_SHORT_ID],
                    each.order_id or _NOTHING,
                    each.event,
                    console.duration(now - each.message.sent_at),
                    each.reason.text,
                )
                for each in found
            ],
        )
        console.note(
            "Looking has hidden these messages from others for a moment, from a redrive and the "
            "alarm, too."
        )


def facts_of(each: Parked) -> dict[str, Any]:
    """A parked message for a script."""
    return {
        "queue": each.queue,
        "message_id": each.message.id,
        "order_id": each.order_id,
        "event": each.event,
        "sent_at": shown(each.message.sent_at),
        "reason": each.reason.text,
        "failed_at": each.reason.at,
        "attributes": dict(each.message.attributes),
        "body": each.message.body,
    }


def redrive_message(names: Sequence[str], message_id: str, as_json: bool) -> None:
    """Send one parked message back to where it came from.

    Args:
        names: in which queues to look for it; in all when there are none.
        message_id: its id, or how that begins.
        as_json: whether to print JSON.

    Raises:
        UnknownQueueError: a name is none of theirs.
        UnknownMessageError: there is no such message.
        RedriveFailedError: it could not be delivered, and is still parked.
    """
    with connected() as pipeline, _found(pipeline, names, message_id) as (queue, message):
        try:
            where = queue.redrive_one(message)
        except (UndeliverableError, QueueError, ClientError, BotoCoreError) as error:
            raise RedriveFailedError(f"{message.id} was not moved. {reason(error)}") from error
    if as_json:
        print_json([{"queue": queue.name, "moved": {where: 1}, "failures": []}])
    else:
        console.out().print(
            Text.assemble(("✓ ", "green"), f"{queue.name}: moved {message.id} to {where}")
        )


def purge(names: Sequence[str], message_id: str | None, yes: bool, as_json: bool) -> None:
    """Delete what is parked, for good.

    Args:
        names: from which queues.
        message_id: only this message: its id, or how that begins.
        yes: whether to do it without asking.
        as_json: whether to print JSON.

    Raises:
        UnknownQueueError: a name is none of theirs.
        UnknownMessageError: there is no such message.
        NotPurgedError: it was not wanted, or not everything could be deleted.
    """
    with connected() as pipeline:
        if message_id is not None:
            with _found(pipeline, names, message_id) as (queue, message):
                _ask([queue], [message], yes)
                queue.delete([message])
            deleted = {queue.name: 1}
        else:
            queues = [queue for queue in _chosen(pipeline, names) if queue.depth()]
            if queues:
                _ask(queues, _first(queues), yes)
            deleted = {queue.name: _purge(queue, quiet=as_json) for queue in queues}
    if as_json:
        print_json([{"queue": name, "deleted": count} for name, count in deleted.items()])
    elif not deleted:
        console.out().print(_nothing_in(names))
    else:
        for name, count in deleted.items():
            messages = f"{count} message{'' if count == 1 else 's'}"
            console.out().print(Text.assemble(("✓ ", "green"), f"{name}: deleted {messages}"))


def _first(queues: Sequence[DeadLetterQueue]) -> list[Message]:
    """Some of the messages in these queues, to say what they are about."""
    found: list[Message] = []
    for queue in queues:
        with queue.peeked(_ORDERS_IN_A_QUESTION) as messages:
            found += messages
    return found


def _ask(queues: Sequence[DeadLetterQueue], some: Sequence[Message], yes: bool) -> None:
    """Ask whether to delete, unless that is said already.

    Raises:
        NotPurgedError: the answer is no, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotPurgedError("Nothing was deleted: there is nobody to ask. --yes does it unasked.")
    what = ", ".join(f"{queue.name} ({queue.depth()})" for queue in queues)
    about = [order_id for m in some if (order_id := order_id_in(m.body))]
    orders = ", ".join(list(dict.fromkeys(about))[:_ORDERS_IN_A_QUESTION])
    more = " and others" if sum(queue.depth() for queue in queues) > len(some) else ""
    console.err().print(
        console.text(
            f"This deletes for good what is parked in {what}"
            + (f", of {orders}{more}" if orders else "")
            + ". What the messages were to do is never done: their orders may not end. "
            "To keep a copy: dlq show --json"
        )
    )
    if not console.confirm("Delete?", on_stderr=True):
        raise NotPurgedError("Nothing was deleted.")


def _purge(queue: DeadLetterQueue, *, quiet: bool) -> int:
    """Delete what is in a queue now, and not what comes meanwhile; say how much that was."""
    deleted, total = 0, queue.depth()
    with console.waiting(f"Purging {queue.name}", shown=not quiet) as progress:
        for messages in queue.receive_all():
            queue.delete(messages)
            deleted += len(messages)
            progress(deleted, max(total, deleted))
    return deleted


@contextlib.contextmanager
def _found(
    pipeline: Pipeline, names: Sequence[str], message_id: str
) -> Iterator[tuple[DeadLetterQueue, Message]]:
    """One parked message, received and put back afterwards unless it was deleted.

    Raises:
        UnknownMessageError: none begins like that, or several do.
    """
    if len(message_id) < _SHORTEST_ID:
        raise UnknownMessageError(f"--message needs the first {_SHORTEST_ID} characters or more.")
    with contextlib.ExitStack() as looking:
        matches = [
            (queue, message)
            for queue in _chosen(pipeline, names)
            for message in looking.enter_context(queue.peeked())
            if message.id.startswith(message_id)
        ]
        if not matches:
            where = ", ".join(names) or "any dead-letter queue"
            raise UnknownMessageError(
                f"There is no message {message_id} in {where}. What there is: "
                f"{paths.orderctl()} dlq show"
            )
        if len(matches) > 1:
            ids = ", ".join(message.id for _, message in matches)
            raise UnknownMessageError(f"Several begin with {message_id}: {ids}")
        yield matches[0]


def _chosen(pipeline: Pipeline, names: Sequence[str]) -> list[DeadLetterQueue]:
    """The queues that were named; all when none was.

    Raises:
        UnknownQueueError: a name is none of theirs.
    """
    queues = {queue.name: queue for queue in pipeline.dead_letter_queues()}
    chosen = [find(name, list(queues), pipeline.name_prefix()) for name in names] or queues
    return [queues[name] for name in dict.fromkeys(chosen)]


def _nothing_in(names: Sequence[str]) -> str:
    return f"There is nothing in {', '.join(names) or 'any dead-letter queue'}."


def redrive(names: Sequence[str], as_json: bool) -> None:
    """Send what is parked back to where it came from, and wait until that is done.

    Args:
        names: Which queues; all when there are none.
        as_json: Whether to print JSON.

    Raises:
        UnknownQueueError: A name is none of theirs.
        RedriveFailedError: Not every message could be moved.
    """
    with connected() as pipeline:
        results = [
            (queue.name, _redrive(queue, quiet=as_json))
            for queue in _chosen(pipeline, names)
            if queue.depth()
        ]
    if as_json:
        print_json(
            [
                {"queue": name, "moved": result.moved, "failures": result.failures}
                for name, result in results
            ]
        )
    elif not results:
        console.out().print(_nothing_in(names))
    failures = [f"{name}: {why}" for name, result in results for why in result.failures]
    if failures:
        raise RedriveFailedError("\n  ".join(["Not everything was moved.", *failures]))


def find(name: str, known: Sequence[str], prefix: str) -> str:
    """The queue that was meant: a name does without the stack's prefix and `.fifo`, too.

    Args:
        name: As it was typed.
        known: The queues' names.
        prefix: What stands before the stack's names.

    Raises:
        UnknownQueueError: It is none of them.
    """
    short = {queue.removeprefix(prefix).removesuffix(_FIFO): queue for queue in known}
    wanted = name.removesuffix(_FIFO)
    for found in (wanted, wanted.removeprefix(prefix)):
        if found in short:
            return short[found]
    hint = did_you_mean(name, known)
    raise UnknownQueueError(
        f"There is no dead-letter queue {name}.{hint} There are: {', '.join(known)}"
    )


def _redrive(queue: DeadLetterQueue, *, quiet: bool) -> Redriven:
    if quiet:
        return queue.redrive(lambda _done, _total: None)
    with console.waiting(f"Redriving {queue.name}") as progress:
        result = queue.redrive(progress)
    mark = ("✗ ", "bold red") if result.failures else ("✓ ", "green")
    console.out().print(Text.assemble(mark, f"{queue.name}: {told(result)}"))
    return result


def told(result: Redriven) -> str:
    """What became of a queue's messages, in words."""
    moved = [
        f"moved {count} message{'s' if count > 1 else ''} to {where}"
        for where, count in result.moved.items()
    ]
    failed = [f"{len(result.failures)} failed"] if result.failures else []
    return ", ".join(moved + failed) or "nothing was there any more"
