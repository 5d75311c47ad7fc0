"""Everything that happened to an order, from tables, dead-letter queues and functions' logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from orderctl.pipeline import causes, executions, reading, spans
from orderctl.pipeline.attempts import Attempt, combine
from orderctl.pipeline.dead_letters import event_in, order_id_in
from orderctl.pipeline.parked import Parked, peek
from orderctl.pipeline.spans import ParkedEvent, Published, Span
from orderctl.pipeline.steps import CONSUMERS
from orderctl.pipeline.stock import reserved_lines
from orderctl.pipeline.times import format_time

if TYPE_CHECKING:
    from orderctl.pipeline.executions import Recorded
    from orderctl.pipeline.logs import FunctionLog, LogLine, Ran
    from orderctl.pipeline.pipeline import Pipeline

Item = Mapping[str, Any]

# The clocks of the tables and of the logs may differ.
_BEFORE = timedelta(minutes=1)
# How long after an order's end to search: for repeats of messages, and redrives.
_AFTER_ITS_END = timedelta(hours=1)
_SYSTEM_LOG_LEVEL: Final = "SystemLogLevel"
"""The parameter that says whether Lambda logs when invocations ran."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to an order."""

    at: datetime | None
    """None where the time cannot be read."""
    where: str
    """The source: a table, a function's log, or a dead-letter queue."""
    what: str
    facts: Mapping[str, str]
    place: datetime
    """The key to sort by: entries without a time come first."""

    @property
    def is_to_the_second(self) -> bool:
        """Whether its time is in whole seconds, as EventBridge's are."""
        return self.at is not None and self.at.microsecond == 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue with messages, one of which may be the order's."""

    queue: str
    waiting: int
    at_work: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Story:
    """Everything known about an order."""

    order: Item
    """Its item in the orders table; empty when it has none."""
    entries: tuple[Entry, ...]
    """Sorted by time, but nothing comes before what it follows from."""
    parked: tuple[Parked, ...]
    may_wait_in: tuple[Waiting, ...]
    """Only for an order that has not ended and is not parked."""
    payment: Item = field(default_factory=dict)
    """Its item in the payments table; empty when it has none."""
    reservation: Item = field(default_factory=dict)
    """Its item in the reservations table; empty when it has none."""
    spans: tuple[Span, ...] = ()
    """How long it waited and was worked on, by step and time."""
    unknown: tuple[str, ...] = ()
    """What of that nobody has noted, in sentences."""

    @property
    def is_known(self) -> bool:
        """Whether anything is known about it."""
        return bool(self.order or self.entries or self.parked)


def tell(pipeline: Pipeline, order_id: str, since: datetime) -> Story:
    """Collect everything that happened to an order.

    Messages on the consumers' queues are only counted: reading one is a receive, which hides it
    from its consumer, and the third receive parks it.

    Args:
        pipeline: the pipeline of the order.
        order_id: the order.
        since: how far back to search the logs for an order that is in no table.
    """
    order = pipeline.orders.find([order_id]).get(order_id, {})
    payment = pipeline.orders.payments([order_id]).get(order_id, {})
    reservation = pipeline.orders.reservations([order_id]).get(order_id, {})
    entries = [*order_entries(order)]
    entries += record_entries("table payments", payment) if payment else []
    entries += record_entries("table reservations", reservation) if reservation else []
    first, last = _span(entries, since)
    finished = bool(order) and "unfinished" not in order
    until = last + _AFTER_ITS_END if finished else None
    logs = {name: pipeline.functions.log(name) for name in pipeline.functions.names()}
    lines = {
        name: [
            line
            for line in log.read(first - _BEFORE, until, order_id)
            if line.is_about(order_id) and not line.is_noise
        ]
        for name, log in logs.items()
    }
    entries += log_entries(chain.from_iterable(lines.values()))
    parked = _parked(pipeline, order_id)
    entries += parked_entries([each for _, each in parked])
    waits = not finished and not parked and bool(entries)
    attempts, unknown = _attempts(pipeline, order_id, logs, lines)
    return Story(
        order=order,
        entries=tuple(sorted(entries, key=lambda entry: entry.place)),
        parked=tuple(each for _, each in parked),
        may_wait_in=tuple(_waiting(pipeline)) if waits else (),
        payment=payment,
        reservation=reservation,
        spans=tuple(
            spans.build(
                attempts,
                _published(order),
                [_parked_event(step, each) for step, each in parked],
                is_open=bool(order) and not finished,
            )
        ),
        unknown=unknown,
    )


def order_entries(order: Item) -> list[Entry]:
    """The entries of an order's history."""
    history = _history(order)
    return [
        _entry("table orders", step, "type", step, place)
        for step, place in zip(history, causes.places(history), strict=True)
    ]


def _history(order: Item) -> list[Item]:
    """An order's history; unreadable steps are kept."""
    history = order.get("history", [])
    steps = history if isinstance(history, list) else [history]
    return [step if isinstance(step, Mapping) else {"found": step} for step in steps]


def record_entries(where: str, record: Item) -> list[Entry]:
    """The entry of a payment or a reservation: its present state, and since when."""
    facts = {name: value for name, value in record.items() if name not in ("order_id", "lines")}
    if record.get("lines"):
        held = reserved_lines(record)
        facts["lines"] = (
            reading.UNREADABLE
            if held is None
            else ", ".join(f"{quantity} {sku}" for sku, quantity in held.items())
        )
    return [_entry(where, record, "state", facts)]


def _entry(
    where: str,
    record: Item,
    kind: str,
    facts: Mapping[str, Any],
    place: datetime | None = None,
) -> Entry:
    """An entry from a table; an unreadable time is shown among the facts."""
    at = reading.parse_time(record.get("at"))
    return Entry(
        at,
        where,
        reading.to_text(record.get(kind, reading.UNREADABLE)),
        _texts(facts, (kind, "at") if at else (kind,)),
        place or causes.place(at),
    )


def log_entries(lines: Iterable[LogLine]) -> list[Entry]:
    """The entries of log lines."""
    return [
        Entry(
            line.at,
            f"log {line.function}",
            line.message if line.level in ("", "INFO") else f"{line.level} {line.message}",
            _texts(line.facts, ("order_id", "request_id")),
            causes.place(line.at),
        )
        for line in lines
    ]


def parked_entries(parked: Sequence[Parked]) -> list[Entry]:
    """The entries of parked messages, at the time of the last failure if that is known."""
    return [_parked_entry(each) for each in parked]


def _parked_entry(parked: Parked) -> Entry:
    at = reading.parse_time(parked.reason.at) or parked.message.sent_at
    return Entry(
        at,
        parked.queue,
        f"{parked.event} is parked here",
        {"message": parked.message.id, "reason": parked.reason.text},
        causes.place(at),
    )


def _parked(pipeline: Pipeline, order_id: str) -> list[tuple[str, Parked]]:
    """What is parked of an order, each with the name of the step that parked it."""
    found: list[tuple[str, Parked]] = []
    for queue in pipeline.dead_letters.queues():
        if not queue.depth():
            continue
        with peek(
            pipeline, queue, matches=lambda message: order_id_in(message.body) == order_id
        ) as messages:
            found += [(queue.step.name, message) for message in messages]
    return found


def _attempts(
    pipeline: Pipeline,
    order_id: str,
    logs: Mapping[str, FunctionLog],
    lines: Mapping[str, Sequence[LogLine]],
) -> tuple[list[Attempt], tuple[str, ...]]:
    """The attempts at an order, in order of time, and what is not known of them."""
    step_of = pipeline.functions.steps()
    found = executions.recorded(pipeline.session, pipeline.stack.endpoint, order_id, step_of)
    ran: dict[str, Ran] = {}
    if found is None and pipeline.stack.parameters().get(_SYSTEM_LOG_LEVEL) == "INFO":
        for function, log in logs.items():
            ran |= log.ran(lines[function])
    logged = sorted(chain.from_iterable(lines.values()), key=lambda line: line.at)
    attempts = combine(found.attempts if found else (), logged, step_of, ran)
    return attempts, tuple(_unknown(attempts, found))


def _unknown(attempts: Sequence[Attempt], found: Recorded | None) -> Iterator[str]:
    is_partial = any(attempt.began_at is None for attempt in attempts)
    if found and is_partial:
        yield (
            f"The local cloud has forgotten what ran before {format_time(found.since)}. Of that "
            "only the logs tell: roughly when an attempt ended, not when it began, and no calls."
        )
    if found is None and is_partial:
        yield (
            "The logs tell roughly when an attempt ended, not when it began, so its wait and its "
            f"work are one span. With {_SYSTEM_LOG_LEVEL}=INFO they tell both."
        )
    if found is None:
        yield "Single calls are known in the local cloud only."


def _published(order: Item) -> list[Published]:
    """The events of an order's history, in order."""
    return [
        Published(entry.what, None if entry.is_to_the_second else entry.at)
        for entry in sorted(order_entries(order), key=lambda entry: entry.place)
    ]


def _parked_event(step: str, parked: Parked) -> ParkedEvent:
    event_id = reading.to_text(event_in(parked.message.body).get("id", ""))
    return ParkedEvent(step, parked.event, event_id, reading.parse_time(parked.reason.at))


def _waiting(pipeline: Pipeline) -> Iterator[Waiting]:
    for step in CONSUMERS.values():
        queue = pipeline.queue(step.queue)
        waiting, at_work = queue.counts()
        if waiting + at_work:
            paused = pipeline.consumer(step.name).state() == "Disabled"
            yield Waiting(queue.name, waiting, at_work, paused)


def _span(entries: Sequence[Entry], since: datetime) -> tuple[datetime, datetime]:
    times = [entry.at for entry in entries if entry.at]
    return min(times, default=since), max(times, default=since)


def _texts(fields: Mapping[str, Any], but: Sequence[str]) -> dict[str, str]:
    if "amount" in fields and "currency" in fields:
        fields = {**fields, "amount": reading.amount(fields), "currency": None}
    return {
        reading.to_text(n): reading.to_text(value)
        for n, value in fields.items()
        if n not in but and value not in (None, "")
    }
