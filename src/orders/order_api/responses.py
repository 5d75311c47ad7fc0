"""The answers of the API, as a Lambda proxy integration spells them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orders.order_api.validation import Fault

RETRY_AFTER_SECONDS: Final = 2


class Response(TypedDict):
    """An HTTP answer."""

    statusCode: int
    headers: dict[str, str]
    body: str


def accepted(order_id: str) -> Response:
    """202: the order is on the bus."""
    return _answer(
        202,
        "application/json",
        {"order_id": order_id, "status": "placed"},
        {"Location": f"/orders/{order_id}"},
    )


def invalid(faults: Sequence[Fault]) -> Response:
    """400: the body is not an order, and these are all the reasons."""
    return _problem(
        400,
        "The order is not valid",
        {"errors": [{"field": fault.field, "detail": fault.detail} for fault in faults]},
    )


def unavailable(order_id: str) -> Response:
    """503: the order was not taken; the same call may be repeated."""
    return _problem(
        503,
        "The order was not taken",
        {
            "detail": "Nothing was charged or reserved. Send the same order again.",
            "order_id": order_id,
        },
        {"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _problem(
    status: int, title: str, members: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """A problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, **members}
    return _answer(status, "application/problem+json", body, headers or {})


def _answer(
    status: int, content_type: str, body: dict[str, Any], headers: dict[str, str]
) -> Response:
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **headers},
        "body": json.dumps(body),
    }
