"""``order-api``: ``POST /orders`` in, ``order.placed`` out."""

from __future__ import annotations

import base64
import binascii
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.bus import Bus, PublishRefusedError
from orders.aws.clients import AWS_ERRORS, reason
from orders.events import ORDER_PLACED, ORDERS
from orders.order_api.responses import Response, accepted, invalid, unavailable
from orders.order_api.validation import Fault, InvalidOrderError, parse_order

if TYPE_CHECKING:
    from orders.aws.context import Context


@dataclass(frozen=True, slots=True)
class OrderApi:
    """Takes an order: checks it, and answers 202 once it is on the bus."""

    bus: Bus

    def __call__(self, event: dict[str, Any], context: Context) -> Response:
        """Handle one request of the REST API (Lambda proxy integration, payload format 1.0)."""
        telemetry.begin(context)
        try:
            order = parse_order(_body(event), new_order_id=str(uuid.uuid4()))
        except InvalidOrderError as error:
            telemetry.info("order invalid", reason=str(error))
            telemetry.count(OrdersInvalid=1)
            return invalid(error.faults)
        try:
            self.bus.publish(ORDERS, ORDER_PLACED, order)
        except (PublishRefusedError, *AWS_ERRORS) as error:
            telemetry.error("order not taken", order_id=order.order_id, reason=reason(error))
            telemetry.count(OrdersNotTaken=1)
            return unavailable(order.order_id)
        telemetry.info("placed", order_id=order.order_id, amount=str(order.amount))
        telemetry.count(OrdersPlaced=1)
        return accepted(order.order_id)


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
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidOrderError(Fault("", "must be UTF-8 text")) from error


handler = OrderApi(bus=Bus(clients.events(), os.environ["EVENT_BUS"]))
