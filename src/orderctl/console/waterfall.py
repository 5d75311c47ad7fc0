"""One order as a waterfall: for each step, how long its message waited, and each attempt.

The tables tell when each event was published, and the logs when a step had dealt with it. What lies
between is the wait in the queue with the work itself, which the logs do not tell apart; after a
failed attempt it is the wait for the retry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import htpy as h
from htpy import Element, Node

from orderctl.console.flow import Flow
from orderctl.console.texts import precise
from orderctl.pipeline.trace import Entry

_LABEL: Final = 150
_WIDTH: Final = 900
_ROW: Final = 34
_TOP: Final = 30
_TICKS: Final = 4
_FAILED: Final = ("WARNING", "ERROR")
_HISTORY: Final = "table orders"
_LOG: Final = "log "


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time in a step's row."""

    step: str
    start: datetime
    end: datetime
    kind: str
    """`wait` in a queue, or `retry`: the wait after a failed attempt."""
    says: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time."""

    step: str
    at: datetime
    kind: str
    """`done`, `failed` or `event`."""
    says: str


def spans(entries: Sequence[Entry], flow: Flow, step_of: Mapping[str, str]) -> list[Span]:
    """What an order waited for.

    Args:
        entries: its story, sorted by time.
        flow: which events a step gets.
        step_of: the step of each function, by the function's name.
    """
    found: list[Span] = []
    last: dict[str, tuple[datetime, bool]] = {}
    published: list[tuple[datetime, str]] = []
    for entry in entries:
        if entry.at is None:
            continue
        if entry.where == _HISTORY:
            published.append((entry.at, entry.what))
            continue
        step = step_of.get(entry.where.removeprefix(_LOG), "")
        if not step or not entry.where.startswith(_LOG) or step in flow.entrances:
            continue
        before = last.get(step)
        if before and before[1]:
            found.append(Span(step, before[0], entry.at, "retry", "waits for a retry"))
        elif cause := _cause(published, flow, step, before[0] if before else None):
            found.append(
                Span(step, cause[0], entry.at, "wait", f"queue and work, since {cause[1]}")
            )
        last[step] = (entry.at, _is_failure(entry))
    return [span for span in found if span.end > span.start]


def _cause(
    published: Sequence[tuple[datetime, str]], flow: Flow, step: str, since: datetime | None
) -> tuple[datetime, str] | None:
    """The newest event for a step since it last dealt with one."""
    taken = {
        detail_type
        for route in flow.routes
        if route.target == step
        for detail_type in route.detail_types
    }
    later = [each for each in published if each[1] in taken and (since is None or each[0] > since)]
    return later[-1] if later else None


def marks(entries: Sequence[Entry], step_of: Mapping[str, str]) -> Iterator[Mark]:
    """What happened to an order, step by step; events have a row of their own."""
    for entry in entries:
        if entry.at is None:
            continue
        facts = ", ".join(f"{name} {value}" for name, value in entry.facts.items())
        says = f"{entry.what}{facts and f' ({facts})'}"
        if entry.where == _HISTORY:
            yield Mark("events", entry.at, "event", says)
        elif entry.where.startswith(_LOG):
            step = step_of.get(entry.where.removeprefix(_LOG))
            if step:
                yield Mark(step, entry.at, "failed" if _is_failure(entry) else "done", says)


def _is_failure(entry: Entry) -> bool:
    return entry.what.partition(" ")[0] in _FAILED


def draw(entries: Sequence[Entry], flow: Flow, step_of: Mapping[str, str]) -> Node:
    """The waterfall; nothing when no time is known."""
    waited, happened = spans(entries, flow, step_of), list(marks(entries, step_of))
    if not happened:
        return None
    first = min(mark.at for mark in happened)
    last = max(mark.at for mark in happened)
    scale = _Scale(first, max(last - first, timedelta(milliseconds=1)))
    seen = {mark.step for mark in happened}
    rows = [
        name for name in ("events", *(s.name for s in (*flow.steps, *flow.keepers))) if name in seen
    ]
    height = _TOP + len(rows) * _ROW + 4
    return [
        h.div(".scrolls.waterfall", tabindex="0", role="region", aria_label="Waterfall")[
            h.svg(
                viewBox=f"0 0 {_LABEL + _WIDTH + 30} {height}",
                role="img",
                aria_label=f"From the first event to the last: {precise(last - first)}. "
                "The table below has the same.",
            )[
                [_tick(scale, number, height) for number in range(_TICKS + 1)],
                [
                    _row(
                        name,
                        number,
                        [span for span in waited if span.step == name],
                        [mark for mark in happened if mark.step == name],
                        scale,
                    )
                    for number, name in enumerate(rows)
                ],
            ]
        ],
        h.p(".legend")[
            h.span(".key.wait")["in the queue and at work"],
            h.span(".key.retry")["waits for a retry"],
            h.span(".key.done")["done"],
            h.span(".key.failed")["attempt failed"],
            h.span(".key.event")["event"],
        ],
    ]


@dataclass(frozen=True, slots=True)
class _Scale:
    first: datetime
    length: timedelta

    def x(self, at: datetime) -> int:
        return _LABEL + round(min(max((at - self.first) / self.length, 0), 1) * _WIDTH)


def _tick(scale: _Scale, number: int, height: int) -> Node:
    x = _LABEL + _WIDTH * number // _TICKS
    return [
        h.path(".tick", d=f"M{x} 22V{height}"),
        h.text(".label", x=x, y=15, text_anchor="middle")[
            f"+{precise(scale.length * number / _TICKS)}" if number else "0"
        ],
    ]


def _row(
    name: str, number: int, waited: Sequence[Span], happened: Sequence[Mark], scale: _Scale
) -> Element:
    y = _TOP + number * _ROW
    return h.g[
        h.text(".name", x=0, y=y + 21)[name],
        [
            h.rect(
                class_=["span", span.kind],
                x=scale.x(span.start),
                y=y + 9,
                width=max(scale.x(span.end) - scale.x(span.start), 1),
                height=15,
                rx=3,
            )[h.title[f"{span.says}: {precise(span.end - span.start)}"]]
            for span in waited
        ],
        [
            h.circle(class_=["mark", mark.kind], cx=scale.x(mark.at), cy=y + 16, r=6)[
                h.title[f"+{precise(mark.at - scale.first)} {mark.says}"]
            ]
            for mark in happened
        ],
    ]
