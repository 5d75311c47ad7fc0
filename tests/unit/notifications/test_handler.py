from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from msgspec.structs import replace

from orders.aws.order_table import OrderTable
from orders.clock import utc_ago
from orders.events import OrderPlaced
from orders.notifications import handler as module
from orders.notifications.handler import NotificationFailedError, Notifications
from orders.order import Order, Step
from support import aws
from support.lambdas import Context, event_of, order_placed

CLIENT = boto3.client("sns")
TOPIC = "arn:aws:sns:us-east-1:123456789012:order-updates.fifo"
TIME = "2026-08-18T09:30:00Z"
PLACED = Step("order.placed", TIME)
CHARGED = Step("payment.charged", TIME)
CONFIRMED = Step("order.confirmed", TIME)
CANCELLED = Step("order.cancelled", TIME, "no funds")
STATUSES = {"order.confirmed": "confirmed", "order.cancelled": "cancelled"}


@pytest.fixture
def sns() -> Iterator[Stubber]:
    """SNS, answering as its documentation says; a call that is not expected fails."""
    with Stubber(CLIENT) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def table() -> OrderTable:
    return OrderTable(aws.dynamodb(), "orders")


@pytest.fixture
def handler(table: OrderTable) -> Notifications:
    return Notifications(table, CLIENT, TOPIC)


def order(*history: Step, age: float) -> Order:
    """An order that the API took so many seconds ago."""
    status: Any = STATUSES.get(history[-1].type, "placed")
    ordered = OrderPlaced(order_id="a", amount=Decimal(1))
    at = utc_ago(age)
    return Order(order_id="a", placed_at=at, status=status, history=history, ordered=ordered)


def message(status: str, version: int, again: str = "", **fields: str) -> dict[str, Any]:
    update = {"order_id": "a", "status": status, "version": version, "at": TIME, **fields}
    return {
        "TopicArn": TOPIC,
        "Message": json.dumps(update, separators=(",", ":")),
        "MessageGroupId": "a",
        "MessageDeduplicationId": f"a:{version}:{status}{again}",
        "MessageAttributes": {"status": {"DataType": "String", "StringValue": status}},
    }


def expect(sns: Stubber, *messages: dict[str, Any]) -> None:
    for expected in messages:
        sns.add_response("publish", {"MessageId": "1", "SequenceNumber": "1"}, expected)


def test_an_update_is_ordered_by_its_order_and_deduplicated(
    handler: Notifications, sns: Stubber, table: OrderTable
) -> None:
    table.create(order(PLACED, age=1))
    expect(sns, message("placed", 1))
    handler(order_placed("a", 12.34), Context())


@pytest.mark.parametrize("event", [event_of("order.confirmed", "a"), order_placed("a")])
def test_whatever_the_event_the_last_update_is_how_the_order_stands(
    handler: Notifications, sns: Stubber, table: OrderTable, event: dict[str, Any]
) -> None:
    table.create(order(PLACED, CHARGED, CONFIRMED, CANCELLED, age=1))
    expect(
        sns,
        message("placed", 1),
        message("confirmed", 3),
        message("cancelled", 4, reason="no funds"),
    )
    handler(event, Context())


def test_an_end_is_not_believed_before_it_is_on_record(
    handler: Notifications, sns: Stubber, table: OrderTable
) -> None:
    handler(event_of("order.cancelled", "a", reason="says somebody"), Context())
    table.create(order(PLACED, age=1))
    expect(sns, message("placed", 1))
    handler(event_of("order.confirmed", "a"), Context())


def test_an_order_from_another_publisher_is_told_before_it_is_on_record(
    handler: Notifications, sns: Stubber
) -> None:
    expect(sns, message("placed", 0))
    handler(order_placed("a"), Context())


def test_of_an_old_order_the_last_update_is_taken_in_any_case(
    handler: Notifications,
    sns: Stubber,
    table: OrderTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "utc_now", lambda: "now")
    table.create(order(PLACED, CHARGED, CONFIRMED, age=270))
    expect(sns, message("placed", 1), message("confirmed", 3, ":now"))
    handler(event_of("order.confirmed", "a"), Context())


def test_an_old_order_that_moves_on_meanwhile_is_told_again(
    handler: Notifications,
    sns: Stubber,
    table: OrderTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "utc_now", lambda: "now")
    placed = order(PLACED, age=270)
    table.create(placed)
    expect(
        sns,
        message("placed", 1),
        message("placed", 1),
        message("cancelled", 2, ":now", reason="no funds"),
    )
    ended = order(PLACED, CANCELLED, age=270)
    on_publishing(lambda: table.write([replace(ended, version=1)], Context()))
    handler(order_placed("a"), Context())


def on_publishing(what: Callable[[], object]) -> None:
    """Have something happen with the first update."""
    events = CLIENT.meta.events
    name = "before-parameter-build.sns.Publish"

    def happen(**_: object) -> None:
        events.unregister(name, happen)
        what()

    events.register(name, happen)


def test_a_refused_update_fails_the_invocation_with_its_reason(
    handler: Notifications, sns: Stubber
) -> None:
    sns.add_client_error("publish", "AuthorizationError")
    with pytest.raises(NotificationFailedError, match="AuthorizationError from Publish"):
        handler(order_placed(), Context())


def test_an_end_is_not_told_when_its_beginning_was_refused(
    handler: Notifications, sns: Stubber, table: OrderTable
) -> None:
    table.create(order(PLACED, CONFIRMED, age=1))
    sns.add_client_error("publish", "InternalError")
    with pytest.raises(NotificationFailedError):
        handler(event_of("order.confirmed", "a"), Context())


def test_a_record_that_cannot_be_read_fails_the_invocation(
    handler: Notifications, table: OrderTable
) -> None:
    table.client.put_item(TableName="orders", Item={"order_id": {"S": "a"}})
    with pytest.raises(NotificationFailedError, match="placed_at"):
        handler(order_placed("a"), Context())


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
