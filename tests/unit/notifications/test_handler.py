from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber

from orders.notifications.handler import NotificationFailedError, Notifications
from support.lambdas import Context, order_placed

CLIENT = boto3.client("sns")
TOPIC = "arn:aws:sns:us-east-1:123456789012:order-updates.fifo"


@pytest.fixture
def sns() -> Iterator[Stubber]:
    """SNS, answering as its documentation says; a call that is not expected fails."""
    with Stubber(CLIENT) as stubber:
        yield stubber


@pytest.fixture
def handler() -> Notifications:
    return Notifications(CLIENT, TOPIC)


def test_an_update_is_ordered_by_its_order_and_deduplicated(
    handler: Notifications, sns: Stubber
) -> None:
    update = {
        "order_id": "order-1",
        "status": "placed",
        "at": "2026-08-18T09:30:00Z",
        "amount": 12.34,
        "currency": "USD",
    }
    expected = {
        "TopicArn": TOPIC,
        "Message": json.dumps(update, separators=(",", ":")),
        "MessageGroupId": "order-1",
        "MessageDeduplicationId": "order-1:order.placed",
        "MessageAttributes": {"status": {"DataType": "String", "StringValue": "placed"}},
    }
    sns.add_response("publish", {"MessageId": "1", "SequenceNumber": "1"}, expected)
    handler(order_placed("order-1", 12.34), Context())
    sns.assert_no_pending_responses()


def test_a_refused_update_fails_the_invocation_with_its_reason(
    handler: Notifications, sns: Stubber
) -> None:
    sns.add_client_error("publish", "AuthorizationError")
    with pytest.raises(NotificationFailedError, match="AuthorizationError from Publish"):
        handler(order_placed(), Context())


def test_an_event_that_cannot_be_read_fails_the_invocation(handler: Notifications) -> None:
    with pytest.raises(NotificationFailedError, match="amount must be"):
        handler(order_placed(amount=-1), Context())
