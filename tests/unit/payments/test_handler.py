from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from orders.card_books import Booked
from orders.payments.handler import PaymentsProcessor
from orders.payments.ledger import Ledger
from orders.payments.provider import Charged, Declined, ProcessorFailedError
from orders.payments.tries import Tries
from support.aws import Refused, line, refuse
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

    from orders.aws.sqs import Retry
    from support.aws import TappedBus

Logged = Callable[[], list[dict[str, Any]]]


@dataclass
class Processor:
    """A card processor that keeps books and follows a script."""

    declines: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    loses_reply: set[str] = field(default_factory=set)
    charged: dict[str, Decimal] = field(default_factory=dict)
    """What each card has paid; nothing any more once it was cancelled."""
    refused: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        self.asked.append(idempotency_key)
        if idempotency_key in self.fails:
            raise ProcessorFailedError("no answer")
        if idempotency_key in self.declines:
            return Declined("no funds")
        if idempotency_key in self.refused:
            return Declined("cancelled")
        self.charged[idempotency_key] = amount
        if idempotency_key in self.loses_reply:
            raise ProcessorFailedError("reply lost")
        return Charged(f"ch_{idempotency_key}")

    def cancel(self, idempotency_key: str) -> None:
        if idempotency_key in self.fails:
            raise ProcessorFailedError("no answer")
        self.charged.pop(idempotency_key, None)
        self.refused.add(idempotency_key)

    def find(self, idempotency_key: str) -> Booked:
        return Booked(net=self.charged.get(idempotency_key))


@pytest.fixture
def processor() -> Processor:
    return Processor()


@pytest.fixture
def handler(
    dynamodb: DynamoDBClient, processor: Processor, tap: TappedBus, retry: Retry, tries: Tries
) -> PaymentsProcessor:
    return PaymentsProcessor(Ledger(dynamodb, "payments"), processor, tap.bus, retry, tries)


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
    racing = PaymentsProcessor(handler.ledger, processor, handler.bus, handler.retry, handler.tries)

    def race(_: object) -> None:
        line(dynamodb).forget("BatchExecuteStatement")
        racing(sqs_event(order_placed("a")), Context(aws_request_id="other"))

    line(dynamodb).before("BatchExecuteStatement", race)
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
    def refuse(_: object) -> None:
        raise Refused("ThrottlingException")

    line(dynamodb).before("BatchExecuteStatement", refuse)
    assert failed(handler(sqs_event(order_placed("a")), Context())) == ["m0"]
    line(dynamodb).forget("BatchExecuteStatement")
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
    assert told["a"].items() >= {"amount": "5", "attempt": 2}.items()
    assert told["b"]["message"] == "charge failed"
    assert told["b"].items() >= {"reason": "no answer", "request_id": "request-1"}.items()


def types(published: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [detail_type for detail_type, _ in published]


class TestOutcomes:
    def test_a_charge_is_told_of_after_it_is_on_record(
        self, handler: PaymentsProcessor, tap: TappedBus
    ) -> None:
        handler(sqs_event(order_placed("a", 12.34)), Context())
        charged = {
            "order_id": "a",
            "amount": 12.34,
            "currency": "USD",
            "charge_id": "ch_a",
            "fingerprint": fingerprint(order_placed("a", 12.34)),
        }
        assert tap.take() == [("payment.charged", charged)]

    def test_a_redelivery_tells_again(self, handler: PaymentsProcessor, tap: TappedBus) -> None:
        for attempt in (1, 2):
            handler(sqs_event(order_placed("a"), attempt=attempt), Context())
        assert types(tap.take()) == ["payment.charged", "payment.charged"]

    def test_a_decline_is_told_of_with_its_reason(
        self, handler: PaymentsProcessor, processor: Processor, tap: TappedBus
    ) -> None:
        processor.declines = {"a"}
        handler(sqs_event(order_placed("a")), Context())
        declined = {"reason": "no funds", "fingerprint": fingerprint(order_placed("a"))}
        assert tap.take() == [("payment.declined", {"order_id": "a", **declined})]

    @pytest.mark.parametrize("different", [{"amount": 9}, {"items": [{"sku": "a", "quantity": 1}]}])
    def test_a_different_order_under_its_id_is_refused_and_told_what_is_on_record(
        self,
        handler: PaymentsProcessor,
        processor: Processor,
        tap: TappedBus,
        capsys: pytest.CaptureFixture[str],
        different: dict[str, Any],
    ) -> None:
        handler(sqs_event(order_placed("a", 5)), Context())
        (_, first), *_ = tap.take()
        capsys.readouterr()
        other = order_placed("a", **{"amount": 5, **different})
        assert failed(handler(sqs_event(other), Context())) == []
        assert tap.take() == [("payment.charged", first)]
        assert processor.charged == {"a": Decimal(5)}
        refused, metric = map(json.loads, capsys.readouterr().out.splitlines())
        assert (refused["level"], refused["message"]) == ("ERROR", "order refused")
        assert refused["reason"] == "a different order is on record under its id"
        assert metric["OrdersRefused"] == 1

    def test_a_batch_is_told_of_in_one_call(
        self, handler: PaymentsProcessor, tap: TappedBus
    ) -> None:
        calls = line(tap.client).calls
        calls.clear()
        handler(sqs_event(*(order_placed(f"o{n}") for n in range(10))), Context())
        assert (len(tap.take()), calls) == (10, ["PutEvents"])

    def test_only_the_messages_behind_refused_events_fail(
        self, handler: PaymentsProcessor, tap: TappedBus
    ) -> None:
        refuse(tap.client, "PutEvents", "unlucky", {"ErrorCode": "InternalFailure"})
        event = sqs_event(order_placed("a"), order_placed("unlucky"), order_placed("c"))
        assert failed(handler(event, Context())) == ["m1"]

    def test_events_that_are_refused_for_a_while_fail_nobody(
        self, handler: PaymentsProcessor, tap: TappedBus
    ) -> None:
        refusal = {"ErrorCode": "ThrottlingException"}
        sizes = refuse(tap.client, "PutEvents", "unlucky", refusal, times=3)
        event = sqs_event(order_placed("a"), order_placed("unlucky"), order_placed("c"))
        assert failed(handler(event, Context())) == []
        assert sizes == [3, 1, 1, 1], "only what was refused is put again"


class TestCancel:
    def test_gives_the_money_back(
        self,
        handler: PaymentsProcessor,
        processor: Processor,
        dynamodb: DynamoDBClient,
        tap: TappedBus,
    ) -> None:
        handler(sqs_event(order_placed("a", 5)), Context())
        assert failed(handler(sqs_event(order_cancelled("a")), Context())) == []
        assert processor.charged == {}
        assert payments(dynamodb)["a"]["state"] == "refunded"
        refunded = {"order_id": "a", "amount": 5, "currency": "USD"}
        assert tap.take()[1:] == [("payment.refunded", refunded)]

    def test_that_overtakes_its_order_leaves_a_voided_payment(
        self,
        handler: PaymentsProcessor,
        processor: Processor,
        dynamodb: DynamoDBClient,
        tap: TappedBus,
    ) -> None:
        handler(sqs_event(order_cancelled("a")), Context())
        assert failed(handler(sqs_event(order_placed("a")), Context())) == []
        assert payments(dynamodb)["a"]["state"] == "voided"
        assert (processor.charged, processor.asked, tap.take()) == ({}, [], [])

    @pytest.mark.parametrize(
        "order", [(order_placed, order_cancelled), (order_cancelled, order_placed)]
    )
    def test_in_one_batch_with_its_order_in_either_order(
        self,
        handler: PaymentsProcessor,
        processor: Processor,
        order: Any,  # noqa: ANN401
    ) -> None:
        assert failed(handler(sqs_event(*(make("a") for make in order)), Context())) == []
        assert processor.charged == {}

    def test_meets_a_charge_that_arrives_after_it(
        self, handler: PaymentsProcessor, processor: Processor
    ) -> None:
        """The charge was on its way to the card processor; the late order takes it back."""
        handler(sqs_event(order_cancelled("a")), Context())
        processor.charged["a"] = Decimal(42)
        assert failed(handler(sqs_event(order_placed("a")), Context())) == []
        assert processor.charged == {}

    def test_asks_the_card_processor_though_nothing_is_on_record(
        self, handler: PaymentsProcessor, processor: Processor
    ) -> None:
        """A charge whose reply was lost has no record."""
        processor.charged["a"] = Decimal(42)
        assert failed(handler(sqs_event(order_cancelled("a")), Context())) == []
        assert (processor.charged, processor.refused) == ({}, {"a"})

    def test_is_told_as_a_refund_when_the_order_comes_again(
        self, handler: PaymentsProcessor, tap: TappedBus
    ) -> None:
        handler(sqs_event(order_placed("a", 5), order_cancelled("a")), Context())
        tap.take()
        handler(sqs_event(order_placed("a", 5), attempt=2), Context())
        assert types(tap.take()) == ["payment.refunded"]

    def test_of_a_declined_payment_changes_nothing(
        self,
        handler: PaymentsProcessor,
        processor: Processor,
        dynamodb: DynamoDBClient,
        tap: TappedBus,
    ) -> None:
        processor.declines = {"a"}
        handler(sqs_event(order_placed("a")), Context())
        tap.take()
        handler(sqs_event(order_cancelled("a")), Context())
        assert payments(dynamodb)["a"]["state"] == "declined"
        assert tap.take() == [], "the tracker would answer with a cancel, and so for ever"

    def test_that_fails_is_tried_again(
        self, handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
    ) -> None:
        handler(sqs_event(order_placed("a")), Context())
        processor.fails = {"a"}
        assert failed(handler(sqs_event(order_cancelled("a")), Context())) == ["m0"]
        assert payments(dynamodb)["a"]["state"] == "charged"
        processor.fails = set()
        assert failed(handler(sqs_event(order_cancelled("a"), attempt=2), Context())) == []
        assert payments(dynamodb)["a"]["state"] == "refunded"

    def test_while_the_charge_is_under_way_gives_the_money_back_at_once(
        self, handler: PaymentsProcessor, processor: Processor, dynamodb: DynamoDBClient
    ) -> None:
        """The cancel comes between the charge and its record."""

        def cancel(_: object) -> None:
            line(dynamodb).forget("BatchExecuteStatement")
            handler(sqs_event(order_cancelled("a")), Context())

        line(dynamodb).before("BatchExecuteStatement", cancel)
        assert failed(handler(sqs_event(order_placed("a")), Context())) == []
        assert processor.charged == {}
        assert payments(dynamodb)["a"]["state"] == "voided"

    def test_meets_a_charge_whose_reply_was_lost(
        self, handler: PaymentsProcessor, processor: Processor
    ) -> None:
        processor.loses_reply = {"a"}
        assert failed(handler(sqs_event(order_placed("a")), Context())) == ["m0"]
        assert failed(handler(sqs_event(order_cancelled("a")), Context())) == []
        assert failed(handler(sqs_event(order_placed("a"), attempt=2), Context())) == []
        assert processor.charged == {}


def test_that_most_charges_fail_is_told_once_and_their_messages_come_back_later(
    handler: PaymentsProcessor,
    processor: Processor,
    tap: TappedBus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[int] = []
    monkeypatch.setattr(
        type(handler.retry),
        "delay",
        lambda _self, _failed, least_seconds=0: delays.append(least_seconds),
    )
    ids = [f"order-{number}" for number in range(30)]
    processor.fails = set(ids)
    for start in (0, 10, 20):
        batch = [order_placed(order_id) for order_id in ids[start : start + 10]]
        assert len(failed(handler(sqs_event(*batch), Context()))) == 10
    assert tap.take() == [("payments.failing", {"tries": 20, "failed": 20})]
    assert delays == [0, 60, 60]


def test_each_outcome_is_counted(
    handler: PaymentsProcessor, processor: Processor, metered: Callable[[], dict[str, int]]
) -> None:
    processor.declines, processor.fails = {"b"}, {"d"}
    handler(sqs_event(*map(order_placed, "abcd")), Context())
    assert metered() == {"PaymentsCharged": 2, "PaymentsDeclined": 1, "PaymentsFailed": 1}
    handler(sqs_event(order_cancelled("a"), order_placed("c", amount=1)), Context())
    assert metered() == {"PaymentsRefunded": 1, "OrdersRefused": 1}


def test_every_message_is_reported_when_time_is_up(handler: PaymentsProcessor) -> None:
    event = sqs_event(order_placed("a"), order_placed("b"))
    assert failed(handler(event, Context(1000))) == ["m0", "m1"]


def test_what_is_behind_a_refused_write_is_told_all_the_same(
    handler: PaymentsProcessor, dynamodb: DynamoDBClient, tap: TappedBus
) -> None:
    def refuse_first(parsed: dict[str, Any]) -> None:
        parsed["Responses"][0]["Error"] = {"Code": "ValidationError"}

    line(dynamodb).after("BatchExecuteStatement", refuse_first)
    event = sqs_event(order_placed("a"), order_placed("b"))
    assert failed(handler(event, Context())) == ["m0"]
    assert [detail["order_id"] for _, detail in tap.take()] == ["b"]


def test_a_redelivery_writes_nothing(handler: PaymentsProcessor, dynamodb: DynamoDBClient) -> None:
    handler(sqs_event(order_placed("a")), Context())
    line(dynamodb).calls.clear()
    handler(sqs_event(order_placed("a"), attempt=2), Context())
    assert line(dynamodb).calls == ["BatchGetItem"]


@pytest.mark.parametrize("make", [order_placed, order_cancelled])
def test_half_of_the_tries_do_not_open_a_circuit(
    handler: PaymentsProcessor,
    processor: Processor,
    tap: TappedBus,
    make: Callable[[str], dict[str, Any]],
) -> None:
    processor.fails = {f"order-{number}" for number in range(0, 60, 2)}
    for start in range(0, 60, 10):
        batch = [make(f"order-{number}") for number in range(start, start + 10)]
        assert len(failed(handler(sqs_event(*batch), Context()))) == 5
    assert "payments.failing" not in types(tap.take())


def test_cards_that_are_declined_do_not_open_a_circuit(
    handler: PaymentsProcessor, processor: Processor, tap: TappedBus
) -> None:
    tries = Tries(least=2, failed_share=0.5, pause=timedelta(minutes=1))
    processor.declines = {"a", "b"}
    event = sqs_event(order_placed("a"), order_placed("b"))
    assert failed(replace(handler, tries=tries)(event, Context())) == []
    assert types(tap.take()) == ["payment.declined", "payment.declined"]


def test_a_refused_charge_fails_its_own_message_beside_a_notice(
    handler: PaymentsProcessor, processor: Processor, tap: TappedBus
) -> None:
    tries = Tries(least=2, failed_share=0.5, pause=timedelta(minutes=1))
    failing = replace(handler, tries=tries)
    processor.fails = {"a"}
    refuse(tap.client, "PutEvents", "b", {"ErrorCode": "NotAuthorizedForSourceException"})
    event = sqs_event(order_placed("a"), order_placed("b"))
    assert failed(failing(event, Context())) == ["m0", "m1"]
    assert types(tap.take()) == ["payment.charged", "payments.failing"]
