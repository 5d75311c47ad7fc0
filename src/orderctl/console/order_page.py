"""The page of one order: a waterfall, its story, its records, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import htpy as h
from htpy import Element, Node
from starlette.exceptions import HTTPException

from orderctl.console import addresses, waterfall
from orderctl.console.changes import form, hidden
from orderctl.console.collector import Pipelines
from orderctl.console.orders_page import status
from orderctl.console.page import Setting, columns
from orderctl.pipeline import reading, trace
from orderctl.pipeline.parked import Parked
from orderctl.pipeline.stack import is_of_aws
from orderctl.pipeline.times import format_time
from orderctl.pipeline.trace import Entry, Story, Waiting
from orderctl.terminal.order_texts import amount, items
from orders.events import is_order_id

_FAR_ENOUGH: Final = timedelta(hours=1)
_AGAIN_SECONDS: Final = 3
_AGAIN_SECONDS_ON_AWS: Final = (
    20  # it reads all logs, and CloudWatch takes 5 to 10 such calls a second
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is known of an order, and when that was."""

    order_id: str
    story: Story
    at: datetime
    again_seconds: int = _AGAIN_SECONDS
    """After how long it is read again, while the order goes on."""


def look(pipelines: Pipelines, order_id: str) -> Seen:
    """Read everything about an order.

    Raises:
        HTTPException: it cannot be an order's id, or nothing is known of it.
    """
    if not is_order_id(order_id):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{order_id} is not an order id.")
    with pipelines.borrow() as pipeline:
        story = trace.tell(pipeline, order_id, datetime.now(UTC) - _FAR_ENOUGH)
        on_aws = is_of_aws(pipeline.stack.endpoint)
    if not story.is_known:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"Nothing is known of an order {order_id}.")
    again_seconds = _AGAIN_SECONDS_ON_AWS if on_aws else _AGAIN_SECONDS
    return Seen(order_id, story, datetime.now(UTC), again_seconds)


def page(setting: Setting, seen: Seen) -> Node:
    """The whole page; console.js reads it again and again while the order goes on."""
    story = seen.story
    records = {"order": story.order, "payment": story.payment, "reservation": story.reservation}
    return h.div("#order", data_again=seen.again_seconds if _goes_on(story) else None)[
        h.h1[seen.order_id, status(story.order) if story.order else None],
        _facts(story.order),
        h.section(".waits", aria_labelledby="waits")[
            h.h2("#waits")["What it is waiting for"],
            _waits(story),
            _cancel(setting, seen) if story.order.get("status") == "placed" else None,
        ],
        waterfall.draw(story.spans, story.unknown, seen.at),
        h.section(aria_labelledby="story")[h.h2("#story")["What happened"], _entries(story)],
        [
            h.section[
                h.h2[f"The {name}'s record"],
                h.div(".scrolls", tabindex="0", role="region", aria_label=f"The {name}'s record")[
                    _record(record)
                ],
            ]
            for name, record in records.items()
            if record
        ],
    ]


def _goes_on(story: Story) -> bool:
    return bool(story.order) and "unfinished" in story.order


def _facts(order: Mapping[str, Any]) -> Node:
    said = {
        "amount": amount(order),
        "items": items(order),
        "payment": reading.to_text(order.get("payment") or ""),
        "inventory": reading.to_text(order.get("inventory") or ""),
        "reason": reading.to_text(order.get("reason") or ""),
        "placed": reading.to_text(order.get("placed_at") or ""),
    }
    return h.div(".summary")[
        [h.dl(".fact")[h.dt[name], h.dd[value]] for name, value in said.items() if value]
    ]


def _waits(story: Story) -> Node:
    if story.parked or story.may_wait_in:
        return [
            [_parked(each) for each in story.parked],
            [_may_wait(each) for each in story.may_wait_in],
        ]
    if _goes_on(story):
        return h.p["No message of it is seen in a queue: it is at work, or on the bus."]
    return h.p["Nothing: it has ended." if story.order else "Nothing that can be seen."]


def _parked(parked: Parked) -> Element:
    return h.p(".notice.bad")[
        f"{parked.event} is parked in {parked.queue}: {parked.reason.text}. ",
        h.a(href=addresses.dead_letter(parked.queue, parked.message.id))["See it and redrive it"],
    ]


def _may_wait(waiting: Waiting) -> Element:
    return h.p(".notice")[
        f"It may wait in {waiting.queue}, with {waiting.waiting} waiting and {waiting.at_work} at "
        f"work or in retry{'; its consumer is paused' if waiting.paused else ''}."
    ]


def _cancel(setting: Setting, seen: Seen) -> Node:
    return form(
        setting,
        "/operate/cancel",
        hidden("order_id", seen.order_id),
        h.button(type="submit")["Cancel this order"],
        back=addresses.path("orders", seen.order_id),
    )


def _entries(story: Story) -> Element:
    return h.div(".scrolls", tabindex="0", role="region", aria_label="What happened")[
        h.table[
            columns("time", "where", "what", "facts"),
            h.tbody[[_row(entry) for entry in story.entries]],
        ]
    ]


def _row(entry: Entry) -> Element:
    failed = entry.what.startswith(("WARNING", "ERROR"))
    return h.tr[
        h.td(".time")[format_time(entry.at) if entry.at else reading.UNREADABLE],
        h.td[entry.where],
        h.td(class_=["failed" if failed else ""])[entry.what],
        h.td(".facts")[", ".join(f"{name} {value}" for name, value in entry.facts.items())],
    ]


def _record(record: Mapping[str, Any]) -> Element:
    return h.table(".record")[
        h.tbody[
            [
                h.tr[
                    h.th(scope="row")[reading.to_text(name)],
                    h.td(".facts")[reading.to_text(_plain(value))],
                ]
                for name, value in sorted(record.items())
            ]
        ]
    ]


def _plain(value: object) -> object:
    """A value without the names of Python's types in it."""
    match value:
        case list():
            return "; ".join(reading.to_text(_plain(each)) for each in value)
        case dict():
            return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return value
