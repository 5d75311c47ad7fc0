from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from orders.payments.handler import PaymentsProcessor
from orders.payments.ledger import Ledger
from orders.payments.provider import Charged, ChargeFailedError, Declined
from support.lambdas import Context, failed, order_placed, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.sqs import Retry

Logged = Callable[[], list[dict[str, Any]]]


@dataclass
class Processor:
    """A card processor that keeps books and follows a script."""

    declines: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    loses_reply: set[str] = field(default_factory=set)
    charged: dict[str, Decimal] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        self.asked.append(idempotency_key)
        if idempotency_key in self.fails:
            raise ChargeFailedError("no answer")
        if idempotency_key in self.declines:
            return Declined("no funds")
        self.charged[idempotency_key] = amount
        if idempotency_key in self.loses_reply:
            raise ChargeFailedError("reply lost")
        return Charged(f"ch_{idempotency_key}")


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
def handler(dynamodb: DynamoDBClient, processor: Processor, retry: Retry) -> PaymentsProcessor:
    return PaymentsProcessor(Ledger(dynamodb, "payments"), processor, retry)


def payments(dynamodb: DynamoDBClient) -> dict[str, dict[str, Any]]:
    items = dynamodb.scan(TableName="payments")["Items"]
    return {
        item["order_id"]["S"]: {name: next(iter(v.values())) for name, v in item.items()}
        for item in items
    }


def test_charges_and_records_every_order(
    handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
) -> None:
    event = sqs_event(order_placed("a", 12.34), order_placed("b", 0, currency="EUR"))
    assert failed(handler(event, Context())) == []
    assert processor.charged == {"a": Decimal("12.34"), "b": Decimal(0)}
    recorded = payments(dynamodb)
    assert (
        recorded["a"].items()
        >= {
            "state": "charged",
            "amount": "12.34",
            "currency": "USD",
            "charge_id": "ch_a",
            "attempt": "1",
        }.items()
    )
    assert recorded["b"]["currency"] == "EUR"


def test_a_redelivered_order_is_not_charged_again(
    handler: PaymentsProcessor, processor: Processor
) -> None:
    handler(sqs_event(order_placed("a")), Context())
    assert failed(handler(sqs_event(order_placed("a"), attempt=2), Context())) == []
    assert processor.asked == ["a"]


def test_the_same_order_twice_in_a_batch_is_charged_once(
    handler: PaymentsProcessor, processor: Processor
) -> None:
    assert failed(handler(sqs_event(order_placed("a"), order_placed("a")), Context())) == []
    assert processor.asked == ["a"]


def test_only_the_failed_charge_is_reported(
    handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
) -> None:
    processor.fails = {"b"}
    event = sqs_event(order_placed("a"), order_placed("b"), "unreadable", order_placed("c"))
    assert sorted(failed(handler(event, Context()))) == ["m1", "m2"]
    assert set(payments(dynamodb)) == {"a", "c"}


def test_a_decline_is_an_answer_and_not_a_failure(
    handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
) -> None:
    processor.declines = {"a"}
    assert failed(handler(sqs_event(order_placed("a")), Context())) == []
    recorded = payments(dynamodb)["a"]
    assert (recorded["state"], recorded["reason"]) == ("declined", "no funds")
    assert "charge_id" not in recorded


def test_a_charge_whose_reply_was_lost_is_asked_for_again_under_its_key(
    handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
) -> None:
    processor.loses_reply = {"a"}
    assert failed(handler(sqs_event(order_placed("a")), Context())) == ["m0"]
    processor.loses_reply = set()
    assert failed(handler(sqs_event(order_placed("a"), attempt=2), Context())) == []
    assert payments(dynamodb)["a"]["attempt"] == "2"
    assert processor.asked == ["a", "a"]


def test_a_delivery_that_wrote_first_wins(
    handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
) -> None:
    """Two deliveries at once: both look and find nothing, and the second one's write is refused."""
    racing = PaymentsProcessor(handler.ledger, processor, handler.retry)

    def race(**_: object) -> None:
        dynamodb.meta.events.unregister("before-call.dynamodb.BatchExecuteStatement", race)
        racing(sqs_event(order_placed("a")), Context(aws_request_id="other"))

    dynamodb.meta.events.register("before-call.dynamodb.BatchExecuteStatement", race)
    assert failed(handler(sqs_event(order_placed("a")), Context())) == []
    assert processor.asked == ["a", "a"], "both asked, under one key"
    assert len(payments(dynamodb)) == 1


def test_nothing_new_is_begun_when_time_is_up(
    handler: PaymentsProcessor, processor: Processor
) -> None:
    assert failed(handler(sqs_event(order_placed("a")), Context(1000))) == ["m0"]
    assert processor.asked == []


def test_a_refused_call_fails_the_messages_and_says_why(
    handler: PaymentsProcessor, dynamodb: DynamoDBClient, logged: Logged
) -> None:
    dynamodb.delete_table(TableName="payments")
    event = sqs_event(order_placed("a"), order_placed("b"))
    assert failed(handler(event, Context())) == ["m0", "m1"]
    lines = logged()
    reasons = [line["reason"] for line in lines if line.get("order_id") == "a"]
    assert reasons == ["ResourceNotFoundException from BatchGetItem"]


def test_a_charge_that_could_not_be_recorded_is_reported(
    handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "BatchExecuteStatement")

    dynamodb.meta.events.register("before-call.dynamodb.BatchExecuteStatement", refuse)
    assert failed(handler(sqs_event(order_placed("a")), Context())) == ["m0"]
    dynamodb.meta.events.unregister("before-call.dynamodb.BatchExecuteStatement", refuse)
    assert failed(handler(sqs_event(order_placed("a"), attempt=2), Context())) == []
    assert processor.asked == ["a", "a"]


def test_every_charge_and_every_failed_attempt_has_a_log_line(
    handler: PaymentsProcessor, processor: Processor, logged: Logged
) -> None:
    processor.fails = {"b"}
    handler(sqs_event(order_placed("a", 5), order_placed("b"), attempt=2), Context())
    lines = logged()
    told = {line["order_id"]: line for line in lines}
    assert told["a"]["message"] == "charged"
    assert told["a"].items() >= {"amount": "5", "attempt": 2, "request_id": "request-1"}.items()
    assert told["b"]["message"] == "charge failed"
    assert told["b"]["reason"] == "no answer"
