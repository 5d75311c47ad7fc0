"""Each response of the API, whole."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.events import OrderPlaced
from orders.order import Order, Step
from orders.order_api import responses
from orders.order_api.responses import Response

AT = "2026-08-18T09:30:00.123Z"
ORDER = Order(
    order_id="a",
    placed_at=AT,
    status="cancelled",
    payment="declined",
    reason="no funds",
    history=(Step("order.placed", AT), Step("order.cancelled", AT, "no funds")),
    ordered=OrderPlaced(order_id="a", amount=Decimal("12.50")),
)


def problem(title: str, status: int, **members: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, **members}


@pytest.mark.parametrize(
    ("response", "status", "headers", "body"),
    [
        (
            responses.order_accepted("a", "orders"),
            202,
            {"Content-Type": "application/json", "Location": "orders/a"},
            {"order_id": "a", "status": "placed"},
        ),
        (
            responses.cancel_accepted(ORDER, "../orders"),
            202,
            {"Content-Type": "application/json", "Location": "../orders/a"},
            {"order_id": "a", "status": "cancelled", "cancel": "requested"},
        ),
        (
            responses.order_status(ORDER),
            200,
            {"Content-Type": "application/json"},
            {
                "order_id": "a",
                "amount": 12.5,
                "currency": "USD",
                "items": [],
                "status": "cancelled",
                "payment": "declined",
                "inventory": None,
                "reason": "no funds",
                "placed_at": AT,
                "history": [
                    {"type": "order.placed", "at": AT},
                    {"type": "order.cancelled", "at": AT, "reason": "no funds"},
                ],
            },
        ),
        (
            responses.forbidden("why"),
            403,
            {"Content-Type": "application/problem+json"},
            problem("Not allowed", 403, detail="why"),
        ),
        (
            responses.order_unknown("a"),
            404,
            {"Content-Type": "application/problem+json"},
            problem("Unknown order", 404, detail="There is no order with this id.", order_id="a"),
        ),
        (
            responses.order_id_taken("a"),
            409,
            {"Content-Type": "application/problem+json"},
            problem(
                "The order id is taken",
                409,
                detail="The order id a is taken by a different order. Choose another id.",
                order_id="a",
            ),
        ),
        (
            responses.too_late("a"),
            409,
            {"Content-Type": "application/problem+json"},
            problem(
                "Too late to cancel",
                409,
                detail="The order is confirmed; it can no longer be cancelled.",
                order_id="a",
            ),
        ),
        (
            responses.unavailable(),
            503,
            {"Content-Type": "application/problem+json", "Retry-After": "2"},
            problem(
                "The request was not served",
                503,
                detail="Send the same request again: it takes effect once, however often it is "
                "sent.",
            ),
        ),
    ],
)
def test_a_response_is_all_of_this(
    response: Response, status: int, headers: dict[str, str], body: dict[str, Any]
) -> None:
    assert (response["statusCode"], response["headers"]) == (status, headers)
    assert json.loads(response["body"]) == body


def test_an_order_of_another_publisher_has_its_id_too() -> None:
    body = json.loads(responses.order_status(replace(ORDER, ordered=None))["body"])
    assert (body["order_id"], "amount" in body) == ("a", False)
