from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from orders.notifications.handler import NotificationFailedError, Notifications
from support.lambdas import Context, event_of, order_placed

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


def message(order_id: str, status: str, **fields: str) -> dict[str, Any]:
    update = {"order_id": order_id, "status": status, **fields}
    return {
        "TopicArn": TOPIC,
        "Message": json.dumps(update, separators=(",", ":")),
        "MessageGroupId": order_id,
        "MessageDeduplicationId": f"{order_id}:{status}",
        "MessageAttributes": {"status": {"DataType": "String", "StringValue": status}},
    }


def expect(sns: Stubber, *messages: dict[str, Any]) -> None:
    for message in messages:
        sns.add_response("publish", {"MessageId": "1", "SequenceNumber": "1"}, message)


def test_an_update_is_ordered_by_its_order_and_deduplicated(
    handler: Notifications, sns: Stubber
) -> None:
    expect(sns, message("order-1", "placed", at="2026-08-18T09:30:00Z"))
    handler(order_placed("order-1", 12.34), Context())
    sns.assert_no_pending_responses()


def test_an_end_brings_its_beginning_along(handler: Notifications, sns: Stubber) -> None:
    expect(
        sns,
        message("a", "placed", at="2026-08-18T09:29:58.123Z"),
        message("a", "confirmed", at="2026-08-18T09:30:00Z"),
    )
    handler(event_of("order.confirmed", "a", placed_at="2026-08-18T09:29:58.123Z"), Context())
    expect(
        sns,
        message("b", "placed", at="2026-08-18T09:30:00Z"),
        message("b", "cancelled", at="2026-08-18T09:30:00Z", reason="no funds"),
    )
    handler(event_of("order.cancelled", "b", reason="no funds"), Context())
    sns.assert_no_pending_responses()


def test_a_refused_update_fails_the_invocation_with_its_reason(
    handler: Notifications, sns: Stubber
) -> None:
    sns.add_client_error("publish", "AuthorizationError")
    with pytest.raises(NotificationFailedError, match="AuthorizationError from Publish"):
        handler(order_placed(), Context())


def test_an_end_is_not_told_when_its_beginning_was_refused(
    handler: Notifications, sns: Stubber
) -> None:
    sns.add_client_error("publish", "InternalError")
    with pytest.raises(NotificationFailedError):
        handler(event_of("order.confirmed"), Context())
    sns.assert_no_pending_responses()


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


def test_each_milestone_is_counted_and_logged(
    handler: Notifications, sns: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    expect(sns, message("a", "placed", at="2026-08-18T09:30:00Z"))
    expect(sns, message("a", "confirmed", at="2026-08-18T09:30:00Z"))
    handler(event_of("order.confirmed", "a"), Context())
    line, metric = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["order_id"], line["status"]) == ("a", "confirmed")
    assert metric["UpdatesPublished"] == 1
