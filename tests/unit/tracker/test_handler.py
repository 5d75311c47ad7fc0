from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from orders.aws.order_table import OrderTable
from orders.order import Order, Step
from orders.tracker.handler import OrderTracker
from support.aws import Refused, line
from support.lambdas import Context, event_of, failed, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.sqs import Retry
    from support.aws import TappedBus


def charged(order_id: str) -> dict[str, Any]:
    return event_of("payment.charged", order_id, amount=1, currency="USD", charge_id="ch")


def reserved(order_id: str) -> dict[str, Any]:
    return event_of("inventory.reserved", order_id)


@pytest.fixture
def tracker(dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry) -> OrderTracker:
    return OrderTracker(OrderTable(dynamodb, "orders"), tap.bus, retry)


def status(tracker: OrderTracker, order_id: str) -> str:
    order = tracker.orders.get(order_id)
    return order.status if order else "unknown"


def types(tap: TappedBus) -> list[tuple[str, str]]:
    return [(detail_type, detail["order_id"]) for detail_type, detail in tap.take()]


def test_an_order_that_another_publisher_placed_is_tracked_too(
    tracker: OrderTracker, tap: TappedBus
) -> None:
    assert failed(tracker(sqs_event(charged("a")), Context())) == []
    assert (status(tracker, "a"), types(tap)) == ("placed", [])
    assert failed(tracker(sqs_event(reserved("a")), Context())) == []
    assert (status(tracker, "a"), types(tap)) == ("confirmed", [("order.confirmed", "a")])


def test_a_recorded_order_keeps_what_was_ordered(tracker: OrderTracker) -> None:
    tracker.orders.create(Order(order_id="a", placed_at="t", history=(Step("order.placed", "t"),)))
    tracker(sqs_event(charged("a"), reserved("a")), Context())
    order = tracker.orders.get("a")
    assert order is not None
    assert [step.type for step in order.history] == [
        "order.placed",
        "payment.charged",
        "inventory.reserved",
        "order.confirmed",
    ]
    assert order.placed_at == "t"


def test_many_orders_of_a_batch_take_three_calls(
    tracker: OrderTracker, dynamodb: DynamoDBClient, tap: TappedBus
) -> None:
    for client in (dynamodb, tap.client):
        line(client).calls.clear()
    events = [make(f"o{n}") for n in range(5) for make in (charged, reserved)]
    assert failed(tracker(sqs_event(*events), Context())) == []
    assert line(dynamodb).calls == ["BatchGetItem", "BatchExecuteStatement"]
    assert line(tap.client).calls == ["PutEvents"]
    assert len(types(tap)) == 5


def test_two_trackers_at_once_decide_once(
    tracker: OrderTracker, dynamodb: DynamoDBClient, tap: TappedBus
) -> None:
    """Another invocation writes between this one's look and its write."""

    def race(_: object) -> None:
        line(dynamodb).forget("BatchExecuteStatement")
        tracker(sqs_event(event_of("order.cancel_requested", "a")), Context())

    tracker(sqs_event(charged("a")), Context())
    line(dynamodb).before("BatchExecuteStatement", race)
    assert failed(tracker(sqs_event(reserved("a")), Context())) == []
    assert status(tracker, "a") == "cancelled"
    assert types(tap) == [("order.cancelled", "a")]
    order = tracker.orders.get("a")
    assert order is not None
    assert order.inventory == "reserved", "noted, for the release that is to come"


def test_a_refused_publish_is_made_good_by_the_redelivery(
    tracker: OrderTracker, tap: TappedBus
) -> None:
    def refuse(parsed: dict[str, Any]) -> None:
        parsed.update(FailedEntryCount=1, Entries=[{"ErrorCode": "InternalFailure"}])

    line(tap.client).after("PutEvents", refuse)
    event = sqs_event(event_of("payment.declined", "a", reason="no funds"))
    assert failed(tracker(event, Context())) == ["m0"]
    line(tap.client).forget("PutEvents")
    tap.take()
    assert failed(tracker(event, Context())) == []
    assert types(tap) == [("order.cancelled", "a")]


def test_an_unreadable_message_fails_alone(tracker: OrderTracker) -> None:
    event = sqs_event(charged("a"), "nonsense", event_of("order.placed", "b"))
    assert failed(tracker(event, Context())) == ["m1", "m2"]
    assert status(tracker, "a") == "placed"


def test_an_order_leaves_the_index_of_the_unfinished_when_it_has_ended(
    tracker: OrderTracker,
) -> None:
    def unfinished() -> int:
        return tracker.orders.count_unfinished("2099")

    tracker(sqs_event(charged("a"), charged("b")), Context())
    assert unfinished() == 2
    tracker(sqs_event(reserved("a")), Context())
    assert unfinished() == 1
    tracker(sqs_event(event_of("order.cancel_requested", "b")), Context())
    assert unfinished() == 1, "the money is not back yet"
    tracker(sqs_event(event_of("payment.refunded", "b", amount=1, currency="USD")), Context())
    assert unfinished() == 0


def test_the_last_write_of_an_order_is_as_the_documentation_has_it(
    tracker: OrderTracker, dynamodb: DynamoDBClient
) -> None:
    """A clause for each path, then the condition: docs/decisions.md has the sources."""
    statements: list[str] = []

    def look(params: dict[str, Any]) -> None:
        statements.extend(statement["Statement"] for statement in params["Statements"])

    tracker(sqs_event(charged("a")), Context())
    line(dynamodb).before("BatchExecuteStatement", look)
    tracker(sqs_event(reserved("a")), Context())
    assert statements == [
        'UPDATE "orders" SET "status"=? SET "payment"=? SET "inventory"=? SET "history"=? '
        'SET "version"=? SET "ended"=? REMOVE "unfinished" WHERE "order_id"=? AND "version"=?'
    ]


@pytest.mark.parametrize("first", [[], [charged("a")]])
def test_the_reason_of_a_cancel_is_on_record(
    tracker: OrderTracker, first: list[dict[str, Any]]
) -> None:
    """Whether the order's first record is written with it, or an older one is changed."""
    if first:
        tracker(sqs_event(*first), Context())
    tracker(sqs_event(event_of("inventory.rejected", "a", reason="none left")), Context())
    order = tracker.orders.get("a")
    assert order is not None
    assert (order.status, order.reason) == ("cancelled", "out of stock: none left")
    assert order.history[-1] == Step(
        "order.cancelled", "2026-08-18T09:30:00Z", "out of stock: none left"
    )


def test_an_order_that_is_left_out_is_unread_and_not_new(
    tracker: OrderTracker, dynamodb: DynamoDBClient, tap: TappedBus
) -> None:
    """Taken as new, its confirmation would be decided without the charge on record."""

    def leave_out(parsed: dict[str, Any]) -> None:
        parsed["Responses"]["orders"] = []
        parsed["UnprocessedKeys"] = {"orders": {"Keys": [{"order_id": {"S": "a"}}]}}

    writes: list[object] = []
    tracker(sqs_event(charged("a")), Context())
    line(dynamodb).after("BatchGetItem", leave_out)
    line(dynamodb).before("BatchExecuteStatement", writes.append)
    assert failed(tracker(sqs_event(reserved("a")), Context())) == ["m0"]
    assert (writes, types(tap)) == ([], [])


def test_each_end_is_counted_and_logged_once(
    tracker: OrderTracker,
    metered: Callable[[], dict[str, int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    declined = event_of("payment.declined", "c", reason="no funds")
    events = (charged("a"), reserved("a"), charged("b"), reserved("b"), declined)
    tracker(sqs_event(*events, "nonsense"), Context())
    assert metered() == {"OrdersConfirmed": 2, "OrdersCancelled": 1, "OutcomesFailed": 1}
    tracker(sqs_event(charged("d")), Context())
    assert capsys.readouterr().out == ""
    tracker(sqs_event(reserved("d")), Context())
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert told == {"level": "INFO", "message": "confirmed", "order_id": "d"}


def test_what_says_nothing_new_is_not_written(
    tracker: OrderTracker, dynamodb: DynamoDBClient
) -> None:
    tracker(sqs_event(charged("a")), Context())
    line(dynamodb).calls.clear()
    tracker(sqs_event(charged("a")), Context())
    assert line(dynamodb).calls == ["BatchGetItem"]


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchExecuteStatement"])
def test_an_order_that_is_refused_holds_up_no_other(
    tracker: OrderTracker, dynamodb: DynamoDBClient, tap: TappedBus, operation: str
) -> None:
    def refuse_first(parsed: dict[str, Any]) -> None:
        if operation == "BatchGetItem":
            parsed["Responses"]["orders"] = [{"order_id": {"S": "a"}}]  # unreadable
        else:
            parsed["Responses"][0]["Error"] = {"Code": "ValidationError"}

    line(dynamodb).after(operation, refuse_first)
    event = sqs_event(charged("a"), charged("b"), reserved("b"))
    assert failed(tracker(event, Context())) == ["m0"]
    assert status(tracker, "b") == "confirmed"
    assert types(tap) == [("order.confirmed", "b")]


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchExecuteStatement"])
def test_all_messages_of_an_order_that_is_refused_come_again(
    tracker: OrderTracker, dynamodb: DynamoDBClient, operation: str
) -> None:
    def refuse(_: object) -> None:
        raise Refused("AccessDeniedException")

    line(dynamodb).before(operation, refuse)
    assert failed(tracker(sqs_event(charged("a"), reserved("a")), Context())) == ["m0", "m1"]


def test_an_order_that_nobody_recorded_is_as_old_as_the_first_that_was_heard_of_it(
    tracker: OrderTracker,
) -> None:
    later = {**reserved("a"), "time": "2026-08-18T09:31:00Z"}
    tracker(sqs_event(charged("a"), later), Context())
    order = tracker.orders.get("a")
    assert order is not None
    assert order.placed_at == charged("a")["time"]


def test_a_decision_that_was_not_published_comes_again_with_what_led_to_it(
    tracker: OrderTracker, tap: TappedBus
) -> None:
    """The refund alone would not tell it again: it follows from a cancel."""
    refunded = event_of("payment.refunded", "a", amount=1, currency="USD")
    cancelled = event_of("order.cancelled", "a", reason="says another publisher")

    def refuse(parsed: dict[str, Any]) -> None:
        parsed.update(FailedEntryCount=1, Entries=[{"ErrorCode": "NotAuthorizedForSource"}])

    line(tap.client).after("PutEvents", refuse)
    assert failed(tracker(sqs_event(refunded, cancelled), Context())) == ["m1"]
    line(tap.client).forget("PutEvents")
    tap.take()
    assert failed(tracker(sqs_event(cancelled, attempt=2), Context())) == []
    assert types(tap) == [("order.cancelled", "a")]
