"""`orderctl order`: how one order stands, and what has happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading, tokens
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, check_order_id
from orderctl.terminal.order_texts import amount, items

_NOTHING = "-"
# What is shown in a form of its own; any other field is shown as it is.
_NAMED = frozenset(
    {
        *("order_id", "status", "reason", "payment", "inventory", "amount", "currency", "items"),
        *("customer_id", "placed_at", "history"),
    }
)


@app.command(group=ORDERS, help_epilogue="Example: orderctl order order-1")
def order(order_id: str, /, *, as_json: Json = False, target: Target = Target()) -> None:
    """Show how an order stands, and what has happened to it.

    Args:
        order_id: Which order.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: There is no such order, or the API did not answer the question.
    """
    check_order_id(order_id)
    with connect(target) as pipeline:
        answer = pipeline.api.show(order_id)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise OrderctlError(f"There is no order {order_id}.")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise OrderctlError(tokens.UNAUTHORIZED)
    if answer.status != HTTPStatus.OK:
        raise OrderctlError(f"The API answered {answer.status}. Try again in a few seconds.")
    if not isinstance(answer.body, dict):
        raise OrderctlError(f"What the API answered about {order_id} cannot be read.")
    if as_json:
        console.json_document(answer.body)
    else:
        show(answer.body)


def show(shown: Mapping[str, Any]) -> None:
    """Show an order as the API has it."""
    facts = {
        "order": shown.get("order_id", reading.UNREADABLE),
        "status": shown.get("status", reading.UNREADABLE),
        "reason": shown.get("reason"),
        "payment": shown.get("payment") or _NOTHING,
        "inventory": shown.get("inventory") or _NOTHING,
        "amount": amount(shown),
        "items": items(shown),
        "customer": shown.get("customer_id"),
        **{name: value for name, value in shown.items() if name not in _NAMED},
    }
    console.summary([(name, reading.to_text(fact)) for name, fact in facts.items() if fact])
    console.out().print()
    console.table(
        ("time", "event", "reason"),
        [
            [reading.to_text(step.get(name) or "") for name in ("at", "type", "reason")]
            for step in reading.maps(shown.get("history"))
        ],
    )
