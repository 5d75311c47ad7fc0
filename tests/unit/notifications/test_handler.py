from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orders.aws.order_table import OrderTable
from orders.clock import utc_ago
from orders.events import OrderPlaced
from orders.notifications import handler as module
from orders.notifications.handler import NotificationFailedError, Notifications
from orders.order import Order, Step
from support.aws import Refused, line
from support.lambdas import Context, event_of, order_placed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient

TOPIC = "arn:aws:sns:us-east-1:123456789012:order-updates.fifo"
TIME = "2026-08-18T09:30:00Z"
PLACED = Step("order.placed", TIME)
CHARGED = Step("payment.charged", TIME)
CONFIRMED = Step("order.confirmed", TIME)
CANCELLED = Step("order.cancelled", TIME, "no funds")
STATUSES = {"order.confirmed": "confirmed", "order.cancelled": "cancelled"}


@pytest.fixture
def published(sns: SNSClient) -> list[dict[str, str]]:
    """The forms that SNS is sent, as the call of Publish goes on."""
    forms: list[dict[str, str]] = []
    line(sns).before("Publish", forms.append)
    return forms


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> OrderTable:
    return OrderTable(dynamodb, "orders")


@pytest.fixture
def handler(table: OrderTable, sns: SNSClient) -> Notifications:
    return Notifications(table, sns, TOPIC)


def order(*history: Step, age: float) -> Order:
    """An order that the API took so many seconds ago."""
    status: Any = STATUSES.get(history[-1].type, "placed")
    ordered = OrderPlaced(order_id="a", amount=Decimal(1))
    at = utc_ago(age)
    return Order(order_id="a", placed_at=at, status=status, history=history, ordered=ordered)


def message(status: str, version: int, again: str = "", **fields: str) -> dict[str, Any]:
    update = {"order_id": "a", "status": status, "version": version, "at": TIME, **fields}
    return {
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        "Message": json.dumps(update, separators=(",", ":")),
        "MessageGroupId": "a",
        "MessageDeduplicationId": f"a:{version}:{status}{again}",
        "MessageAttributes.entry.1.Name": "status",
        "MessageAttributes.entry.1.Value.DataType": "String",
        "MessageAttributes.entry.1.Value.StringValue": status,
    }


def test_an_update_is_ordered_by_its_order_and_deduplicated(
    handler: Notifications, published: list[dict[str, str]], table: OrderTable
) -> None:
    table.create(order(PLACED, age=1))
    handler(order_placed("a", 12.34), Context())
    assert published == [message("placed", 1)]


@pytest.mark.parametrize("event", [event_of("order.confirmed", "a"), order_placed("a")])
def test_whatever_the_event_the_last_update_is_how_the_order_stands(
    handler: Notifications,
    published: list[dict[str, str]],
    table: OrderTable,
    event: dict[str, Any],
) -> None:
    table.create(order(PLACED, CHARGED, CONFIRMED, CANCELLED, age=1))
    handler(event, Context())
    assert published == [
        message("placed", 1),
        message("confirmed", 3),
        message("cancelled", 4, reason="no funds"),
    ]


def test_an_end_is_not_believed_before_it_is_on_record(
    handler: Notifications, published: list[dict[str, str]], table: OrderTable
) -> None:
    handler(event_of("order.cancelled", "a", reason="says somebody"), Context())
    table.create(order(PLACED, age=1))
    handler(event_of("order.confirmed", "a"), Context())
    assert published == [message("placed", 1)]


def test_an_order_from_another_publisher_is_told_before_it_is_on_record(
    handler: Notifications, published: list[dict[str, str]]
) -> None:
    handler(order_placed("a"), Context())
    assert published == [message("placed", 0)]


def test_of_an_old_order_the_last_update_is_taken_in_any_case(
    handler: Notifications,
    published: list[dict[str, str]],
    table: OrderTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "utc_now", lambda: "now")
    table.create(order(PLACED, CHARGED, CONFIRMED, age=270))
    handler(event_of("order.confirmed", "a"), Context())
    assert published == [message("placed", 1), message("confirmed", 3, ":now")]


def test_an_old_order_that_moves_on_meanwhile_is_told_again(
    handler: Notifications,
    sns: SNSClient,
    published: list[dict[str, str]],
    table: OrderTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "utc_now", lambda: "now")
    placed = order(PLACED, age=270)
    table.create(placed)
    ended = order(PLACED, CANCELLED, age=270)
    on_publishing(sns, lambda: table.write([replace(ended, version=1)], Context()))
    handler(order_placed("a"), Context())
    assert published == [
        message("placed", 1),
        message("placed", 1),
        message("cancelled", 2, ":now", reason="no funds"),
    ]


def test_what_was_told_before_the_record_does_not_come_last(
    handler: Notifications,
    sns: SNSClient,
    published: list[dict[str, str]],
    table: OrderTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others may have told all of it meanwhile, so that the topic would drop how it stands."""
    monkeypatch.setattr(module, "utc_now", lambda: "now")
    on_publishing(sns, lambda: table.create(order(PLACED, CANCELLED, age=1)))
    handler(order_placed("a"), Context())
    assert published == [
        message("placed", 0),
        message("placed", 1),
        message("cancelled", 2, ":now", reason="no funds"),
    ]


def on_publishing(sns: SNSClient, what: Callable[[], object]) -> None:
    """Have something happen with the first update."""
    pending = [what]

    def happen(_: object) -> None:
        if pending:
            pending.pop()()

    line(sns).before("Publish", happen)


def test_a_refused_update_fails_the_invocation_with_its_reason(
    handler: Notifications, sns: SNSClient
) -> None:
    def refuse(_: object) -> None:
        raise Refused("AuthorizationError", 403)

    line(sns).before("Publish", refuse)
    with pytest.raises(NotificationFailedError, match="AuthorizationError from Publish"):
        handler(order_placed(), Context())


def test_an_end_is_not_told_when_its_beginning_was_refused(
    handler: Notifications,
    sns: SNSClient,
    published: list[dict[str, str]],
    table: OrderTable,
) -> None:
    def refuse(_: object) -> None:
        raise Refused("InternalError", 500)

    table.create(order(PLACED, CONFIRMED, age=1))
    line(sns).before("Publish", refuse)
    with pytest.raises(NotificationFailedError):
        handler(event_of("order.confirmed", "a"), Context())
    assert published == [message("placed", 1)] * 2, "the client tries twice, and then no other one"


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


def test_each_milestone_is_counted_and_logged(
    handler: Notifications,
    table: OrderTable,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.create(order(PLACED, CHARGED, CONFIRMED, age=1))
    handler(event_of("order.confirmed", "a"), Context())
    line, metric = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["order_id"], line["status"]) == ("a", "confirmed")
    assert metric["UpdatesPublished"] == 1


@pytest.mark.parametrize(
    ("history", "age", "reads"),
    [
        pytest.param((PLACED,), 1, 1, id="fresh"),
        pytest.param((PLACED,), 270, 2, id="old, and may have moved on"),
        pytest.param((PLACED, CONFIRMED), 270, 2, id="old, and may be cancelled"),
        pytest.param((PLACED, CANCELLED), 270, 1, id="old, and at its end"),
    ],
)
def test_a_record_is_read_again_only_if_it_may_have_changed(
    handler: Notifications,
    table: OrderTable,
    history: tuple[Step, ...],
    age: float,
    reads: int,
) -> None:
    table.create(order(*history, age=age))
    line(table.client).calls.clear()
    handler(order_placed("a"), Context())
    assert line(table.client).calls == ["GetItem"] * reads


@pytest.mark.parametrize(
    ("event_id", "logged"),
    [("17793124-05d4-b198-2fde-7ededc63b103", True), ("card 4111", False), (7, False)],
)
def test_an_event_that_fails_is_logged_by_its_id_alone(
    handler: Notifications, capsys: pytest.CaptureFixture[str], event_id: object, logged: bool
) -> None:
    with pytest.raises(NotificationFailedError):
        handler({**order_placed(amount=-1), "id": event_id}, Context())
    told = json.loads(capsys.readouterr().out)
    assert (told["message"], told["request_id"]) == ("not notified", "request-1")
    assert told.get("event_id") == (event_id if logged else None)
