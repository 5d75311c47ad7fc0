"""`orderctl trace`: everything that happened to an order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.spans import Span
from orderctl.pipeline.times import format_time
from orderctl.pipeline.trace import Entry, Story, tell
from orderctl.terminal import console
from orderctl.terminal.completing import OrderId
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Since, Target, check_order_id, parse_moment
from orderctl.terminal.order_texts import amount, items
from orderctl.terminal.results import Document
from orderctl.terminal.span_texts import UNKNOWN, beside, length, precise, title
from orderctl.terminal.span_texts import outcome as outcome_of

_HEADER = ("time", "where", "what", "facts")
_SPANS = ("step", "what", "from", "takes", "result")
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


class CallMade(msgspec.Struct, kw_only=True):
    """A call of AWS that an attempt made.

    Attributes:
        service: The service, such as dynamodb.
        operation: The operation.
        on: The tables, the bus, the queue or the topic that it is about.
        at: When it began.
        milliseconds: How long it took; null while there is no answer.
        error: The codes of what was refused; null when nothing was.
    """

    service: str
    operation: str
    on: str
    at: str
    milliseconds: float | None
    error: str | None


class SpanOfOrder(msgspec.Struct, kw_only=True):
    """A length of an order's time at a step.

    Attributes:
        step: The step.
        kind: `bus`, on the way to its queue; `queue`, waits to be received; `start`, a cold start;
            `work`, an attempt; `retry`, waits for the next attempt; `parked`, in a dead-letter
            queue; `unsplit`, a wait with the attempt after it, when nobody noted when that began.
        event: What its message tells; null when that is not known.
        at: When it began; null when that is not known.
        milliseconds: How long it was; null while it goes on, or when its beginning is not known.
        ended_at: When it ended; null while it goes on.
        attempt: Which attempt at the message it was; null for a wait, or when that is not known.
        failed: Whether the attempt failed; null for a wait.
        says: What the attempt logged about the order.
        messages: How many messages its invocation dealt with; null for a wait.
        calls: The calls that it made for the order, as far as they are known.
    """

    step: str
    kind: str
    event: str | None
    at: str | None
    milliseconds: float | None
    ended_at: str | None
    attempt: int | None
    failed: bool | None
    says: list[str]
    messages: int | None
    calls: list[CallMade]


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
        spans: How long it waited and was worked on, by step and time.
        unknown: What of that nobody has noted.
    """

    order_id: str
    status: str | None
    payment: str | None
    inventory: str | None
    reason: str | None
    story: list[Happened]
    parked: list[ParkedMessage]
    may_wait_in: list[WaitingIn]
    spans: list[SpanOfOrder]
    unknown: list[str]


_JSON = Document(Traced)


@app.command(group=OPERATING, help_epilogue="Example: orderctl trace order-1")
@_JSON.of_command
def trace(
    order_id: OrderId,
    /,
    *,
    since: Since = "1d",
    calls: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Show everything that happened to an order, by time, and where it is now.

    It reads the tables, the dead-letter queues, and the logs of all functions (for an order that
    has ended, up to an hour after its last change). EventBridge's times are whole seconds, so such
    a line comes at the end of its second. Messages on the consumers' queues are only counted:
    reading them would be a receive, which can delay or park them.

    Below it is how long the order waited and was worked on at each step. When an attempt began, and
    its calls, the local cloud has recorded; on AWS the logs tell when an attempt ended, and with
    SystemLogLevel=INFO when it began.

    Args:
        order_id: Which order.
        since: How far back to search the logs for an order that is in no table: 1h, 1d, or an
            ISO 8601 time (UTC).
        calls: Show each call of AWS, too, where it is known.
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
    for line in screen(order_id, story, calls=calls):
        console.out().print(line)


def screen(order_id: str, story: Story, *, calls: bool = False) -> list[Text]:
    """The output, line by line; with `calls` each call has a line, too."""
    lines = [Text.assemble((order_id, "bold"), "   ", *_standing(story.order)), Text()]
    lines += console.table_lines(_HEADER, [_row(entry) for entry in story.entries])
    if story.spans:
        lines += [Text(), *console.table_lines(_SPANS, list(_span_rows(story.spans, calls=calls)))]
    lines += [Text(sentence, style="dim") for sentence in story.unknown if story.spans]
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


def _span_rows(spans: Sequence[Span], *, calls: bool) -> Iterator[tuple[Text, ...]]:
    times = (at for span in spans for at in (span.begins_at, span.ends_at) if at)
    first = min(times, default=reading.FIRST)
    for span in spans:
        outcome = console.text("; ".join(filter(None, (outcome_of(span), beside(span)))))
        if span.attempt and span.attempt.failed:
            outcome.stylize(_STYLES["WARNING"])
        begins = f"+{precise(span.begins_at - first)}" if span.begins_at else UNKNOWN
        cells = (console.text(span.step), console.text(title(span)), begins, length(span))
        yield (*map(console.text, cells), outcome)
        for call in span.attempt.calls if span.attempt and calls else ():
            taken = precise(call.ended_at - call.began_at) if call.ended_at else "no answer yet"
            what = f"  {call.operation} {call.on}".rstrip()
            refused = f"refused: {call.error}" if call.error else ""
            row = ("", what, f"+{precise(call.began_at - first)}", taken, refused)
            yield tuple(map(console.text, row))


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
        spans=[_span(span) for span in story.spans],
        unknown=list(story.unknown),
    )


def _span(span: Span) -> SpanOfOrder:
    attempt = span.attempt
    return SpanOfOrder(
        step=span.step,
        kind=span.kind,
        event=span.event or None,
        at=_written(span.begins_at),
        milliseconds=_milliseconds(span.begins_at, span.ends_at),
        ended_at=_written(span.ends_at),
        attempt=span.number,
        failed=attempt.failed if attempt else None,
        says=list(attempt.says) if attempt else [],
        messages=attempt.messages if attempt else None,
        calls=[
            CallMade(
                service=call.service,
                operation=call.operation,
                on=call.on,
                at=format_time(call.began_at),
                milliseconds=_milliseconds(call.began_at, call.ended_at),
                error=call.error or None,
            )
            for call in (attempt.calls if attempt else ())
        ],
    )


def _written(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None


def _milliseconds(begins: datetime | None, ends: datetime | None) -> float | None:
    return round((ends - begins) / timedelta(milliseconds=1), 1) if begins and ends else None
