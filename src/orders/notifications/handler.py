"""``notifications``: events in, order updates out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.errors import AwsError, reason
from orders.aws.items import UnreadableRecordError
from orders.aws.order_table import OrderTable
from orders.clock import utc_ago, utc_now
from orders.events import Milestone, OrderUpdate, UnreadableEventError, convert_milestone, encode
from orders.notifications.decisions import is_fresh, order_updates

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from orders.aws.context import Context


_EVENT_ID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class NotificationFailedError(Exception):
    """The update was not published; Lambda tries again, then parks the event."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """Tells the shop of every milestone; what it tells last is how the order stands."""

    orders: OrderTable
    client: SNSClient
    topic_arn: str

    def __call__(self, event: dict[str, Any], context: Context) -> None:
        """Handle one event from the bus.

        An exception is how an asynchronous invocation fails: Lambda tries twice more and then
        hands the event to the on-failure destination.

        Raises:
            NotificationFailedError: the event or the order's record cannot be read, or SNS did not
                take the update.
        """
        telemetry.begin(context)
        try:
            milestone = convert_milestone(event)
            told = self._tell(milestone)
        except (UnreadableEventError, UnreadableRecordError, AwsError) as error:
            telemetry.error("not notified", event_id=_event_id(event), reason=reason(error))
            raise NotificationFailedError(reason(error)) from None
        if told is None:
            telemetry.info("nothing to tell yet", order_id=milestone.detail.order_id)
            return
        telemetry.info("notified", order_id=told.order_id, status=told.status)
        telemetry.count(UpdatesPublished=1)

    def _tell(self, event: Milestone) -> OrderUpdate | None:
        """Publish how an order has stood and how it stands; returns the last update.

        A fresh order's updates come in their sequence by themselves. Of any other, a status from
        before may be taken anew: then the last one must not be dropped, and is told again if the
        order has moved on meanwhile.
        """
        order_id, told = event.detail.order_id, None
        order = self.orders.get(order_id)
        while (updates := order_updates(order, event)) and updates[-1] != told:
            # What was told here before it, too, may have come after what others told.
            fresh = told is None and is_fresh(order, utc_ago)
            *before, told = updates
            for update in before:
                self._publish(update)
            self._publish(told, again="" if fresh or not before else f":{utc_now()}")
            if fresh or told.status == "cancelled":
                break
            order = self.orders.get(order_id)
        return told

    def _publish(self, update: OrderUpdate, again: str = "") -> None:
        """Publish an update; with something new in ``again`` the topic takes it in any case."""
        # Not PublishBatch: it can refuse one update and take the next, which then comes first.
        self.client.publish(
            TopicArn=self.topic_arn,
            Message=encode(update),
            MessageGroupId=update.order_id,
            MessageDeduplicationId=f"{update.order_id}:{update.version}:{update.status}{again}",
            MessageAttributes={"status": {"DataType": "String", "StringValue": update.status}},
        )


def _event_id(event: dict[str, Any]) -> str | None:
    """EventBridge's id of an event, for the log; None for what does not look like one."""
    id_ = event.get("id")
    return id_ if isinstance(id_, str) and _EVENT_ID.fullmatch(id_) else None


handler = Notifications(
    orders=OrderTable(clients.dynamodb(), os.environ["ORDERS_TABLE"]),
    client=clients.sns(),
    topic_arn=os.environ["ORDER_UPDATES_TOPIC"],
)
