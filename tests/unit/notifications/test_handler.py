from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orders.notifications.handler import NotificationFailedError, Notifications
from support.aws import Refused, line
from support.lambdas import Context, event_of, order_placed

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

TOPIC = "arn:aws:sns:us-east-1:123456789012:order-updates.fifo"


@pytest.fixture
def handler(sns: SNSClient) -> Notifications:
    return Notifications(sns, TOPIC)


@pytest.fixture
def published(sns: SNSClient) -> list[dict[str, str]]:
    """The forms that SNS is sent, as the call of Publish goes on."""
    forms: list[dict[str, str]] = []
    line(sns).before("Publish", forms.append)
    return forms


def message(order_id: str, status: str, **fields: str) -> dict[str, Any]:
    update = {"order_id": order_id, "status": status, **fields}
    return {
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        "Message": json.dumps(update, separators=(",", ":")),
        "MessageGroupId": order_id,
        "MessageDeduplicationId": f"{order_id}:{status}",
        "MessageAttributes.entry.1.Name": "status",
        "MessageAttributes.entry.1.Value.DataType": "String",
        "MessageAttributes.entry.1.Value.StringValue": status,
    }


def test_an_update_is_ordered_by_its_order_and_deduplicated(
    handler: Notifications, published: list[dict[str, str]]
) -> None:
    handler(order_placed("order-1", 12.34), Context())
    assert published == [message("order-1", "placed", at="2026-08-18T09:30:00Z")]


def test_an_end_brings_its_beginning_along(
    handler: Notifications, published: list[dict[str, str]]
) -> None:
    handler(event_of("order.confirmed", "a", placed_at="2026-08-18T09:29:58.123Z"), Context())
    handler(event_of("order.cancelled", "b", reason="no funds"), Context())
    assert published == [
        message("a", "placed", at="2026-08-18T09:29:58.123Z"),
        message("a", "confirmed", at="2026-08-18T09:30:00Z"),
        message("b", "placed", at="2026-08-18T09:30:00Z"),
        message("b", "cancelled", at="2026-08-18T09:30:00Z", reason="no funds"),
    ]


def test_a_refused_update_fails_the_invocation_with_its_reason(
    handler: Notifications, sns: SNSClient
) -> None:
    def refuse(_: object) -> None:
        raise Refused("AuthorizationError", 403)

    line(sns).before("Publish", refuse)
    with pytest.raises(NotificationFailedError, match="AuthorizationError from Publish"):
        handler(order_placed(), Context())


def test_an_end_is_not_told_when_its_beginning_was_refused(
    handler: Notifications, sns: SNSClient, published: list[dict[str, str]]
) -> None:
    def refuse(_: object) -> None:
        raise Refused("InternalError", 500)

    line(sns).before("Publish", refuse)
    with pytest.raises(NotificationFailedError):
        handler(event_of("order.confirmed"), Context())
    tried = [form["MessageDeduplicationId"] for form in published]
    assert tried == ["order-1:placed"] * 2, "the client tries twice, and then no other one"


@pytest.mark.parametrize(
    "event",
    [
        order_placed(amount=-1),
        event_of("order.unheard_of"),
        {},
        {**order_placed(), "source": "com.myapp.payments"},
        {**order_placed(), "time": "yesterday"},
        event_of("order.confirmed", placed_at="2026-02-30T09:30:00Z"),
    ],
)
def test_an_event_that_cannot_be_read_fails_the_invocation(
    handler: Notifications, event: dict[str, Any]
) -> None:
    with pytest.raises(NotificationFailedError):
        handler(event, Context())
