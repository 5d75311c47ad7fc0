"""`orderctl dlq`: shows, redrives and purges what is parked in the dead-letter queues."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from cyclopts import App, Parameter, validators
from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import parked
from orderctl.pipeline.dead_letters import (
    PER_SECOND,
    DeadLetterQueue,
    RedriveResult,
    UndeliverableError,
    order_id_in,
    reason,
)
from orderctl.pipeline.names import find_step
from orderctl.pipeline.parked import Parked
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.queues import Message, QueueError
from orderctl.pipeline.steps import BY_DEAD_LETTER_QUEUE
from orderctl.pipeline.times import format_time
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, Yes
from orderctl.terminal.results import Lines

_NOTHING = "-"
_ALARM_STYLES = {"OK": "green", "ALARM": "bold red"}
_SHORT_ID = 8
_SHORTEST_ID = 4
_ORDERS_IN_A_QUESTION = 5


dlq = App(
    name="dlq",
    help="See what is parked in the dead-letter queues and why; redrive or purge it.",
    group=OPERATING,
)
app.command(dlq)

Names = Annotated[tuple[str, ...], Parameter(completer=lambda _context: _steps())]
MessageId = Annotated[
    str | None,
    Parameter(
        name="--message", metavar="ID", help="Only this message: its id, or the start of it."
    ),
]


class Listed(msgspec.Struct, kw_only=True):
    """A dead-letter queue.

    Attributes:
        queue: Its name.
        messages: How many are parked in it.
        oldest_age_seconds: The age of the oldest; null without any, or without a metric yet.
        alarm: The state of its alarm.
    """

    queue: str
    messages: int
    oldest_age_seconds: int | None
    alarm: str | None


class Shown(msgspec.Struct, kw_only=True):
    """A parked message.

    Attributes:
        queue: The dead-letter queue that it is in.
        message_id: Its id.
        order_id: The order that it is about; null when it does not say.
        event: The event that it tells.
        sent_at: When it was sent.
        reason: Why it is parked.
        failed_at: When it failed; null when that is not known.
        attributes: Its attributes.
        body: Its body.
    """

    queue: str
    message_id: str
    order_id: str | None
    event: str
    sent_at: str
    reason: str
    failed_at: str | None
    attributes: dict[str, str]
    body: str


class Purged(msgspec.Struct, kw_only=True):
    """A dead-letter queue of which messages were deleted.

    Attributes:
        queue: Its name.
        deleted: How many messages were deleted.
    """

    queue: str
    deleted: int


class Redriven(msgspec.Struct, kw_only=True):
    """A dead-letter queue whose messages were sent back.

    Attributes:
        queue: Its name.
        moved: How many were moved, by the name of the queue or function.
        failures: Why others were not; they are still parked.
    """

    queue: str
    moved: dict[str, int]
    failures: list[str]


_LISTED, _SHOWN, _PURGED, _REDRIVEN = Lines(Listed), Lines(Shown), Lines(Purged), Lines(Redriven)


@dlq.command(name="list", help_epilogue="Example: orderctl dlq list")
@_LISTED.of_command
def list_queues(names: Names = (), /, *, as_json: Json = False, target: Target = Target()) -> None:
    """List the dead-letter queues, each with its messages, the age of the oldest, and its alarm.

    Args:
        names: Which steps, such as payments. [default: all]
        as_json: Print one JSON object per line.
        target: Which stack.
    """
    with connect(target) as pipeline:
        alarms = pipeline.alarms.of_queues()
        rows = []
        for queue in _choose_queues(pipeline, names):
            depth = queue.depth()
            age = pipeline.dead_letters.oldest_age(queue.name) if depth else None
            rows.append((queue.name, depth, age, alarms.get(queue.name)))
    if as_json:
        _LISTED.show(
            Listed(
                queue=name,
                messages=depth,
                oldest_age_seconds=None if age is None else int(age.total_seconds()),
                alarm=alarm,
            )
            for name, depth, age, alarm in rows
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
        program = paths.orderctl()
        console.note(
            f"To see why they are parked: {program} dlq show. When the cause is gone, send them "
            f"back to where they came from: {program} dlq redrive"
        )


@dlq.command(
    help_epilogue="Examples:\n\norderctl dlq show payments\n\n"
    "orderctl dlq show --json > parked.json",
)
@_SHOWN.of_command
def show(
    names: Names = (),
    /,
    *,
    limit: Annotated[int, Parameter(metavar="N", validator=validators.Number(gte=1))] = 100,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Show what is parked and why, according to EventBridge, Lambda or the function's log.

    Showing messages receives them, which hides them from other readers for a moment. Nothing is
    lost: a dead-letter queue does not park its messages any further.

    Args:
        names: Which steps, such as payments. [default: all]
        limit: The most messages to show from each queue.
        as_json: Print JSON instead, with the messages' bodies.
        target: Which stack.

    Raises:
        OrderctlError: There is no such dead-letter queue.
    """
    now = datetime.now(UTC)
    found: list[Parked] = []
    with connect(target) as pipeline:
        for queue in _choose_queues(pipeline, names):
            with parked.peek(pipeline, queue, most=limit) as messages:
                found += messages[:limit]
            if len(messages) >= limit and (more := queue.depth() - limit) > 0:
                console.note(f"{queue.name} has {more} more. Raise --limit to see them.")
    if as_json:
        _SHOWN.show(facts_of(each) for each in found)
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
            "These messages were hidden from other readers for a moment, which includes a redrive "
            "and the alarm."
        )


def facts_of(each: Parked) -> Shown:
    """A parked message for a script."""
    return Shown(
        queue=each.queue,
        message_id=each.message.id,
        order_id=each.order_id,
        event=each.event,
        sent_at=format_time(each.message.sent_at),
        reason=each.reason.text,
        failed_at=each.reason.at,
        attributes=dict(each.message.attributes),
        body=each.message.body,
    )


def _redrive_message(names: Sequence[str], message_id: str, as_json: bool, target: Target) -> None:
    with (
        connect(target, changes=True) as pipeline,
        _receive_one(pipeline, names, message_id) as (queue, message),
    ):
        try:
            where = queue.redrive_one(message)
        except (UndeliverableError, QueueError, ClientError, BotoCoreError) as error:
            raise OrderctlError(f"{message.id} was not moved. {reason(error)}") from error
    if as_json:
        _REDRIVEN.show([Redriven(queue=queue.name, moved={where: 1}, failures=[])])
    else:
        console.out().print(
            Text.assemble(("✓ ", "green"), f"{queue.name}: moved {message.id} to {where}")
        )


@dlq.command(
    help_epilogue="Examples:\n\norderctl dlq purge inventory\n\n"
    "orderctl dlq purge payments --message 3f2a81c0 --yes",
)
@_PURGED.of_command
def purge(
    names: Annotated[
        tuple[str, ...], Parameter(required=True, completer=lambda _context: _steps())
    ],
    /,
    *,
    message_id: MessageId = None,
    yes: Yes = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Delete parked messages for good, after asking.

    Use it for messages that can never be processed. Their work is never done: an order whose
    charge is deleted does not end. To keep a copy, use `dlq show --json` first.

    Args:
        names: Which steps, such as payments.
        message_id: Only this message: its id, or the start of it.
        yes: Do not ask.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: There is no such queue or message, it was not confirmed, or not everything
            could be deleted.
    """
    with connect(target, changes=True) as pipeline:
        if message_id is not None:
            with _receive_one(pipeline, names, message_id) as (queue, message):
                _ask([queue], [message], yes)
                queue.delete([message])
            deleted = {queue.name: 1}
        else:
            queues = [queue for queue in _choose_queues(pipeline, names) if queue.depth()]
            if queues:
                _ask(queues, _first(queues), yes)
            deleted = {queue.name: _purge(queue, quiet=as_json) for queue in queues}
    if as_json:
        _PURGED.show(Purged(queue=name, deleted=count) for name, count in deleted.items())
    elif not deleted:
        console.out().print(_nothing_in(names))
    else:
        for name, count in deleted.items():
            messages = f"{count} message{'' if count == 1 else 's'}"
            console.out().print(Text.assemble(("✓ ", "green"), f"{name}: deleted {messages}"))


def _first(queues: Sequence[DeadLetterQueue]) -> list[Message]:
    """Some of the messages in these queues, so that the question can name their orders."""
    found: list[Message] = []
    for queue in queues:
        with queue.peek(_ORDERS_IN_A_QUESTION) as messages:
            found += messages
    return found


def _ask(queues: Sequence[DeadLetterQueue], some: Sequence[Message], yes: bool) -> None:
    """Ask whether to delete, unless --yes was given.

    Raises:
        OrderctlError: the answer is no, or standard input is not a terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise OrderctlError(
            "Nothing was deleted. Cannot ask for confirmation: standard input is not a terminal. "
            "Add --yes."
        )
    what = ", ".join(f"{queue.name} ({queue.depth()})" for queue in queues)
    about = [order_id for m in some if (order_id := order_id_in(m.body))]
    orders = ", ".join(list(dict.fromkeys(about))[:_ORDERS_IN_A_QUESTION])
    more = " and others" if sum(queue.depth() for queue in queues) > len(some) else ""
    console.err().print(
        console.text(
            f"This deletes for good what is parked in {what}"
            + (f", for {orders}{more}" if orders else "")
            + ". The work of these messages is never done, so their orders may not end. "
            "To keep a copy, use dlq show --json first."
        )
    )
    if not console.confirm("Delete?", on_stderr=True):
        raise OrderctlError("Nothing was deleted.")


def _purge(queue: DeadLetterQueue, *, quiet: bool) -> int:
    """Delete what is in a queue now, not what arrives meanwhile; return how many messages."""
    deleted, total = 0, queue.depth()
    with console.waiting(f"Purging {queue.name}", shown=not quiet) as progress:
        for messages in queue.receive_all():
            queue.delete(messages)
            deleted += len(messages)
            progress(deleted, max(total, deleted))
    return deleted


@contextlib.contextmanager
def _receive_one(
    pipeline: Pipeline, names: Sequence[str], message_id: str
) -> Iterator[tuple[DeadLetterQueue, Message]]:
    """Receive one parked message, and put it back afterwards unless it was deleted.

    Raises:
        OrderctlError: no id starts like this, or several do.
    """
    if len(message_id) < _SHORTEST_ID:
        raise OrderctlError(f"--message needs the first {_SHORTEST_ID} characters or more.")
    with contextlib.ExitStack() as looking:
        matches = [
            (queue, message)
            for queue in _choose_queues(pipeline, names)
            for message in looking.enter_context(queue.peek())
            if message.id.startswith(message_id)
        ]
        if not matches:
            where = ", ".join(names) or "any dead-letter queue"
            raise OrderctlError(
                f"There is no message {message_id} in {where}. "
                f"To see the messages: {paths.orderctl()} dlq show"
            )
        if len(matches) > 1:
            ids = ", ".join(message.id for _, message in matches)
            raise OrderctlError(f"Several message ids start with {message_id}: {ids}")
        yield matches[0]


def _choose_queues(pipeline: Pipeline, names: Sequence[str]) -> list[DeadLetterQueue]:
    """The named queues; all of them when none is named.

    Raises:
        OrderctlError: there is no queue of that name.
    """
    queues = {queue.step.name: queue for queue in pipeline.dead_letters.queues()}
    chosen = [
        find_step(
            name, BY_DEAD_LETTER_QUEUE.values(), pipeline.stack, what="step with dead letters"
        ).name
        for name in names
    ]
    return [queues[name] for name in dict.fromkeys(chosen or queues)]


def _steps() -> list[str]:
    """The steps with a dead-letter queue."""
    return [step.name for step in BY_DEAD_LETTER_QUEUE.values()]


def _nothing_in(names: Sequence[str]) -> str:
    return f"There are no messages in {', '.join(names) or 'any dead-letter queue'}."


@dlq.command(
    help_epilogue="Examples:\n\norderctl dlq redrive payments\n\n"
    "orderctl dlq redrive --message 3f2a81c0",
)
@_REDRIVEN.of_command
def redrive(
    names: Names = (),
    /,
    *,
    message_id: MessageId = None,
    per_second: Annotated[
        int, Parameter(metavar="N", validator=validators.Number(gte=1, lte=500))
    ] = PER_SECOND,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Send parked messages back to where they came from, and wait until that is done.

    Look first why they are parked (`orderctl dlq show`): while the cause is there, they are parked
    again. Redriving more than once does no harm: every effect happens once.

    Args:
        names: Which steps, such as payments. [default: all]
        message_id: Only this message: its id, or the start of it.
        per_second: At most N messages a second, so that new orders do not wait behind them.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: There is no such queue or message, or not every message could be moved.
    """
    if message_id is not None:
        _redrive_message(names, message_id, as_json, target)
        return
    with connect(target, changes=True) as pipeline:
        results = [
            (queue.name, _redrive(queue, per_second, quiet=as_json))
            for queue in _choose_queues(pipeline, names)
            if queue.depth()
        ]
    if as_json:
        _REDRIVEN.show(
            Redriven(queue=name, moved=dict(result.moved), failures=result.failures)
            for name, result in results
        )
    elif not results:
        console.out().print(_nothing_in(names))
    failures = [f"{name}: {why}" for name, result in results for why in result.failures]
    if failures:
        raise OrderctlError("\n  ".join(["Not everything was moved.", *failures]))


def _redrive(queue: DeadLetterQueue, per_second: int, *, quiet: bool) -> RedriveResult:
    with console.waiting(f"Redriving {queue.name}", shown=not quiet) as progress:
        result = queue.redrive(progress, per_second)
    if quiet:
        return result
    mark = ("✗ ", "bold red") if result.failures else ("✓ ", "green")
    console.out().print(Text.assemble(mark, f"{queue.name}: {describe(result)}"))
    return result


def describe(result: RedriveResult) -> str:
    """The result of a redrive as text."""
    moved = [
        f"moved {count} message{'s' if count > 1 else ''} to {where}"
        for where, count in result.moved.items()
    ]
    failed = [f"{len(result.failures)} failed"] if result.failures else []
    return ", ".join(moved + failed) or "there were no messages any more"
