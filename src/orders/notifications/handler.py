"""``notifications``: events in, order updates out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orders.aws import clients, telemetry
from orders.aws.clients import AWS_ERRORS, reason
from orders.events import (
    ORDER_PLACED,
    OrderPlacedEvent,
    OrderUpdate,
    UnreadableEventError,
    convert_order_placed,
    encode,
)

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from orders.aws.context import Context


class NotificationFailedError(Exception):
    """The update was not published; Lambda tries again, then parks the event."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """Publishes an update for every event, in order per order, and once."""

    client: SNSClient
    topic_arn: str

    def __call__(self, event: dict[str, Any], context: Context) -> None:
        """Handle one event from the bus.

        An exception is how an asynchronous invocation fails: Lambda tries twice more and then
        hands the event to the on-failure destination.

        Raises:
            NotificationFailedError: the event cannot be read, or SNS did not take the update.
        """
        telemetry.begin(context)
        try:
            placed = convert_order_placed(event)
            self._publish(update_of(placed))
        except (UnreadableEventError, *AWS_ERRORS) as error:
            telemetry.error("not notified", event_id=event.get("id"), reason=reason(error))
            raise NotificationFailedError(reason(error)) from None
        telemetry.count(UpdatesPublished=1)

    def _publish(self, update: OrderUpdate) -> None:
        # One order's updates stay in order (its group); a repeated event is dropped by its id.
        self.client.publish(
            TopicArn=self.topic_arn,
            Message=encode(update),
            MessageGroupId=update.order_id,
            MessageDeduplicationId=f"{update.order_id}:{ORDER_PLACED}",
            MessageAttributes={"status": {"DataType": "String", "StringValue": update.status}},
        )
        telemetry.info("notified", order_id=update.order_id, status=update.status)


def update_of(event: OrderPlacedEvent) -> OrderUpdate:
    """What a shop's services are told of a placed order."""
    order = event.detail
    return OrderUpdate(
        order_id=order.order_id,
        status="placed",
        at=event.time,
        amount=order.amount,
        currency=order.currency,
        customer_id=order.customer_id,
    )


handler = Notifications(clients.sns(), os.environ["ORDER_UPDATES_TOPIC"])
