"""`orderctl order`: an order's state and history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.text import Text

from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import causes, reading, tokens
from orderctl.pipeline.endings import has_ended
from orderctl.pipeline.pipeline import Pipeline
from orderctl.terminal import console
from orderctl.terminal.completing import OrderId
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, check_order_id
from orderctl.terminal.order_texts import amount, items
from orderctl.terminal.results import Document
from orderctl.waiting import wait_until

_NOTHING = "-"
_POLL_SECONDS = 0.5
# Fields that are formatted below; any other field is shown as it is.
_NAMED = frozenset(
    {
        *("order_id", "status", "reason", "payment", "inventory", "amount", "currency", "items"),
        *("customer_id", "placed_at", "history"),
    }
)


class Line(msgspec.Struct, kw_only=True):
    """An item of an order.

    Attributes:
        sku: The SKU.
        quantity: How many.
    """

    sku: str
    quantity: int


class StepOfOrder(msgspec.Struct, kw_only=True):
    """Something that happened to an order.

    Attributes:
        at: When.
        type: The event that told it.
        reason: Why, where the event says so.
    """

    at: str
    type: str
    reason: str | msgspec.UnsetType


class OrderOfApi(msgspec.Struct, kw_only=True):
    """An order as the API returns it; a stack of a newer version may add fields.

    With --watch it is one object a line, again whenever it changes.

    Attributes:
        order_id: Its id.
        status: How it stands: placed, confirmed or cancelled.
        reason: Why it was cancelled.
        payment: How its payment stands.
        inventory: How its reservation stands.
        amount: Its amount.
        currency: Its currency.
        items: What was ordered.
        customer_id: Whose it is.
        placed_at: When it was placed.
        history: What happened to it.
    """

    order_id: str
    status: str
    reason: str | msgspec.UnsetType
    payment: str | msgspec.UnsetType
    inventory: str | msgspec.UnsetType
    amount: float
    currency: str
    items: list[Line] | msgspec.UnsetType
    customer_id: str | msgspec.UnsetType
    placed_at: str
    history: list[StepOfOrder]


@app.command(
    group=ORDERS,
    help_epilogue="Examples:\n\norderctl order order-1\n\norderctl order order-1 --watch",
)
@Document(OrderOfApi).of_command
def order(
    order_id: OrderId,
    /,
    *,
    watch: Annotated[bool, Parameter(alias="-w")] = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Show an order's status, payment, inventory and history.

    Args:
        order_id: Which order.
        watch: Show it again whenever it changes, until it has ended.
        as_json: Print JSON instead; with --watch one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: There is no such order, or the API did not return it.
    """
    check_order_id(order_id)
    with connect(target) as pipeline:
        if watch:
            _watch(pipeline, order_id, as_json=as_json)
            return
        found = _read(pipeline, order_id)
    if as_json:
        console.json_document(found)
    else:
        show(found)


def _read(pipeline: Pipeline, order_id: str) -> dict[str, Any]:
    """The order as the API returns it."""
    answer = pipeline.api.show(order_id)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise OrderctlError(f"There is no order {order_id}.")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise OrderctlError(tokens.UNAUTHORIZED)
    if answer.status != HTTPStatus.OK:
        raise OrderctlError(f"The API answered {answer.status}. Try again in a few seconds.")
    if not isinstance(answer.body, dict):
        raise OrderctlError(
            f"The API's answer for {order_id} is not a JSON object. Try again in a few seconds."
        )
    return answer.body


def _watch(pipeline: Pipeline, order_id: str, *, as_json: bool) -> None:
    """Show an order whenever it changes, until it has ended: in a terminal in place."""
    last: dict[str, Any] = {}

    def look(show_it: Callable[[dict[str, Any]], None]) -> bool:
        nonlocal last
        found = _read(pipeline, order_id)
        if found != last:
            show_it(found)
        last = found
        return has_ended(found)

    if as_json:
        wait_until(lambda: look(console.json_line), poll_seconds=_POLL_SECONDS)
    elif console.out().is_terminal and not console.out().is_dumb_terminal:
        with console.live() as update:
            wait_until(
                lambda: look(lambda found: update(Text("\n").join(lines(found)))),
                poll_seconds=_POLL_SECONDS,
            )
    else:
        wait_until(
            lambda: look(lambda found: _show_new_steps(last, found)), poll_seconds=_POLL_SECONDS
        )


def _show_new_steps(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Print what happened to an order since it was read before, a line a step."""
    known = len(reading.maps(before.get("history")))
    for step in reading.maps(now.get("history"))[known:]:
        cells = [reading.to_text(step.get(name) or "") for name in ("at", "type", "reason")]
        console.out().print(console.text("   ".join(filter(None, cells))))
    console.flush()


def show(order: Mapping[str, Any]) -> None:
    """Print an order as the API returns it."""
    for line in lines(order):
        console.out().print(line)


def lines(order: Mapping[str, Any]) -> list[Text]:
    """An order as the API returns it, line by line."""
    facts = {
        "order": order.get("order_id", reading.UNREADABLE),
        "status": order.get("status", reading.UNREADABLE),
        "reason": order.get("reason"),
        "payment": order.get("payment") or _NOTHING,
        "inventory": order.get("inventory") or _NOTHING,
        "amount": amount(order),
        "items": items(order),
        "customer": order.get("customer_id"),
        **{name: value for name, value in order.items() if name not in _NAMED},
    }
    steps = [
        [reading.to_text(step.get(name) or "") for name in ("at", "type", "reason")]
        for step in causes.in_order(reading.maps(order.get("history")))
    ]
    return [
        *console.summary_lines(
            [(name, reading.to_text(fact)) for name, fact in facts.items() if fact]
        ),
        Text(),
        *console.table_lines(("time", "event", "reason"), steps),
    ]
