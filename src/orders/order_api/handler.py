"""``order-api``: the REST API in, ``order.placed`` and cancel requests out."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.errors import AwsError, reason
from orders.aws.items import UnreadableRecordError
from orders.aws.order_table import OrderExistsError, OrderTable
from orders.clock import utc_now
from orders.events import OrderCancelRequested, OrderPlaced, is_order_id
from orders.order import Order, Step
from orders.order_api import responses
from orders.order_api.caller import Caller, Callers, NotAllowedError
from orders.order_api.responses import Response
from orders.order_api.validation import Fault, InvalidOrderError, parse_order

if TYPE_CHECKING:
    from orders.aws.context import Context
    from orders.events import Detail


class NotPublishedError(Exception):
    """The bus refused the event; the same call may be repeated."""


@dataclass(frozen=True, slots=True)
class OrderApi:
    """The front door: takes orders, shows them, and takes requests to cancel them."""

    orders: OrderTable
    bus: Bus
    now: Callable[[], str] = utc_now
    new_order_id: Callable[[], str] = lambda: str(uuid.uuid4())
    callers: Callers = field(default_factory=partial(Callers, "NONE"))

    def __call__(self, event: dict[str, Any], context: Context) -> Response:
        """Handle one request of the REST API (Lambda proxy integration, payload format 1.0)."""
        telemetry.begin(context)
        order_id = _order_id(event)
        try:
            caller = self.callers.identify(event.get("requestContext") or {})
            match event["httpMethod"]:
                case "GET":
                    return self._show(order_id, caller)
                case "DELETE":
                    return self._cancel(order_id, _path_to_orders(event), caller, context)
                case _:
                    return self._place(event, caller, context)
        except NotAllowedError as error:
            telemetry.info("request not allowed", order_id=_loggable(order_id), reason=str(error))
            return responses.forbidden(str(error))
        except (NotPublishedError, UnreadableRecordError, AwsError) as error:
            telemetry.error(
                "request not served", order_id=_loggable(order_id), reason=reason(error)
            )
            telemetry.count(RequestsNotServed=1)
            return responses.unavailable()

    def _place(self, event: dict[str, Any], caller: Caller, context: Context) -> Response:
        """Record the order, then publish it.

        A call that was repeated meets its own record. Unless the order is known to be on its way
        it is published once more: the function may have ended between the two.
        """
        try:
            placed = caller.claim(parse_order(_body(event), self.new_order_id()))
        except InvalidOrderError as error:
            telemetry.info("order invalid", reason=str(error))
            telemetry.count(OrdersInvalid=1)
            return responses.order_invalid(error.faults)
        try:
            self.orders.create(first_record(placed, self.now()))
        except OrderExistsError as error:
            known = error.order
            if known.ordered != placed:
                telemetry.info("order id taken", order_id=placed.order_id)
                return responses.order_id_taken(placed.order_id)
            if known.payment or known.inventory or known.status != "placed":
                return responses.order_accepted(placed.order_id, _path_to_orders(event))
        self._publish(placed, context)
        telemetry.info(
            "placed",
            order_id=placed.order_id,
            amount=str(placed.amount),
            currency=placed.currency,
        )
        telemetry.count(OrdersPlaced=1)
        return responses.order_accepted(placed.order_id, _path_to_orders(event))

    def _show(self, order_id: str, caller: Caller) -> Response:
        order = self._find(order_id, caller)
        return responses.order_status(order) if order else responses.order_unknown(order_id)

    def _cancel(self, order_id: str, orders: str, caller: Caller, context: Context) -> Response:
        """Ask the tracker to cancel an order that it has not decided yet."""
        order = self._find(order_id, caller)
        if order is None:
            return responses.order_unknown(order_id)
        if order.status == "confirmed":
            return responses.too_late(order_id)
        if order.status == "placed":
            self._publish(OrderCancelRequested(order_id=order_id), context)
            telemetry.info("cancel requested", order_id=order_id)
        return responses.cancel_accepted(order, orders)

    def _find(self, order_id: str, caller: Caller) -> Order | None:
        """An order that the caller may see; anybody else's is unknown."""
        # DynamoDB refuses a key that is too long, and no order has an id outside the contract.
        order = self.orders.get(order_id) if is_order_id(order_id) else None
        return order if order and caller.may_see(order) else None

    def _publish(self, detail: Detail, context: Context) -> None:
        (refusal,) = self.bus.publish([detail], context)
        if refusal:
            raise NotPublishedError(refusal)


def first_record(placed: OrderPlaced, at: str) -> Order:
    """An order as it is recorded before it is published."""
    return Order(
        order_id=placed.order_id,
        placed_at=at,
        history=(Step(OrderPlaced.detail_type, at),),
        ordered=placed,
    )


def _order_id(event: dict[str, Any]) -> str:
    """The id in the request's path; an invalid character there becomes ``?``."""
    quoted: str = (event.get("pathParameters") or {}).get("order_id", "")
    return unquote(quoted).encode(errors="replace").decode()


def _loggable(order_id: str) -> str | None:
    """An order's id for the log; None for anything else, as a caller may write any text there."""
    return order_id if is_order_id(order_id) else None


def _path_to_orders(event: dict[str, Any]) -> str:
    """The path to ``/orders`` from the request's address, as a relative reference (RFC 3986, 4.2).

    Relative, as the function cannot know what the caller has called: an execute-api address has the
    stage in its path, a custom domain its base path, and a CDN in front may have any other.
    """
    path: str = (event.get("requestContext") or {}).get("path") or event.get("path") or "/"
    # API Gateway takes `/orders/` for `/orders`; each slash at the end is one more step up.
    steps = len(path) - len(path.rstrip("/"))
    if event.get("pathParameters"):
        steps += 1
    return "../" * steps + "orders"


def _body(event: dict[str, Any]) -> str:
    """The request's body as text.

    Raises:
        InvalidOrderError: it is marked as base64, and is not base64 of UTF-8 text.
    """
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body, validate=True).decode()
    except ValueError as error:  # no base64, or no UTF-8
        raise InvalidOrderError(Fault("", "must be UTF-8 text")) from error


handler = OrderApi(
    orders=OrderTable(
        clients.dynamodb(), os.environ["ORDERS_TABLE"], int(os.environ["UNFINISHED_ORDER_KEYS"])
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    callers=Callers(os.environ["API_AUTHORIZATION"], os.environ["STAFF_GROUP"]),
)
