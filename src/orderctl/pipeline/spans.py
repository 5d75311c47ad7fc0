"""An order's time in spans: when it passed the bus, waited in a queue, was worked on, was parked.

A span says what is known. Where nobody has noted when an attempt began, the wait and the work are
one span; where its beginning is not known at all, it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from orderctl.pipeline import reading
from orderctl.pipeline.attempts import Attempt
from orderctl.pipeline.steps import STEPS
from orders.events import ROUTING

_TAKES: Final = {step.name: step.takes for step in STEPS}
_DECIDES: Final = "tracker"
_ANSWERS: Final = {
    step.name: frozenset(
        kind.detail_type for kind in ROUTING if kind.source.rpartition(".")[2] == step.name
    )
    for step in STEPS
}
"""The events that tell what a step has done."""


class Kind(StrEnum):
    """What an order does during a span."""

    BUS = "bus"
    """Its event is on the bus, on the way to the queue."""
    QUEUE = "queue"
    """Its message waits to be received."""
    START = "start"
    """A function is loaded, as none of its environments is free: a cold start."""
    WORK = "work"
    """A function deals with it."""
    RETRY = "retry"
    """It waits for the next attempt."""
    PARKED = "parked"
    """It is in a dead-letter queue."""
    UNSPLIT = "unsplit"
    """It waits, and then a function deals with it; when that began is not known."""


@dataclass(frozen=True, slots=True)
class Span:
    """A length of an order's time."""

    step: str
    kind: Kind
    event: str
    """What its message tells; empty when that is not known."""
    begins_at: datetime | None
    """None when it is not known."""
    ends_at: datetime | None
    """None while it goes on."""
    attempt: Attempt | None = None
    """The attempt, for a span of work."""
    number: int | None = None
    """Which attempt at its message it is; None when it is not known."""


@dataclass(frozen=True, slots=True)
class Published:
    """An event of the order's history."""

    event: str
    at: datetime | None
    """To the millisecond; None when it is not known so exactly."""


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event in a dead-letter queue."""

    step: str
    event: str
    event_id: str
    since: datetime | None


def build(
    attempts: Sequence[Attempt],
    published: Sequence[Published],
    parked: Sequence[ParkedEvent],
    *,
    is_open: bool,
) -> list[Span]:
    """The spans of an order, by step and time.

    Args:
        attempts: in order of time.
        published: the events of its history, in order of time.
        parked: its events in dead-letter queues.
        is_open: whether the order goes on, so that a failed attempt is tried again.
    """
    spans: list[Span] = []
    left = list(parked)
    for chain in _chains(attempts, published):
        spans += _of_chain(chain)
        last = chain.attempts[-1]
        if is_parked := next((each for each in left if chain.is_of(each)), None):
            left.remove(is_parked)
            spans.append(_after(chain, last, Kind.PARKED))
        elif last.failed and last.ended_at and is_open:
            spans.append(_after(chain, last, Kind.RETRY))
    spans += [Span(p.step, Kind.PARKED, p.event, p.since, None) for p in left]
    if is_open:
        spans += _not_taken(spans, published)
    order = {step.name: number for number, step in enumerate(STEPS)}
    return sorted(spans, key=lambda span: (order.get(span.step, len(order)), _key(span)))


@dataclass(slots=True)
class _Chain:
    """The attempts of a step to deal with one event."""

    step: str
    event: str
    event_id: str
    published_at: datetime | None
    attempts: list[Attempt]

    def is_of(self, parked: ParkedEvent) -> bool:
        if self.event_id:
            return (self.step, self.event_id) == (parked.step, parked.event_id)
        return self.step == parked.step and self.event in ("", parked.event)


def _chains(attempts: Sequence[Attempt], published: Sequence[Published]) -> list[_Chain]:
    chains: list[_Chain] = []
    for attempt in attempts:
        of_step = [chain for chain in chains if chain.step == attempt.step]
        if going_on := _going_on(of_step, attempt):
            going_on.attempts.append(attempt)
            continue
        event, at = attempt.event, attempt.published_at
        if not event and (cause := _cause(attempt, published, of_step)):
            event, at = cause.event, cause.at
        chains.append(_Chain(attempt.step, event, attempt.event_id, at, [attempt]))
    return chains


def _going_on(chains: Sequence[_Chain], attempt: Attempt) -> _Chain | None:
    """The chain that an attempt belongs to, if it has begun."""
    if attempt.event_id:
        return next((chain for chain in chains if chain.event_id == attempt.event_id), None)
    if attempt.event or not chains:
        return None
    # A log does not say which event it is about: after a failure it is the same one.
    return chains[-1] if chains[-1].attempts[-1].failed else None


def _cause(
    attempt: Attempt, published: Sequence[Published], before: Sequence[_Chain]
) -> Published | None:
    """The event that a logged attempt is about: one that its step takes and has not dealt with."""
    taken = {(chain.event, chain.published_at) for chain in before}
    until = attempt.began_at or attempt.ended_at
    fitting = [
        each
        for each in published
        if each.event in _TAKES.get(attempt.step, ())
        and (each.event, each.at) not in taken
        and (each.at is None or until is None or each.at < until)
    ]
    # The tracker logs what it decides, on the last event; the others log each event.
    return next(iter(reversed(fitting) if attempt.step == _DECIDES else fitting), None)


def _of_chain(chain: _Chain) -> Iterator[Span]:
    before: Attempt | None = None
    for count, attempt in enumerate(chain.attempts, start=1):
        # Lambda does not say which attempt at an asynchronous invocation it is: they are counted.
        number = attempt.number or (count if chain.event_id else None)
        yield from _waits(chain, before, attempt, number)
        kind, since = Kind.WORK, attempt.loaded_at or attempt.began_at
        if since is None:
            since = before.ended_at if before else chain.published_at
            kind = Kind.UNSPLIT if since else Kind.WORK
        elif attempt.loaded_at:
            yield Span(chain.step, Kind.START, chain.event, attempt.began_at, attempt.loaded_at)
        yield Span(chain.step, kind, chain.event, since, attempt.ended_at, attempt, number)
        before = attempt


def _waits(
    chain: _Chain, before: Attempt | None, attempt: Attempt, number: int | None
) -> Iterator[Span]:
    """What the order did at a step between two attempts, or before the first."""

    def span(kind: Kind, begins: datetime | None, ends: datetime | None) -> Iterator[Span]:
        if begins and ends and begins < ends:
            yield Span(chain.step, kind, chain.event, begins, ends)

    if attempt.began_at is None:
        return
    if before is None:
        if attempt.sent_at:
            yield from span(Kind.BUS, chain.published_at, attempt.sent_at)
            # Of earlier deliveries nothing is known: between them it waited, or was worked on.
            kind = Kind.QUEUE if number in (None, 1) else Kind.UNSPLIT
            yield from span(kind, attempt.sent_at, attempt.began_at)
        else:
            yield from span(Kind.QUEUE, chain.published_at, attempt.began_at)
    elif before.message == attempt.message:
        yield from span(Kind.RETRY, before.ended_at, attempt.began_at)
    else:
        # Its message was redriven from the dead-letter queue, or its event was published again.
        if before.failed:
            yield from span(Kind.PARKED, before.ended_at, attempt.sent_at)
        yield from span(Kind.QUEUE, attempt.sent_at, attempt.began_at)


def _after(chain: _Chain, last: Attempt, kind: Kind) -> Span:
    return Span(chain.step, kind, chain.event, last.ended_at, None)


def _not_taken(spans: Sequence[Span], published: Sequence[Published]) -> Iterator[Span]:
    """The events that a step has still to take: it has not answered, and nobody saw an attempt."""
    known = {(span.step, span.event) for span in spans}
    for step in STEPS:
        answers = _ANSWERS.get(step.name, frozenset())
        for number, each in enumerate(published):
            if not answers or each.event not in step.takes or (step.name, each.event) in known:
                continue
            if not any(later.event in answers for later in published[number + 1 :]):
                yield Span(step.name, Kind.QUEUE, each.event, each.at, None)


def _key(span: Span) -> tuple[datetime, bool]:
    moment = span.begins_at or span.ends_at or reading.LAST
    return moment, span.kind is Kind.WORK
