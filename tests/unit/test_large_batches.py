"""Batches of more than ten messages: packed to what each API takes, and done part by part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

from orders.aws.order_table import OrderTable
from orders.aws.sqs import MESSAGES_AT_ONCE, Retry
from orders.payments.handler import PaymentsProcessor
from orders.payments.ledger import Ledger
from orders.payments.provider import ProcessorFailedError, SimulatedCardProcessor
from orders.tracker.handler import OrderTracker
from support.aws import Refused, line
from support.lambdas import Context, event_of, failed, order_placed, sqs_event

if TYPE_CHECKING:
    from decimal import Decimal

    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.payments.provider import Charged, Declined
    from orders.payments.tries import Tries
    from support.aws import TappedBus

Handler = Callable[[dict[str, Any], Any], Any]
SIZES = (
    11,
    26,
    MESSAGES_AT_ONCE,
    MESSAGES_AT_ONCE + 1,
    pytest.param(10_000, marks=pytest.mark.long),
)
"""One more than each API takes at once, and as many as Lambda hands over."""


@dataclass
class Clock(Context):
    """A context whose time runs out after some messages were looked at."""

    looks_left: int = 1_000_000

    def get_remaining_time_in_millis(self) -> int:
        self.looks_left -= 1
        return 10_000 if self.looks_left > 0 else 2_999


@dataclass(frozen=True)
class Moody(SimulatedCardProcessor):
    """Fails for some orders."""

    fails: set[str] = field(default_factory=set)

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        if idempotency_key in self.fails:
            raise ProcessorFailedError("no answer")
        return super().charge(idempotency_key, amount, currency)


@pytest.fixture
def consumers(
    dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry, tries: Tries
) -> dict[str, Handler]:
    return {
        "payments": PaymentsProcessor(
            Ledger(dynamodb, "payments"), SimulatedCardProcessor(0, 0), tap.bus, retry, tries
        ),
        "orders": OrderTracker(OrderTable(dynamodb, "orders"), tap.bus, retry),
    }


def batch(consumer: str, size: int) -> dict[str, Any]:
    if consumer == "payments":
        return sqs_event(*(order_placed(f"o{n}") for n in range(size)))
    return sqs_event(
        *(event_of("payment.declined", f"o{n}", reason="no funds") for n in range(size))
    )


def count(dynamodb: DynamoDBClient, table: str) -> int:
    page = dynamodb.scan(TableName=table, Select="COUNT")
    counted = page["Count"]
    while start := page.get("LastEvaluatedKey"):
        page = dynamodb.scan(TableName=table, Select="COUNT", ExclusiveStartKey=start)
        counted += page["Count"]
    return counted


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("consumer", ["payments", "orders"])
def test_a_batch_of_any_size_takes_as_few_calls_as_its_items_fit_into(
    consumers: dict[str, Handler],
    dynamodb: DynamoDBClient,
    tap: TappedBus,
    consumer: str,
    size: int,
) -> None:
    entries: list[int] = []
    bus = line(tap.bus.client)
    bus.before("PutEvents", lambda asked: entries.append(len(asked["Entries"])))
    assert failed(consumers[consumer](batch(consumer, size), Context())) == []
    assert count(dynamodb, consumer) == size
    calls = line(dynamodb).calls
    assert calls.count("BatchGetItem") == ceil(size / 100)
    assert calls.count("BatchExecuteStatement") == ceil(size / 25)
    assert (len(entries), sum(entries)) == (ceil(size / 10), size)


def test_what_one_call_of_several_refuses_fails_alone(
    consumers: dict[str, Handler], dynamodb: DynamoDBClient
) -> None:
    calls = 0

    def refuse_the_second(_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Refused("AccessDeniedException")

    line(dynamodb).before("BatchExecuteStatement", refuse_the_second)
    refused = failed(consumers["payments"](batch("payments", 60), Context()))
    assert refused == [f"m{n}" for n in range(25, 50)]


def test_when_the_time_is_up_what_is_done_stays_done_and_the_rest_is_reported(
    consumers: dict[str, Handler],
    dynamodb: DynamoDBClient,
    tap: TappedBus,
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    # Payments looks at the time for each message, and once for each part after the first one.
    context = Clock(looks_left=MESSAGES_AT_ONCE + 1)
    event = batch("payments", 2 * MESSAGES_AT_ONCE + 50)
    left = failed(consumers["payments"](event, context))
    assert left == [f"m{n}" for n in range(MESSAGES_AT_ONCE, 2 * MESSAGES_AT_ONCE + 50)]
    assert count(dynamodb, "payments") == MESSAGES_AT_ONCE
    assert len(tap.take()) == MESSAGES_AT_ONCE
    said = logged()[-1]
    assert (said["message"], said["messages"]) == ("messages not taken up", MESSAGES_AT_ONCE + 50)
    assert "too large for its timeout" in said["reason"]


def test_when_the_time_is_up_within_a_part_its_rest_is_reported_too(
    consumers: dict[str, Handler], tap: TappedBus, metered: Callable[[], dict[str, int]]
) -> None:
    left = failed(consumers["payments"](batch("payments", 150), Clock(looks_left=31)))
    assert left == [f"m{n}" for n in range(30, 150)]
    assert len(tap.take()) == 30
    assert metered()["PaymentsFailed"] == 120


def test_an_order_s_message_sees_what_an_earlier_part_did(
    consumers: dict[str, Handler], dynamodb: DynamoDBClient
) -> None:
    placed = [order_placed(f"o{n}") for n in range(MESSAGES_AT_ONCE)]
    event = sqs_event(*placed, event_of("order.cancelled", "o0", reason="changed my mind"))
    assert failed(consumers["payments"](event, Context())) == []
    item = dynamodb.get_item(TableName="payments", Key={"order_id": {"S": "o0"}})["Item"]
    assert item["state"] == {"S": "refunded"}


def test_many_failed_messages_are_delayed_with_calls_of_ten(
    dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry, tries: Tries
) -> None:
    processor = Moody(0, 0, fails={f"o{n}" for n in range(0, 150, 2)})
    handler = PaymentsProcessor(Ledger(dynamodb, "payments"), processor, tap.bus, retry, tries)
    sizes: list[int] = []
    line(retry.client()).before(
        "ChangeMessageVisibilityBatch", lambda asked: sizes.append(len(asked["Entries"]))
    )
    assert len(failed(handler(batch("payments", 150), Context()))) == 75
    assert sizes == [10] * 5 + [10] * 2 + [5]
