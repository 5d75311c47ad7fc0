"""``notifications``: events in, order updates out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.errors import AwsError, reason
from orders.events import (
    Milestone,
    OrderConfirmed,
    OrderPlaced,
    OrderUpdate,
    UnreadableEventError,
    convert_milestone,
    encode,
)

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from orders.aws.context import Context


_EVENT_ID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class NotificationFailedError(Exception):
    """The update was not published; Lambda tries again, then parks the event."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """Publishes an update for every milestone, in the order's sequence, and once."""

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
            updates = order_updates(convert_milestone(event))
            for update in updates:
                self._publish(update)
        except (UnreadableEventError, AwsError) as error:
            telemetry.error("not notified", event_id=_event_id(event), reason=reason(error))
            raise NotificationFailedError(reason(error)) from None
        telemetry.info("notified", order_id=updates[-1].order_id, status=updates[-1].status)
        telemetry.count(UpdatesPublished=1)

    def _publish(self, update: OrderUpdate) -> None:
        # Not PublishBatch: it can refuse one update and take the next, which then comes first.
        self.client.publish(
            TopicArn=self.topic_arn,
            Message=encode(update),
            MessageGroupId=update.order_id,
            MessageDeduplicationId=f"{update.order_id}:{update.status}",
            MessageAttributes={"status": {"DataType": "String", "StringValue": update.status}},
        )


def _event_id(event: dict[str, Any]) -> str | None:
    """EventBridge's id of an event, for the log; None for what does not look like one."""
    id_ = event.get("id")
    return id_ if isinstance(id_, str) and _EVENT_ID.fullmatch(id_) else None


def order_updates(event: Milestone) -> list[OrderUpdate]:
    """The updates that report a milestone: its own, and before it the one that led there.

    The function gets events in any order. So each update brings its predecessor along, and the
    FIFO topic drops what it had in the last five minutes: ``placed`` always comes first.
    """
    detail = event.detail
    if isinstance(detail, OrderPlaced):
        return [OrderUpdate(order_id=detail.order_id, status="placed", at=event.time)]
    placed = OrderUpdate(
        order_id=detail.order_id, status="placed", at=detail.placed_at or event.time
    )
    if isinstance(detail, OrderConfirmed):
        ended = OrderUpdate(order_id=detail.order_id, status="confirmed", at=event.time)
    else:
        ended = OrderUpdate(
            order_id=detail.order_id, status="cancelled", at=event.time, reason=detail.reason
        )
    return [placed, ended]


handler = Notifications(clients.sns(), os.environ["ORDER_UPDATES_TOPIC"])
