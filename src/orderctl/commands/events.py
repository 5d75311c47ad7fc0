"""`orderctl events`: every event on the bus, as it passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter, validators
from rich.text import Text

from orderctl.commands import OPERATING, app
from orderctl.errors import UsageError
from orderctl.pipeline import feed, reading
from orderctl.pipeline.feed import SeenEvent
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.times import format_time
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, check_order_id
from orderctl.terminal.order_texts import amount, items
from orderctl.terminal.results import Lines
from orders.events import ROUTING

_TYPE_WIDTH = max(len(detail_type) for _, detail_type in ROUTING.values())
_STYLES = {"declined": "yellow", "rejected": "yellow", "cancelled": "yellow", "confirmed": "green"}
# Shown in words, or not at all.
_NAMED = frozenset({"order_id", "at", "amount", "currency", "items", "fingerprint", "version"})


class Seen(msgspec.Struct, kw_only=True):
    """An event.

    Attributes:
        id: Its id, by EventBridge.
        at: When it was published; null when that cannot be read.
        source: Who published it.
        type: Its detail-type.
        order_id: The order that it is about; null for an event of the pipeline itself.
        replay: The replay that has brought it back; null for a new one.
        detail: What it says: docs/schemas has the schema of each type.
    """

    id: str
    at: str | None
    source: str
    type: str
    order_id: str | None
    replay: str | None
    detail: dict[str, Any]


_JSON = Lines(Seen)


@app.command(
    group=OPERATING,
    help_epilogue="Examples:\n\n"
    "orderctl events --follow --type 'payment.*'\n\n"
    "orderctl events --follow --order order-12\n\n"
    'orderctl events --follow --pattern \'{"detail": {"amount": [{"numeric": [">", 500]}]}}\'',
)
@_JSON.of_command
def events(
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    count: Annotated[
        int | None, Parameter(metavar="N", validator=validators.Number(gte=1, lte=1_000_000))
    ] = None,
    order: Annotated[tuple[str, ...], Parameter(metavar="ORDER_ID")] = (),
    type_: Annotated[tuple[str, ...], Parameter(name="--type", metavar="TYPE")] = (),
    pattern: Annotated[str | None, Parameter(metavar="JSON")] = None,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Show every event on the bus as it passes. Nobody else misses any.

    While it runs, the bus has a rule of its own for it, and the rule a queue. Both are removed at
    the end; what a crash leaves behind is removed by the next call, and by `orderctl destroy`. On
    AWS a new rule takes effect within a minute or so, so the first events may be missing. For
    events that have passed, see the archive: `orderctl replay`.

    Args:
        follow: Until Ctrl-C.
        count: End after N events.
        order: Only events about this order; repeatable.
        type_: Only events of this type, such as payment.charged, or 'payment.*'; repeatable.
        pattern: Only events that fit an event pattern of EventBridge.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        UsageError: Neither --follow nor --count is given, or the pattern is not one.
        OrderctlError: EventBridge does not take the pattern, or a call to AWS failed.
    """
    if not follow and count is None:
        raise UsageError("Give --follow to see events until Ctrl-C, or --count N.")
    for order_id in order:
        check_order_id(order_id)
    try:
        wanted = feed.pattern(order, type_, pattern)
    except ValueError as error:
        raise UsageError(f"--pattern: {error}.") from None
    with connect(target) as pipeline:
        for event in _passing(pipeline, wanted, count):
            if as_json:
                _JSON.show([_seen(event)])
            else:
                console.out().print(line(event))
                console.flush()


def _passing(pipeline: Pipeline, wanted: feed.Pattern, count: int | None) -> Iterator[SeenEvent]:
    shown = 0
    with pipeline.feeds.follow(wanted) as events_:
        console.note(f"Following {pipeline.stack.outputs['EventBusName']}. Ctrl-C ends it.")
        while True:
            for event in events_.next():
                yield event
                shown += 1
                if shown == count:
                    return


def line(event: SeenEvent) -> Text:
    """An event in one line."""
    at = f"{event.at:%H:%M:%S}.{event.at.microsecond // 1000:03d}" if event.at else "--:--:--.---"
    kind = console.text(event.type)
    kind.stylize(_STYLES.get(event.type.rpartition(".")[2], "bold"))
    says = [
        amount(event.detail),
        items(event.detail),
        *(
            f"{name} {reading.to_text(value)}"
            for name, value in event.detail.items()
            if name not in _NAMED and value not in (None, "")
        ),
        f"replayed by {event.replay}" if event.replay else "",
    ]
    return Text.assemble(
        (at, "dim"),
        "  ",
        kind,
        " " * max(_TYPE_WIDTH - kind.cell_len, 0),
        "  ",
        console.text(event.order_id or "-"),
        "  ",
        console.text(", ".join(filter(None, says))),
    )


def _seen(event: SeenEvent) -> Seen:
    return Seen(
        id=event.id,
        at=format_time(event.at) if event.at else None,
        source=event.source,
        type=event.type,
        order_id=event.order_id,
        replay=event.replay,
        detail=dict(event.detail),
    )
