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
from orderctl.console.flow import Flow
from orderctl.console.orders_page import status
from orderctl.console.page import Setting
from orderctl.pipeline import reading, trace
from orderctl.pipeline.steps import STEPS
from orderctl.pipeline.times import format_time
from orderctl.pipeline.trace import Entry, Story
from orderctl.terminal.order_texts import amount, items
from orders.events import is_order_id

_FAR_ENOUGH: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is known of an order."""

    order_id: str
    story: Story
    records: Mapping[str, Mapping[str, Any]]
    """Its items, by what the table has."""
    step_of: Mapping[str, str]
    """The step of each function, by the function's name."""


def look(pipelines: Pipelines, order_id: str) -> Seen:
    """Read everything about an order.

    Raises:
        HTTPException: it cannot be an order's id, or nothing is known of it.
    """
    if not is_order_id(order_id):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{order_id} is not an order id.")
    with pipelines.borrow() as pipeline:
        story = trace.tell(pipeline, order_id, datetime.now(UTC) - _FAR_ENOUGH)
        if not story.is_known:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"Nothing is known of an order {order_id}.")
        return Seen(
            order_id,
            story,
            {
                "order": story.order,
                "payment": pipeline.orders.payments([order_id]).get(order_id, {}),
                "reservation": pipeline.orders.reservations([order_id]).get(order_id, {}),
            },
            {pipeline.stack.physical_id(s.function): s.name for s in STEPS if s.function},
        )


def page(setting: Setting, seen: Seen, flow: Flow | None) -> Node:
    """The whole page."""
    order = seen.story.order
    return [
        h.h1[seen.order_id, status(order) if order else None],
        _facts(order),
        _waits(seen.story),
        _cancel(setting, seen) if order.get("status") == "placed" else None,
        waterfall.draw(seen.story.entries, flow, seen.step_of) if flow else None,
        h.section(aria_labelledby="story")[h.h2("#story")["What happened"], _entries(seen.story)],
        [
            h.section[
                h.h2[f"The {name}'s record"],
                h.div(".scrolls", tabindex="0", role="region", aria_label=f"The {name}'s record")[
                    _record(record)
                ],
            ]
            for name, record in seen.records.items()
            if record
        ],
    ]


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
    return [
        [
            h.p(".notice.bad")[
                f"{each.event} is parked in {each.queue}: {each.reason.text}. ",
                h.a(href=addresses.dead_letter(each.queue, each.message.id))[
                    "See it and redrive it"
                ],
            ]
            for each in story.parked
        ],
        [
            h.p(".notice")[
                f"It may wait in {each.queue}, with {each.waiting} waiting and {each.at_work} at "
                f"work or in retry{'; its consumer is paused' if each.paused else ''}."
            ]
            for each in story.may_wait_in
        ],
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
            h.thead[h.tr[[h.th(scope="col")[n] for n in ("time", "where", "what", "facts")]]],
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
