"""The responses of the API, as a Lambda proxy integration expects them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from orders.events import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orders.order import Order
    from orders.order_api.validation import Fault

RETRY_AFTER_SECONDS: Final = 2


class Response(TypedDict):
    """An HTTP response."""

    statusCode: int
    headers: dict[str, str]
    body: str


def order_accepted(order_id: str, orders: str) -> Response:
    """202: the order is on the bus.

    Args:
        order_id: the order's.
        orders: the path to ``/orders``, relative to the request's address (RFC 9110, 10.2.2).
    """
    return _response(
        202,
        "application/json",
        {"order_id": order_id, "status": "placed"},
        {"Location": f"{orders}/{order_id}"},
    )


def order_invalid(faults: Sequence[Fault]) -> Response:
    """400: the body is not an order, and these are all the reasons."""
    return _problem(
        400,
        "The order is not valid",
        {"errors": [{"field": fault.field, "detail": fault.detail} for fault in faults]},
    )


def forbidden(detail: str) -> Response:
    """403: the caller may not do this."""
    return _problem(403, "Not allowed", {"detail": detail})


def order_id_taken(order_id: str) -> Response:
    """409: another order has this id."""
    detail = f"The order id {order_id} is taken by a different order. Choose another id."
    return _problem(409, "The order id is taken", {"detail": detail, "order_id": order_id})


def unavailable() -> Response:
    """503: AWS did not serve it; the same call may be repeated."""
    return _problem(
        503,
        "The request was not served",
        {"detail": "Send the same request again: it takes effect once, however often it is sent."},
        {"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def order_unknown(order_id: str) -> Response:
    """404: no such order."""
    detail = "There is no order with this id."
    return _problem(404, "Unknown order", {"detail": detail, "order_id": order_id})


def too_late(order_id: str) -> Response:
    """409: a confirmed order can no longer be cancelled."""
    detail = "The order is confirmed; it can no longer be cancelled."
    return _problem(409, "Too late to cancel", {"detail": detail, "order_id": order_id})


def cancel_accepted(order: Order, orders: str) -> Response:
    """202: the order is cancelled, or will be unless it is confirmed first.

    Args:
        order: as it stands.
        orders: the path to ``/orders``, relative to the request's address.
    """
    body = {"order_id": order.order_id, "status": order.status, "cancel": "requested"}
    return _response(202, "application/json", body, {"Location": f"{orders}/{order.order_id}"})


def order_status(order: Order) -> Response:
    """200: how an order stands."""
    steps = [
        {"type": step.type, "at": step.at, **({"reason": step.reason} if step.reason else {})}
        for step in order.history
    ]
    body = {
        "order_id": order.order_id,
        "status": order.status,
        "payment": order.payment,
        "inventory": order.inventory,
        "reason": order.reason,
        "placed_at": order.placed_at,
        "history": steps,
    }
    # Decimals stay decimals: an amount is exact to the digit on its way out, too.
    ordered = msgspec.to_builtins(order.ordered, builtin_types=(Decimal,)) if order.ordered else {}
    return _response(200, "application/json", {**ordered, **body}, {})


def _problem(
    status: int, title: str, members: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """A problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, **members}
    return _response(status, "application/problem+json", body, headers or {})


def _response(
    status: int, content_type: str, body: dict[str, Any], headers: dict[str, str]
) -> Response:
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **headers},
        "body": encode(body),
    }
