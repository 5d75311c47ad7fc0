"""Everything that happened to an order, from tables, dead-letter queues and functions' logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orderctl.pipeline import causes, reading
from orderctl.pipeline.dead_letters import order_id_in
from orderctl.pipeline.parked import Parked, peek
from orderctl.pipeline.steps import CONSUMERS
from orderctl.pipeline.stock import reserved_lines

if TYPE_CHECKING:
    from orderctl.pipeline.logs import LogLine
    from orderctl.pipeline.pipeline import Pipeline

Item = Mapping[str, Any]

# The clocks of the tables and of the logs may differ.
_BEFORE = timedelta(minutes=1)
# How long after an order's end to search: for repeats of messages, and redrives.
_AFTER_ITS_END = timedelta(hours=1)


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
    payment = pipeline.orders.payments([order_id]).get(order_id)
    reservation = pipeline.orders.reservations([order_id]).get(order_id)
    entries = [*order_entries(order)]
    entries += record_entries("table payments", payment) if payment else []
    entries += record_entries("table reservations", reservation) if reservation else []
    first, last = _span(entries, since)
    finished = bool(order) and "unfinished" not in order
    until = last + _AFTER_ITS_END if finished else None
    for function in pipeline.functions.names():
        lines = pipeline.functions.log(function).read(first - _BEFORE, until, order_id)
        entries += log_entries(
            line for line in lines if line.is_about(order_id) and not line.is_noise
        )
    parked = _parked(pipeline, order_id)
    entries += parked_entries(parked)
    waits = not finished and not parked and bool(entries)
    return Story(
        order=order,
        entries=tuple(sorted(entries, key=lambda entry: entry.place)),
        parked=tuple(parked),
        may_wait_in=tuple(_waiting(pipeline)) if waits else (),
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


def _parked(pipeline: Pipeline, order_id: str) -> list[Parked]:
    found: list[Parked] = []
    for queue in pipeline.dead_letters.queues():
        if not queue.depth():
            continue
        with peek(
            pipeline, queue, matches=lambda message: order_id_in(message.body) == order_id
        ) as messages:
            found += messages
    return found


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
