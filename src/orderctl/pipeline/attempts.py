"""What is known of the attempts of the steps to deal with an order.

There are two sources. The functions' logs have lines about the order: what an attempt did, or why
it failed, and roughly when it ended. When it began they tell only with `SystemLogLevel=INFO`. The
local cloud's records (`executions.py`) have each execution with its times and its calls. An attempt
that is in both is told once, with what both know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from orderctl.pipeline import reading

if TYPE_CHECKING:
    from orderctl.pipeline.logs import LogLine, Ran

_FAILED: Final = ("WARNING", "ERROR")
# Lines of one environment that are this close are of one invocation.
_TOGETHER: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of AWS that an attempt made."""

    service: str
    operation: str
    on: str
    """The tables, bus, queue or topic that it is about."""
    began_at: datetime
    ended_at: datetime | None
    """None while there is no answer."""
    error: str = ""
    """The codes of what it was refused, if anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt of a step to deal with a message of an order, or with a request."""

    step: str
    request_id: str = ""
    """Of the invocation; empty when it is not known."""
    event: str = ""
    """What its message tells, or what was requested; empty when it is not known."""
    event_id: str = ""
    published_at: datetime | None = None
    """When the event was published, to the millisecond."""
    message: str = ""
    """The message's id; a redriven message has another one."""
    number: int | None = None
    """How often the message has been delivered, this time included."""
    sent_at: datetime | None = None
    """When the message came to its queue."""
    began_at: datetime | None = None
    """None when it is not known."""
    loaded_at: datetime | None = None
    """When the function was loaded, if it had to be."""
    ended_at: datetime | None = None
    """None while it is at work."""
    failed: bool = False
    says: tuple[str, ...] = ()
    """What it logged about the order, and why it failed."""
    calls: tuple[Call, ...] = ()
    messages: int = 1
    """How many messages the invocation dealt with."""
    other_calls: int = 0
    """How many calls it made for others of them."""


def combine(
    executed: Sequence[Attempt],
    lines: Iterable[LogLine],
    step_of: Mapping[str, str],
    ran: Mapping[str, Ran],
) -> list[Attempt]:
    """All attempts, in order of time.

    Args:
        executed: those that the local cloud has recorded.
        lines: what the functions have logged about the order, in order of time.
        step_of: the step of each function, by the function's name.
        ran: when the invocations ran that have logged them, by the lines' ids, as far as known.
    """
    found = list(executed)
    unmatched: list[LogLine] = []
    for line in lines:
        place = _place(found, line, step_of.get(line.function, ""))
        if place is None:
            unmatched.append(line)
        else:
            found[place] = replace(found[place], says=(*found[place].says, _said(line)))
    found += logged(unmatched, step_of, ran)
    return sorted(found, key=_time)


def logged(
    lines: Iterable[LogLine], step_of: Mapping[str, str], ran: Mapping[str, Ran]
) -> Iterator[Attempt]:
    """The attempts that log lines tell of; the arguments are those of `combine`."""
    groups: list[list[LogLine]] = []
    for line in lines:
        if line.function not in step_of:
            continue
        for group in groups:
            if _is_together(group[-1], line):
                group.append(line)
                break
        else:
            groups.append([line])
    for group in groups:
        last = group[-1]
        times = next((ran[line.id] for line in group if line.id in ran), None)
        yield Attempt(
            step=step_of[last.function],
            request_id=_request_id(group),
            number=_number(group),
            began_at=times.began_at if times else None,
            ended_at=times.ended_at if times else last.at,
            failed=any(line.level in _FAILED for line in group),
            says=tuple(_said(line) for line in group),
        )


def _place(executed: Sequence[Attempt], line: LogLine, step: str) -> int | None:
    """Which attempt has logged a line: its invocation's, or the last that had ended by then.

    The local cloud writes an invocation's log when that has ended, and its times are in whole
    milliseconds.
    """
    request_id = _request_id([line])
    by_then = line.at + timedelta(milliseconds=1)
    fitting = [
        number
        for number, attempt in enumerate(executed)
        if attempt.step == step
        and (
            attempt.request_id == request_id
            if request_id
            else attempt.ended_at and attempt.ended_at <= by_then
        )
    ]
    return max(fitting, key=lambda number: executed[number].ended_at or by_then, default=None)


def _is_together(one: LogLine, other: LogLine) -> bool:
    ids = {_request_id([one]), _request_id([other])} - {""}
    same = one.function == other.function and one.stream == other.stream
    return same and len(ids) <= 1 and abs(other.at - one.at) <= _TOGETHER


def _request_id(lines: Sequence[LogLine]) -> str:
    found = (line.fields.get("request_id") for line in lines)
    return next((reading.to_text(each) for each in found if each), "")


def _number(lines: Sequence[LogLine]) -> int | None:
    numbers = (reading.whole_number(line.fields.get("attempt")) for line in lines)
    return next((number for number in numbers if number is not None), None)


def _said(line: LogLine) -> str:
    why = line.fields.get("reason") or line.fields.get("cause")
    return line.message + (f": {reading.to_text(why)}" if why else "")


def _time(attempt: Attempt) -> datetime:
    return attempt.began_at or attempt.ended_at or reading.FIRST
