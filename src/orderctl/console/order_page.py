"""The page of one order: its story as a waterfall, its records, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import htpy as h
from htpy import Element, Node
from starlette.exceptions import HTTPException
from starlette.requests import Request

from orderctl.console.collector import Pipelines
from orderctl.console.orders_page import status
from orderctl.pipeline import reading, trace
from orderctl.pipeline.times import format_time
from orderctl.pipeline.trace import Entry, Story
from orderctl.terminal.order_texts import amount, items
from orders.events import is_order_id

_FAR_ENOUGH = timedelta(hours=1)


def page(pipelines: Pipelines, request: Request) -> Node:
    """The order that the address names.

    Raises:
        HTTPException: the address names no order.
    """
    order_id = request.path_params["order_id"]
    if not is_order_id(order_id):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{order_id} is not an order id.")
    with pipelines.borrow() as pipeline:
        story = trace.tell(pipeline, order_id, datetime.now(UTC) - _FAR_ENOUGH)
    if not story.is_known:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"Nothing is known of an order {order_id}.")
    return [
        h.h1[order_id, " ", status(story.order) if story.order else None],
        _facts(story.order),
        _waits(story),
        h.section(aria_labelledby="story")[h.h2("#story")["What happened"], _entries(story)],
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
                f"{each.event} is parked in {each.queue}: {each.reason.text}"
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


def _entries(story: Story) -> Element:
    return h.div(".scrolls", tabindex="0", role="region", aria_label="What happened")[
        h.table[
            h.thead[h.tr[[h.th(scope="col")[n] for n in ("time", "where", "what", "facts")]]],
            h.tbody[[_row(entry) for entry in story.entries]],
        ]
    ]


def _row(entry: Entry) -> Element:
    facts: Sequence[str] = [f"{name} {value}" for name, value in entry.facts.items()]
    return h.tr[
        h.td(".time")[format_time(entry.at) if entry.at else reading.UNREADABLE],
        h.td[entry.where],
        h.td[entry.what],
        h.td(".facts")[", ".join(facts)],
    ]
