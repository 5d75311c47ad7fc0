from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from orders.aws import patience
from orders.aws.dynamodb import CONFLICT, Source
from orders.events import OrderLine
from orders.inventory import reservations
from orders.inventory.decisions import Reservation
from orders.inventory.handler import InventoryProcessor
from orders.inventory.moving import divide, write
from orders.inventory.reservations import Reservations, Stock
from orders.inventory.shelves import Move
from support.aws import Lost, Refused, line, refuse
from support.lambdas import (
    Context,
    failed,
    fingerprint,
    order_cancelled,
    order_placed,
    sqs_event,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.dynamodb import Key
    from orders.aws.items import Item
    from orders.aws.sqs import Retry
    from support.aws import TappedBus

Logged = Callable[[], list[dict[str, Any]]]
RESERVED = Reservation(order_id="a", state="reserved", at="")


@pytest.fixture
def handler(dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry) -> InventoryProcessor:
    for sku, available in (("apple", "10"), ("pear", "3")):
        dynamodb.put_item(
            TableName="stock", Item={"sku": {"S": sku}, "available": {"N": available}}
        )
    reservations = Reservations(dynamodb, "reservations", "stock")
    return InventoryProcessor(reservations, tap.bus, retry)


def order(order_id: str, **lines: int) -> dict[str, Any]:
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
    return order_placed(order_id, items=items) if items else order_placed(order_id)


def move(order_id: str, *shelves: str) -> Move:
    return Move(
        (None, Reservation(order_id=order_id, state="reserved", at="")), dict.fromkeys(shelves, 1)
    )


def stock(dynamodb: DynamoDBClient) -> dict[str, int]:
    items = dynamodb.scan(TableName="stock")["Items"]
    return {item["sku"]["S"]: int(item["available"]["N"]) for item in items}


def states(dynamodb: DynamoDBClient) -> dict[str, str]:
    items = dynamodb.scan(TableName="reservations")["Items"]
    return {item["order_id"]["S"]: item["state"]["S"] for item in items}


def reason(dynamodb: DynamoDBClient, order_id: str) -> str:
    key = {"order_id": {"S": order_id}}
    return dynamodb.get_item(TableName="reservations", Key=key)["Item"]["reason"]["S"]


def test_an_order_without_items_is_just_recorded(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    assert failed(handler(sqs_event(order("a"), order("b")), Context())) == []
    assert states(dynamodb) == {"a": "reserved", "b": "reserved"}


def test_takes_all_lines_from_the_stock(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    assert failed(handler(sqs_event(order("a", apple=4, pear=3)), Context())) == []
    assert stock(dynamodb) == {"apple": 6, "pear": 0}
    assert states(dynamodb) == {"a": "reserved"}


def test_a_redelivered_order_takes_nothing_more(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    for attempt in (1, 2):
        event = sqs_event(order("a", apple=4), order("b"), attempt=attempt)
        assert failed(handler(event, Context())) == []
    assert stock(dynamodb)["apple"] == 6


def test_the_same_order_twice_in_a_batch_is_reserved_once(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    event = sqs_event(order("a", apple=4), order("a", apple=4), order("b"), order("b"))
    assert failed(handler(event, Context())) == []
    assert stock(dynamodb)["apple"] == 6


def test_all_lines_or_none(handler: InventoryProcessor, dynamodb: DynamoDBClient) -> None:
    assert failed(handler(sqs_event(order("a", apple=1, pear=4)), Context())) == []
    assert stock(dynamodb) == {"apple": 10, "pear": 3}
    assert states(dynamodb) == {"a": "rejected"}
    assert reason(dynamodb, "a") == "pear: 4 wanted, 3 available"


def test_an_unknown_sku_is_rejected_by_name(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    handler(sqs_event(order("a", apple=11, plum=1)), Context())
    assert reason(dynamodb, "a") == "apple: 11 wanted, 10 available; unknown SKU plum"


def test_a_rejected_order_stays_rejected_when_stock_arrives(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    handler(sqs_event(order("a", pear=4)), Context())
    dynamodb.put_item(TableName="stock", Item={"sku": {"S": "pear"}, "available": {"N": "9"}})
    assert failed(handler(sqs_event(order("a", pear=4), attempt=2), Context())) == []
    assert states(dynamodb) == {"a": "rejected"}
    assert stock(dynamodb)["pear"] == 9


def test_orders_that_want_more_than_there_is_do_not_oversell(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    orders = [order(f"o{number}", apple=3) for number in range(10)]
    assert failed(handler(sqs_event(*orders), Context())) == []
    assert stock(dynamodb)["apple"] == 1
    assert sorted(states(dynamodb).values()) == ["rejected"] * 7 + ["reserved"] * 3


def conflicts(dynamodb: DynamoDBClient, times: int = 1_000_000) -> list[str]:
    """Let transactions with an order called unlucky meet others; each one's token is listed."""
    met: list[str] = []

    def conflict(transaction: dict[str, Any]) -> None:
        if "unlucky" in str(transaction) and len(met) < times:
            met.append(transaction["ClientRequestToken"])
            codes = [
                "TransactionConflict" if "unlucky" in str(action) else "None"
                for action in transaction["TransactItems"]
            ]
            reasons = [{"Code": code} for code in codes]
            raise Refused("TransactionCanceledException", CancellationReasons=reasons)

    line(dynamodb).before("TransactWriteItems", conflict)
    return met


def test_what_another_transaction_holds_is_sent_anew_alone(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    """It has all its receives before it: a rush parks nobody. And it is the same message."""
    met, sent = conflicts(dynamodb), list[dict[str, Any]]()
    line(handler.retry.client()).before("SendMessageBatch", sent.append)
    event = sqs_event(order("unlucky", apple=1), order("a", apple=1))
    event["Records"][0]["messageAttributes"] = {
        "redrives": {"dataType": "Number", "stringValue": "2"},
        "picture": {"dataType": "Binary", "binaryValue": "eA=="},
    }
    assert failed(handler(event, Context())) == []
    assert states(dynamodb) == {"a": "reserved"}
    assert len(met) == 20, "once with the other order, and then alone"
    ((anew,),) = (entries["Entries"] for entries in sent)
    assert anew["MessageBody"] == event["Records"][0]["body"]
    assert anew["MessageAttributes"] == {"redrives": {"DataType": "Number", "StringValue": "2"}}
    assert 1 <= anew["DelaySeconds"] <= 5


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("TransactionConflict", [0.2, 0.16, 0.128, 0.1024, 0.08192, 0.065536, *[0.06] * 13]),
        ("ThrottlingError", [0.02, 0.04, 0.08, 0.16]),
    ],
)
def test_what_is_held_is_asked_for_more_and_more_often_and_what_is_refused_more_seldom(
    handler: InventoryProcessor,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    expected: list[float],
) -> None:
    def cancel(_: object) -> None:
        reasons = [{"Code": code}, {"Code": "None"}]
        raise Refused("TransactionCanceledException", CancellationReasons=reasons)

    monkeypatch.setattr(patience, "uniform", lambda _least, _most: 1)
    line(handler.reservations.client).before("TransactWriteItems", cancel)
    handler(sqs_event(order("a", apple=1)), Context())
    assert pauses == pytest.approx(expected)


def test_what_cannot_be_sent_anew_fails(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    conflicts(dynamodb)
    line(handler.retry.client()).before("SendMessageBatch", throttle)
    event = sqs_event(order("unlucky", apple=1), order("a", apple=1))
    assert failed(handler(event, Context())) == ["m0"]


def throttle(_: object) -> None:
    raise Refused("ThrottlingException")


def cancel_once(dynamodb: DynamoDBClient, reasons: list[Any]) -> None:
    """Have the next transaction cancelled for reasons, one an action."""

    def refuse(_: object) -> None:
        line(dynamodb).forget("TransactWriteItems")
        raise Refused("TransactionCanceledException", CancellationReasons=reasons)

    line(dynamodb).before("TransactWriteItems", refuse)


def take_before(dynamodb: DynamoDBClient, **taken: int) -> None:
    """Have somebody else take stock just before the next transaction."""

    def take(_: object) -> None:
        line(dynamodb).forget("TransactWriteItems")
        for sku, quantity in taken.items():
            dynamodb.update_item(
                TableName="stock",
                Key={"sku": {"S": sku}},
                UpdateExpression="SET available = available - :taken",
                ExpressionAttributeValues={":taken": {"N": str(quantity)}},
            )

    line(dynamodb).before("TransactWriteItems", take)


def test_a_line_that_falls_short_beside_a_conflict_is_a_shortage(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    """It is looked at while the other one is held: it has not to wait for that."""
    conflict, short = {"Code": "TransactionConflict"}, {"Code": "ConditionalCheckFailed"}
    take_before(dynamodb, pear=1)
    cancel_once(dynamodb, [{"Code": "None"}, conflict, short])
    assert failed(handler(sqs_event(order("a", apple=1, pear=3)), Context())) == []
    assert states(dynamodb) == {"a": "rejected"}
    assert reason(dynamodb, "a") == "pear: 3 wanted, 2 available"
    assert stock(dynamodb) == {"apple": 10, "pear": 2}


def test_a_record_that_is_there_already_beside_a_conflict_is_looked_at_anew(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    taken, conflict = {"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}
    cancel_once(dynamodb, [taken, conflict])
    reads: list[object] = []
    line(dynamodb).before("BatchGetItem", reads.append)
    assert failed(handler(sqs_event(order("a", apple=1)), Context())) == []
    assert len(reads) == 2
    assert (states(dynamodb), stock(dynamodb)["apple"]) == ({"a": "reserved"}, 9)


def test_a_stock_item_that_cannot_be_read_fails_its_own_messages_alone(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, logged: Logged
) -> None:
    for sku, odd in (("bare", {}), ("text", {"available": {"S": "many"}})):
        dynamodb.put_item(TableName="stock", Item={"sku": {"S": sku}, **odd})
    orders = [order("a", apple=1), order("b", bare=1), order("c", text=1), order("d", pear=9)]
    assert sorted(failed(handler(sqs_event(*orders), Context()))) == ["m1", "m2"]
    assert states(dynamodb) == {"a": "reserved", "d": "rejected"}
    told = {line["order_id"]: line["reason"] for line in logged() if "reason" in line}
    assert all("cannot be read" in told[order_id] for order_id in "bc")


def test_a_reservation_that_is_left_out_is_unread_and_not_absent(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus
) -> None:
    """Taken as absent, a cancel would leave a voided record and nothing would be released."""

    def leave_out(parsed: dict[str, Any]) -> None:
        parsed["Responses"]["reservations"] = []
        parsed["UnprocessedKeys"] = {"reservations": {"Keys": [{"order_id": {"S": "a"}}]}}

    handler(sqs_event(order("a", apple=4)), Context())
    tap.take()
    writes: list[object] = []
    line(dynamodb).after("BatchGetItem", leave_out)
    for operation in ("TransactWriteItems", "BatchExecuteStatement"):
        line(dynamodb).before(operation, writes.append)
    assert failed(handler(sqs_event(order_cancelled("a")), Context())) == ["m0"]
    assert (writes, tap.take()) == ([], [])


def test_a_transaction_conflict_that_passes_fails_nobody(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    met = conflicts(dynamodb, times=3)
    event = sqs_event(order("unlucky", apple=1), order("a", apple=1))
    assert failed(handler(event, Context())) == []
    assert states(dynamodb) == {"a": "reserved", "unlucky": "reserved"}
    assert len(set(met)) == 3, "each try is a request of its own, with a token of its own"


def test_nothing_is_tried_again_when_the_time_is_up(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    clock = [9000, 2000]
    met = conflicts(dynamodb)
    context = Context()
    context.get_remaining_time_in_millis = lambda: clock.pop(0)  # type: ignore[method-assign]
    assert failed(handler(sqs_event(order("unlucky", apple=1)), context)) == []
    assert len(met) == 1


def test_a_reply_that_was_lost_leaves_one_reservation(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    """The transaction is applied and its answer lost: the next try meets its own success."""

    def lose(_: object) -> None:
        line(dynamodb).forget("TransactWriteItems")
        raise Refused("InternalServerError", 500)

    line(dynamodb).after("TransactWriteItems", lose)
    assert failed(handler(sqs_event(order("a", apple=4)), Context())) == []
    assert stock(dynamodb)["apple"] == 6


def test_a_transaction_that_will_never_do_is_not_tried_again(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, pauses: list[float]
) -> None:
    def refuse(_: object) -> None:
        reasons = [{"Code": "None"}, {"Code": "ValidationError"}]
        raise Refused("TransactionCanceledException", CancellationReasons=reasons)

    line(dynamodb).before("TransactWriteItems", refuse)
    assert failed(handler(sqs_event(order("a", apple=1)), Context())) == ["m0"]
    assert pauses == []


def test_one_refused_write_fails_that_message_alone(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    refusal = {"Error": {"Code": "AccessDenied", "Message": ""}}
    sizes = refuse(dynamodb, "BatchExecuteStatement", "unlucky", refusal)
    assert failed(handler(sqs_event(order("a"), order("unlucky"), order("c")), Context())) == ["m1"]
    assert sizes == [3], "what will not be written later either is not tried again"


@pytest.mark.parametrize("code", ["ThrottlingError", "InternalServerError"])
def test_a_write_that_is_refused_for_a_while_fails_nobody(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus, code: str
) -> None:
    """It was made all the same: the second try meets it, and what is on record is looked at."""
    refusal = {"Error": {"Code": code, "Message": ""}}
    sizes = refuse(dynamodb, "BatchExecuteStatement", "unlucky", refusal, times=1)
    assert failed(handler(sqs_event(order("a"), order("unlucky"), order("c")), Context())) == []
    assert sizes == [3, 1], "only what was refused is written again"
    assert len(tap.take()) == 3


def test_records_that_are_left_out_for_a_while_fail_nobody(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    handler(sqs_event(order("a", apple=4), order("b", apple=1)), Context())
    asked: list[int] = []

    def leave_out(parsed: dict[str, Any]) -> None:
        if len(asked) < 3:
            left = [
                item for item in parsed["Responses"]["reservations"] if item["order_id"]["S"] == "a"
            ]
            keys = [{"order_id": item["order_id"]} for item in left]
            for item in left:
                parsed["Responses"]["reservations"].remove(item)
            parsed["UnprocessedKeys"] = {"reservations": {"Keys": keys}}

    def count(asked_for: dict[str, Any]) -> None:
        asked.append(len(asked_for["RequestItems"]["reservations"]["Keys"]))

    line(dynamodb).before("BatchGetItem", count)
    line(dynamodb).after("BatchGetItem", leave_out)
    event = sqs_event(order_cancelled("a"), order_cancelled("b"))
    assert failed(handler(event, Context())) == []
    assert asked == [2, 1, 1]
    assert stock(dynamodb)["apple"] == 10


def test_a_second_look_that_fails_fails_only_what_was_left(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, logged: Logged
) -> None:
    def leave_out(parsed: dict[str, Any]) -> None:
        parsed["UnprocessedKeys"] = {"reservations": {"Keys": [{"order_id": {"S": "a"}}]}}
        line(dynamodb).before("BatchGetItem", lose)

    def lose(_: object) -> None:
        raise Lost

    line(dynamodb).after("BatchGetItem", leave_out)
    assert failed(handler(sqs_event(order("a"), order("b")), Context())) == ["m0"]
    assert states(dynamodb) == {"b": "reserved"}
    assert logged()[0]["reason"].startswith("ReadTimeoutError")


def test_a_table_that_answers_nothing_for_a_while_fails_nobody(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    refused: list[str] = []

    def throttle(operation: str, _: object) -> None:
        if refused.count(operation) < 5:
            refused.append(operation)
            raise Refused("ProvisionedThroughputExceededException")

    operations = ["BatchGetItem", "TransactWriteItems", "BatchExecuteStatement"]
    for operation in operations:
        line(dynamodb).before(operation, partial(throttle, operation))
    assert failed(handler(sqs_event(order("a", apple=4)), Context())) == []
    assert failed(handler(sqs_event(order("b")), Context())) == []
    assert set(refused) == set(operations)
    assert stock(dynamodb)["apple"] == 6


def test_a_refused_call_fails_the_messages_and_says_why(
    handler: InventoryProcessor, dynamodb: DynamoDBClient, logged: Logged
) -> None:
    dynamodb.delete_table(TableName="reservations")
    event = sqs_event(order("a"), order("b", apple=1))
    assert sorted(failed(handler(event, Context()))) == ["m0", "m1"]
    lines = logged()
    told = {line["order_id"]: line["reason"] for line in lines}
    assert told == dict.fromkeys("ab", "ResourceNotFoundException from BatchGetItem")


def test_stock_that_a_hasty_look_did_not_get_is_not_taken_as_gone(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    """What is put back would have nowhere to go. A consistent look gets it."""
    handler(sqs_event(order("a", apple=4)), Context())
    hasty: list[bool] = []

    def look(asked: dict[str, Any]) -> None:
        stock = asked["RequestItems"].get("stock", {"ConsistentRead": True})
        hasty.append(not stock["ConsistentRead"])

    def leave_out(parsed: dict[str, Any]) -> None:
        if hasty[-1]:
            parsed["Responses"].pop("stock", None)
            parsed["UnprocessedKeys"] = {"stock": {"Keys": [{"sku": {"S": "apple"}}]}}

    line(dynamodb).before("BatchGetItem", look)
    line(dynamodb).after("BatchGetItem", leave_out)
    event = sqs_event(order_cancelled("a"), order("b", apple=1))
    assert failed(handler(event, Context())) == []
    assert states(dynamodb) == {"a": "released", "b": "reserved"}
    assert stock(dynamodb)["apple"] == 9
    assert set(hasty) == {True, False}


def test_what_was_moved_is_known_without_another_look() -> None:
    seen = Stock({"apple": {"apple": 5, "apple 1": 1}, "plum": {}})
    seen.move(
        [
            Move((None, RESERVED), taken={"apple": 2, "pear": 1}),
            Move((RESERVED, RESERVED), put_back={"apple": 1, "apple 1": 4, "plum": 1}),
        ]
    )
    assert seen.levels == {"apple": {"apple": 4, "apple 1": 5}, "plum": {}}


def test_no_transaction_is_begun_when_time_is_up(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    assert failed(handler(sqs_event(order("a", apple=1)), Context(1000))) == ["m0"]
    assert stock(dynamodb)["apple"] == 10


class TestTogether:
    def test_many_orders_of_a_batch_take_three_calls(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        for client in (dynamodb, tap.client):
            line(client).calls.clear()
        orders = [order("none"), *(order(f"o{number}", apple=1) for number in range(9))]
        assert failed(handler(sqs_event(*orders), Context())) == []
        assert line(dynamodb).calls == ["BatchGetItem", "TransactWriteItems"]
        assert line(tap.client).calls == ["PutEvents"]
        assert stock(dynamodb)["apple"] == 1

    def test_an_order_and_a_cancel_move_the_same_article(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        handler(sqs_event(order("a", apple=4)), Context())
        event = sqs_event(order_cancelled("a"), order("b", apple=5))
        assert failed(handler(event, Context())) == []
        assert stock(dynamodb)["apple"] == 5
        assert states(dynamodb) == {"a": "released", "b": "reserved"}

    def test_what_is_put_back_is_not_yet_there_to_be_taken(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        """The transaction of both is cancelled, and each gets one of its own, in their order."""
        handler(sqs_event(order("a", apple=4)), Context())
        event = sqs_event(order_cancelled("a"), order("b", apple=7))
        assert failed(handler(event, Context())) == []
        assert stock(dynamodb)["apple"] == 3
        assert states(dynamodb) == {"a": "released", "b": "reserved"}

    def test_no_transaction_is_larger_than_dynamodb_takes(self) -> None:
        moves = [move(f"o{n}", *(f"{n}-{sku}" for sku in range(20))) for n in range(10)]
        assert [len(part) for part in divide(moves)] == [4, 4, 2]

    def test_a_transaction_is_as_large_as_dynamodb_takes(self) -> None:
        moves = [*(move(f"o{n}", f"{n}") for n in range(50)), move("o50", "0", "1")]
        assert [len(part) for part in divide(moves)] == [50, 1], "100 actions, and three"

    def test_what_is_of_one_shelf_is_written_together(self) -> None:
        moves = [move(f"o{n}", f"sku-{n % 40}") for n in range(80)]
        written = [{shelf for each in part for shelf in each.shelves} for part in divide(moves)]
        assert [len(shelves) for shelves in written] == [33, 7], "each of the 40 is written once"

    def test_an_order_without_items_is_recorded_though_its_batch_mates_fall_short(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        orders = order("a", apple=1), order("none"), order("b", apple=99)
        assert failed(handler(sqs_event(*orders), Context())) == []
        assert states(dynamodb) == {"a": "reserved", "none": "reserved", "b": "rejected"}

    def test_what_is_denied_to_all_is_not_asked_for_one_by_one(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        asked: list[object] = []

        def deny(arguments: object) -> None:
            asked.append(arguments)
            raise Refused("AccessDeniedException")

        line(dynamodb).before("TransactWriteItems", deny)
        event = sqs_event(order("a", apple=1), order("b", apple=1))
        assert failed(handler(event, Context())) == ["m0", "m1"]
        assert len(asked) == 1

    def test_a_release_is_on_record_with_its_time(self, handler: InventoryProcessor) -> None:
        lines = (OrderLine("apple", 1),)
        held = Reservation(order_id="a", state="reserved", at="then", lines=lines)
        freed = Reservation(order_id="a", state="released", at="now", lines=lines)
        assert write(handler.reservations, [(None, held)], Stock(), Context()) == ({"a": held}, {})
        assert write(handler.reservations, [(held, freed)], Stock(), Context()) == (
            {"a": freed},
            {},
        )
        assert handler.reservations.find(["a"], [], Context()) == ({"a": freed}, {}, Stock())

    def test_what_was_refused_is_not_said_to_be_written(self, handler: InventoryProcessor) -> None:
        now = Reservation(order_id="a", state="voided", at="")
        changes = [(None, now)]
        assert write(handler.reservations, changes, Stock(), Context()) == ({"a": now}, {})
        assert write(handler.reservations, changes, Stock(), Context()) == ({}, {"a": CONFLICT})


class TestOutcomes:
    def test_each_is_counted(
        self, handler: InventoryProcessor, metered: Callable[[], dict[str, int]]
    ) -> None:
        orders = (order("a", apple=1), order("b", apple=1), order("c", plum=1), order("d", pear=9))
        handler(sqs_event(*orders, order("e", apple=1), "nonsense"), Context())
        assert metered() == {"OrdersReserved": 3, "OrdersRejected": 2, "InventoryFailed": 1}
        handler(sqs_event(order_cancelled("a"), order("b", apple=4)), Context())
        assert metered() == {"OrdersReleased": 1, "OrdersRefused": 1}

    def test_a_reservation_is_told_of_and_told_again(
        self, handler: InventoryProcessor, tap: TappedBus
    ) -> None:
        for attempt in (1, 2):
            handler(sqs_event(order("a", apple=1), order("b"), attempt=attempt), Context())
        published = tap.take()
        for placed in (order("a", apple=1), order("b")):
            detail = placed["detail"]
            told = {
                "order_id": detail["order_id"],
                "items": detail.get("items", []),
                "fingerprint": fingerprint(placed),
            }
            assert published.count(("inventory.reserved", told)) == 2

    def test_a_rejection_is_told_of_with_its_reason(
        self, handler: InventoryProcessor, tap: TappedBus
    ) -> None:
        handler(sqs_event(order("a", plum=1)), Context())
        assert tap.take() == [
            (
                "inventory.rejected",
                {
                    "order_id": "a",
                    "reason": "unknown SKU plum",
                    "fingerprint": fingerprint(order("a", plum=1)),
                },
            )
        ]

    def test_a_different_order_under_its_id_is_refused_and_told_what_is_on_record(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        handler(sqs_event(order("a", apple=1)), Context())
        first = tap.take()
        assert failed(handler(sqs_event(order("a", apple=4, pear=1)), Context())) == []
        assert tap.take() == first
        assert stock(dynamodb)["apple"] == 9


class TestCancel:
    def test_puts_the_stock_back(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        handler(sqs_event(order("a", apple=4, pear=1), order("b")), Context())
        event = sqs_event(order_cancelled("a"), order_cancelled("b"))
        assert failed(handler(event, Context())) == []
        assert stock(dynamodb) == {"apple": 10, "pear": 3}
        assert states(dynamodb) == {"a": "released", "b": "released"}
        assert [t for t, _ in tap.take()].count("inventory.released") == 2

    def test_is_told_as_a_release_when_the_order_comes_again(
        self, handler: InventoryProcessor, tap: TappedBus
    ) -> None:
        handler(sqs_event(order("a", apple=4), order_cancelled("a")), Context())
        tap.take()
        handler(sqs_event(order("a", apple=4), attempt=2), Context())
        assert [t for t, _ in tap.take()] == ["inventory.released"]

    def test_twice_puts_the_stock_back_once(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        handler(sqs_event(order("a", apple=4)), Context())
        handler(sqs_event(order_cancelled("a"), order_cancelled("a")), Context())
        handler(sqs_event(order_cancelled("a"), attempt=2), Context())
        assert stock(dynamodb)["apple"] == 10

    def test_that_meets_another_cancel_puts_the_stock_back_once(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        """The other one comes between the look and the transaction."""
        handler(sqs_event(order("a", apple=4), order("b", apple=1)), Context())

        def cancel(_: object) -> None:
            line(dynamodb).forget("TransactWriteItems")
            handler(sqs_event(order_cancelled("a")), Context())

        line(dynamodb).before("TransactWriteItems", cancel)
        event = sqs_event(order_cancelled("a"), order_cancelled("b"))
        assert failed(handler(event, Context())) == []
        assert stock(dynamodb)["apple"] == 10

    def test_that_overtakes_its_order_leaves_a_voided_reservation(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        handler(sqs_event(order_cancelled("a")), Context())
        assert failed(handler(sqs_event(order("a", apple=4)), Context())) == []
        assert stock(dynamodb)["apple"] == 10
        assert states(dynamodb) == {"a": "voided"}
        assert tap.take() == []

    def test_of_a_rejected_order_changes_nothing(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient, tap: TappedBus
    ) -> None:
        handler(sqs_event(order("a", plum=1)), Context())
        tap.take()
        handler(sqs_event(order_cancelled("a")), Context())
        assert states(dynamodb) == {"a": "rejected"}
        assert tap.take() == [], "the tracker would answer with a cancel, and so for ever"

    def test_that_comes_while_the_order_is_looked_at_wins(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        """The cancel comes between the look and the transaction."""

        def cancel(_: object) -> None:
            line(dynamodb).forget("TransactWriteItems")
            handler(sqs_event(order_cancelled("a")), Context())

        line(dynamodb).before("TransactWriteItems", cancel)
        assert failed(handler(sqs_event(order("a", apple=4)), Context())) == []
        assert states(dynamodb) == {"a": "voided"}
        assert stock(dynamodb)["apple"] == 10


class TestShelves:
    @pytest.fixture(autouse=True)
    def shelves(self, dynamodb: DynamoDBClient, handler: InventoryProcessor) -> None:
        for key, available, count in (("mug", "2", "3"), ("mug 1", "2", ""), ("mug 2", "1", "")):
            item = {"sku": {"S": key}, "available": {"N": available}}
            item |= {"shelves": {"N": count}} if count else {}
            dynamodb.put_item(TableName="stock", Item=item)

    def mugs(self, dynamodb: DynamoDBClient) -> list[int]:
        return [there for sku, there in sorted(stock(dynamodb).items()) if sku.startswith("mug")]

    def test_all_of_them_are_sold_and_no_more(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        orders = [order(f"o{number}", mug=2) for number in range(4)]
        assert failed(handler(sqs_event(*orders), Context())) == []
        assert sorted(states(dynamodb).values()) == ["rejected"] * 2 + ["reserved"] * 2
        assert self.mugs(dynamodb) == [0, 0, 1]

    def test_a_line_that_was_split_goes_back_to_each(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        assert failed(handler(sqs_event(order("a", mug=5)), Context())) == []
        assert self.mugs(dynamodb) == [0, 0, 0]
        assert failed(handler(sqs_event(order_cancelled("a")), Context())) == []
        assert self.mugs(dynamodb) == [2, 2, 1]

    def test_what_was_taken_from_a_shelf_that_went_goes_back_to_the_first(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        assert failed(handler(sqs_event(order("a", mug=5)), Context())) == []
        for key in ("mug 1", "mug 2"):
            dynamodb.delete_item(TableName="stock", Key={"sku": {"S": key}})
        one = {"sku": {"S": "mug"}, "available": {"N": "0"}}
        dynamodb.put_item(TableName="stock", Item=one)
        assert failed(handler(sqs_event(order_cancelled("a")), Context())) == []
        assert self.mugs(dynamodb) == [5]

    def test_what_is_sold_out_takes_no_transaction(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        handler(sqs_event(order("a", mug=5)), Context())
        line(dynamodb).calls.clear()
        orders = [order(f"o{number}", mug=1, apple=1) for number in range(10)]
        assert failed(handler(sqs_event(*orders), Context())) == []
        assert "TransactWriteItems" not in line(dynamodb).calls
        assert reason(dynamodb, "o1") == "mug: 1 wanted, 0 available"
        assert stock(dynamodb)["apple"] == 10

    def test_a_batch_that_is_not_covered_takes_a_few_calls(
        self, handler: InventoryProcessor, dynamodb: DynamoDBClient
    ) -> None:
        """Somebody takes most of it between the look and the transaction."""
        take_before(dynamodb, apple=7)
        line(dynamodb).calls.clear()
        orders = [order(f"o{number}", apple=1) for number in range(10)]
        assert failed(handler(sqs_event(*orders), Context())) == []
        assert sorted(states(dynamodb).values()) == ["rejected"] * 7 + ["reserved"] * 3
        assert line(dynamodb).calls.count("TransactWriteItems") == 2


@pytest.mark.parametrize(("attempt", "said"), [(1, {}), (2, {"attempt": 2})])
def test_every_reservation_has_a_log_line(
    handler: InventoryProcessor, logged: Logged, attempt: int, said: dict[str, int]
) -> None:
    handler(sqs_event(order("a", apple=1, pear=1), attempt=attempt), Context())
    facts = {"message": "reserved", "order_id": "a", "lines": 2}
    assert logged() == [{"level": "INFO", **facts, **said}]


def put_shelf(dynamodb: DynamoDBClient, key: str, available: str, shelves: str = "1") -> None:
    item = {"sku": {"S": key}, "available": {"S": available}, "shelves": {"N": shelves}}
    if available.isdecimal():
        item["available"] = {"N": available}
    dynamodb.put_item(TableName="stock", Item=item)


def test_all_shelves_of_a_sku_are_seen(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    put_shelf(dynamodb, "mug", "1", "2")
    put_shelf(dynamodb, "mug 1", "5")
    put_shelf(dynamodb, "half", "1", "2")  # the other one is missing
    put_shelf(dynamodb, "tea", "some")
    put_shelf(dynamodb, "hat", "1", "2")
    put_shelf(dynamodb, "hat 1", "some")
    seen = handler.reservations.look(["half", "tea", "hat", "mug", "gone"], Context())
    assert seen.levels == {"mug": {"mug": 1, "mug 1": 5}, "gone": {}}
    assert seen.unreadable.keys() == {"tea", "hat"}


def test_what_a_release_writes_are_texts(
    handler: InventoryProcessor, dynamodb: DynamoDBClient
) -> None:
    """DynamoDB refuses another type; the table of the tests takes it."""
    sent: list[Any] = []
    handler(sqs_event(order("a", apple=1)), Context())
    line(dynamodb).before("TransactWriteItems", lambda call: sent.extend(call["TransactItems"]))
    handler(sqs_event(order_cancelled("a")), Context())
    values = sent[0]["Update"]["ExpressionAttributeValues"]
    assert {name: list(value) for name, value in values.items()} == {
        ":now": ["S"],
        ":before": ["S"],
        ":at": ["S"],
    }


def test_what_a_hasty_look_did_not_get_is_neither_seen_nor_unreadable(
    handler: InventoryProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is a first shelf or a further one; the others are seen."""
    source = Source("stock", "sku", False)
    late = {(source, "mug 1"): "ThrottlingError"}
    monkeypatch.setattr(reservations, "get_items", lambda *_: ({}, late))
    items: dict[Key, Item] = {
        (source, "mug"): {"available": {"N": "1"}, "shelves": {"N": "2"}},
        (source, "cap"): {"available": {"N": "3"}},
    }
    refused: dict[Key, str] = {(source, "tea"): "ThrottlingError"}
    skus = ["tea", "mug", "cap"]
    seen = handler.reservations._stock(source, skus, items, refused, Context())
    assert (seen.levels, seen.unreadable) == ({"cap": {"cap": 3}}, {})
