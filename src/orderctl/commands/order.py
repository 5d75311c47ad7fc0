"""`orderctl order`: an order's state and history."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import causes, reading, tokens
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, check_order_id
from orderctl.terminal.order_texts import amount, items

_NOTHING = "-"
# Fields that are formatted below; any other field is shown as it is.
_NAMED = frozenset(
    {
        *("order_id", "status", "reason", "payment", "inventory", "amount", "currency", "items"),
        *("customer_id", "placed_at", "history"),
    }
)


@app.command(group=ORDERS, help_epilogue="Example: orderctl order order-1")
def order(order_id: str, /, *, as_json: Json = False, target: Target = Target()) -> None:
    """Show an order's status, payment, inventory and history.

    Args:
        order_id: Which order.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: There is no such order, or the API did not return it.
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
        raise OrderctlError(
            f"The API's answer for {order_id} is not a JSON object. Try again in a few seconds."
        )
    if as_json:
        console.json_document(answer.body)
    else:
        show(answer.body)


def show(order: Mapping[str, Any]) -> None:
    """Print an order as the API returns it."""
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
    console.summary([(name, reading.to_text(fact)) for name, fact in facts.items() if fact])
    console.out().print()
    console.table(
        ("time", "event", "reason"),
        [
            [reading.to_text(step.get(name) or "") for name in ("at", "type", "reason")]
            for step in causes.in_order(reading.maps(order.get("history")))
        ],
    )
