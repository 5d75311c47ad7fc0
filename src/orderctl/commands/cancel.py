"""`orderctl cancel`: requests the cancellation of an order, and says how that ends."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from orderctl import paths
from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError
from orderctl.pipeline import Pipeline, tokens
from orderctl.terminal import console
from orderctl.terminal.completing import OrderId
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, check_order_id
from orderctl.terminal.results import Document
from orderctl.waiting import wait_until

_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.2


class Cancellation(msgspec.Struct, kw_only=True):
    """What became of the request to cancel an order.

    Attributes:
        order_id: The order.
        http_status: The API's answer: 202 when it took the request.
        status: The order's status; null while it is not known.
        reason: Why it is cancelled.
    """

    order_id: str
    http_status: int
    status: str | None
    reason: str | None


_JSON = Document(Cancellation)


@app.command(group=ORDERS, help_epilogue="Example: orderctl cancel order-1")
@_JSON.of_command
def cancel(
    order_id: OrderId,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Cancel an order that is not confirmed yet.

    Exits with 0 only if the order was cancelled; with --no-wait, if the request was accepted.

    Args:
        order_id: Which order.
        wait: Wait a few seconds for the decision.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: It was not cancelled, or that was not decided in time.
    """
    check_order_id(order_id)
    with connect(target, changes=True) as pipeline:
        status = pipeline.api.cancel(order_id).status
        order: dict[str, Any] = {}
        if status == HTTPStatus.ACCEPTED:
            order = _wait_for_decision(pipeline, order_id, _PATIENCE_SECONDS if wait else 0)
    if as_json:
        _JSON.show(
            Cancellation(
                order_id=order_id,
                http_status=status,
                status=order.get("status"),
                reason=order.get("reason"),
            )
        )
    if refusal := refusal_of(status, order_id):
        raise OrderctlError(refusal)
    if wait and (failure := failure_of(order, order_id)):
        raise OrderctlError(failure)
    if not as_json:
        console.out().print(console.text(success_of(order, order_id)))


def refusal_of(status: int, order_id: str) -> str | None:
    """Why the API did not accept the request; None when it did.

    Args:
        status: The HTTP status of its answer.
        order_id: Which order was to be cancelled.
    """
    match status:
        case HTTPStatus.ACCEPTED:
            return None
        case HTTPStatus.CONFLICT:
            return f"Too late: {order_id} is confirmed, and can no longer be cancelled."
        case HTTPStatus.NOT_FOUND:
            return f"There is no order {order_id}."
        case HTTPStatus.UNAUTHORIZED:
            return tokens.UNAUTHORIZED
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return "The API is unavailable (503). Try again in a few seconds: it takes effect once."
        case _:
            return f"The API answered {status} and did not accept the request to cancel {order_id}."


def failure_of(order: dict[str, Any], order_id: str) -> str | None:
    """Why an order is not cancelled although that was requested; None when it is.

    Args:
        order: How it stands, as the API shows it.
        order_id: Which order it is.
    """
    match order.get("status"):
        case "cancelled":
            return None
        case "confirmed":
            return f"Too late: {order_id} was confirmed before the request arrived."
        case _:
            return (
                f"Requested, but not decided after {_PATIENCE_SECONDS:.0f} s. The request is kept. "
                f"See how it ends with: {paths.orderctl()} order {order_id}"
            )


def success_of(order: dict[str, Any], order_id: str) -> str:
    """The message for a request that was accepted.

    Args:
        order: How the order stands, as the API shows it.
        order_id: Which order it is.
    """
    if order.get("status") == "cancelled":
        return f"Cancelled {order_id}: {order.get('reason') or 'no reason given'}."
    return f"Requested the cancellation of {order_id}."


def _wait_for_decision(
    pipeline: Pipeline, order_id: str, patience_seconds: float
) -> dict[str, Any]:
    """Wait until the order is decided, and return its last known state."""

    def look() -> dict[str, Any]:
        answer = pipeline.api.show(order_id)
        served = answer.status == HTTPStatus.OK and isinstance(answer.body, dict)
        return answer.body if served else {}

    return wait_until(
        look,
        patience_seconds=patience_seconds,
        poll_seconds=_POLL_SECONDS,
        enough=lambda order: order.get("status") in ("cancelled", "confirmed"),
    )
