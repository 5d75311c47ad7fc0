"""One order as a waterfall: what waited where, each attempt, and each call of an attempt.

It is a table whose rows have a bar, so that a screen reader has all that the picture says. The bars
of waits and attempts are on the scale of the order; those of calls on the scale of their attempt,
beside which they would be too short to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import htpy as h
from htpy import Element, Node

from orderctl.pipeline.attempts import Call
from orderctl.pipeline.spans import Kind, Span
from orderctl.terminal import span_texts
from orderctl.terminal.span_texts import precise

_WIDTH: Final = 1000
_HEIGHT: Final = 20
_LEAST: Final = 3
_TICKS: Final = 4


def draw(spans: Sequence[Span], unknown: Sequence[str], now: datetime) -> Node:
    """The waterfall; nothing when no time is known.

    Args:
        spans: by step and time.
        unknown: what nobody has noted, in sentences.
        now: where spans end that go on.
    """
    times = [at for span in spans for at in (span.begins_at, span.ends_at) if at]
    if not times:
        return None
    goes_on = any(span.ends_at is None for span in spans)
    last = max(*times, now) if goes_on else max(times)
    scale = _Scale(min(times), max(last - min(times), timedelta(milliseconds=1)))
    has_calls = any(span.attempt and span.attempt.calls for span in spans)
    so_far = " so far" if goes_on else ""
    return h.section(".waterfall", aria_labelledby="time")[
        h.div(".row")[
            h.h2("#time")["Where its time went"],
            h.span(".muted")[f"{precise(scale.length)}{so_far}"],
            has_calls
            and h.label(".check")[
                h.input("#calls", type="checkbox", checked=True),
                "calls, each on the scale of its attempt",
            ],
        ],
        h.table(role="table", aria_labelledby="time")[
            h.thead(role="rowgroup")[_head(scale)],
            [
                h.tbody(role="rowgroup", data_step=step)[_step(step), list(_rows(group, scale))]
                for step, group in groupby(spans, key=lambda span: span.step)
            ],
        ],
        [h.p(".muted")[sentence] for sentence in unknown],
        _legend({span.kind for span in spans}, failed=any(map(_failed, spans))),
    ]


@dataclass(frozen=True, slots=True)
class _Scale:
    first: datetime
    length: timedelta

    def x(self, at: datetime) -> int:
        return round(min(max((at - self.first) / self.length, 0), 1) * _WIDTH)


def _head(scale: _Scale) -> Element:
    ticks = [precise(scale.length * number / _TICKS) for number in range(_TICKS)]
    return h.tr(role="row")[
        h.th(".what", role="columnheader")["step"],
        h.th(".track", role="columnheader")[
            h.span(".unseen")["bar"],
            h.span(".ticks", aria_hidden="true")[[h.span[tick] for tick in ticks]],
        ],
        h.th(".number", role="columnheader")["from"],
        h.th(".number", role="columnheader")["takes"],
    ]


def _step(name: str) -> Element:
    return h.tr(".step", role="row")[h.th(role="rowheader", scope="rowgroup", colspan="4")[name]]


def _rows(spans: Iterator[Span], scale: _Scale) -> Iterator[Element]:
    for span in spans:
        yield _row(span, scale)
        attempt = span.attempt
        if attempt and span.begins_at and attempt.calls:
            first = min(span.begins_at, attempt.calls[0].began_at)
            last = attempt.ended_at or scale.first + scale.length
            inner = _Scale(first, max(last - first, timedelta(milliseconds=1)))
            yield from (_call(call, inner) for call in attempt.calls)


def _failed(span: Span) -> bool:
    return bool(span.attempt and span.attempt.failed)


def _row(span: Span, scale: _Scale) -> Element:
    outcome, failed = span_texts.outcome(span), _failed(span)
    beside = span_texts.beside(span)
    return h.tr(class_=["span", span.kind, "failed" if failed else ""], role="row")[
        h.th(".what", role="rowheader", scope="row")[
            span_texts.title(span),
            outcome and h.span(".outcome")[outcome],
            beside and h.span(".muted")[beside],
        ],
        h.td(".track", role="cell")[_bar(span.begins_at, span.ends_at, scale)],
        h.td(".number", role="cell")[
            f"+{precise(span.begins_at - scale.first)}" if span.begins_at else span_texts.UNKNOWN
        ],
        h.td(".number", role="cell")[_takes(span, scale)],
    ]


def _takes(span: Span, scale: _Scale) -> str:
    if span.ends_at is None and span.begins_at:
        return f"{precise(scale.first + scale.length - span.begins_at)} so far"
    return span_texts.length(span)


def _call(call: Call, scale: _Scale) -> Element:
    taken = precise(call.ended_at - call.began_at) if call.ended_at else "no answer yet"
    return h.tr(class_=["call", "failed" if call.error else ""], role="row")[
        h.th(".what", role="rowheader", scope="row")[
            call.operation,
            call.on and h.span(".muted")[call.on],
            h.span(".outcome")[f"refused: {call.error}" if call.error else "ok"],
        ],
        h.td(".track", role="cell")[_bar(call.began_at, call.ended_at, scale)],
        h.td(".number", role="cell")[f"{precise(call.began_at - scale.first)} in"],
        h.td(".number", role="cell")[taken],
    ]


def _bar(begins: datetime | None, ends: datetime | None, scale: _Scale) -> Element:
    """The bar of a row; a mark where only the end is known."""
    right = scale.x(ends) if ends else _WIDTH
    left = min(scale.x(begins), _WIDTH - _LEAST) if begins else max(right - _LEAST, 0)
    return h.svg(viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none", aria_hidden="true")[
        h.rect(
            class_=["bar", "" if begins else "mark", "" if ends else "open"],
            x=left,
            y=0,
            width=max(right - left, _LEAST),
            height=_HEIGHT,
        )
    ]


def _legend(kinds: set[Kind], *, failed: bool) -> Element:
    return h.p(".legend")[
        [h.span(class_=["key", k])[span_texts.kind(k)] for k in span_texts.KINDS if k in kinds],
        failed and h.span(".key.failed")["attempt that failed"],
    ]
