"""What callers and publishers write, wherever they write it, is not logged and breaks nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from orders.aws.order_table import OrderTable
from orders.card_books import Booked
from orders.events import OrderPlaced
from orders.inventory.handler import InventoryProcessor
from orders.inventory.reservations import Reservations
from orders.notifications.handler import NotificationFailedError, Notifications
from orders.order_api.caller import Callers
from orders.order_api.handler import OrderApi
from orders.payments.handler import PaymentsProcessor
from orders.payments.ledger import Ledger
from orders.payments.provider import Charged, Declined, SimulatedCardProcessor
from orders.payments.tries import Tries
from orders.tracker.handler import OrderTracker
from support.lambdas import Context, event_of, failed, order_placed, sqs_event
from support.places import with_everywhere

if TYPE_CHECKING:
    from decimal import Decimal

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient

    from orders.aws.sqs import Retry
    from support.aws import TappedBus

CARD = "4111-1111-1111-1111#"
"""No order id has a `#`, but an SKU, a customer id, a charge id and a reason may."""
ADDRESS = "Elm Street 5, 12345 Springfield"
LONE_SURROGATE = "\ud800"

ITEMS = [{"sku": "mug", "quantity": 2}]
BODY = {"order_id": "a", "amount": 1.5, "currency": "EUR", "customer_id": "c", "items": ITEMS}
COMMANDS = [
    order_placed("a", 1.5, currency="EUR", customer_id="c", items=ITEMS),
    event_of("order.cancelled", "a", reason="r", placed_at="2026-08-18T09:30:00Z"),
]
OUTCOMES = [
    event_of("payment.charged", "a", amount=1, currency="USD", charge_id="ch"),
    event_of("payment.declined", "b", reason="r"),
    event_of("payment.refunded", "a", amount=1, currency="USD"),
    event_of("inventory.reserved", "a", items=ITEMS),
    event_of("inventory.rejected", "c", reason="r"),
    event_of("inventory.released", "a", items=ITEMS),
    event_of("order.cancel_requested", "d", reason="r"),
    event_of("order.cancelled", "e", reason="r"),
]
MILESTONES = [*COMMANDS, event_of("order.confirmed", "a", placed_at="2026-08-18T09:30:00Z")]

Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Everything that was written since the last time; there must be something."""

    def take() -> str:
        out, err = capsys.readouterr()
        assert out
        return out + err

    return take


def is_silent_about(text: str, output: str) -> bool:
    shown = json.dumps(text)[1:-1]
    return text not in output and shown not in output


def changed(documents: list[dict[str, Any]], text: str) -> Iterator[Any]:
    for document in documents:
        yield from with_everywhere(document, text)


def batches(documents: list[dict[str, Any]], text: str) -> Iterator[dict[str, Any]]:
    """The changed documents, ten a batch, each about an order of its own if it still names one."""
    bodies = [
        json.dumps(document).replace('"order_id": "a"', f'"order_id": "a{number}"')
        for number, document in enumerate(changed(documents, text))
    ]
    for start in range(0, len(bodies), 10):
        yield sqs_event(*bodies[start : start + 10])


class CardProcessor:
    """Answers with texts of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        return Declined(self.text) if idempotency_key == "declined" else Charged(self.text)

    def cancel(self, idempotency_key: str) -> None:
        pass

    def find(self, idempotency_key: str) -> Booked:
        return Booked()


@pytest.fixture
def api(dynamodb: DynamoDBClient, tap: TappedBus) -> OrderApi:
    return OrderApi(OrderTable(dynamodb, "orders"), tap.bus)


@pytest.fixture
def payments(
    dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry, tries: Tries
) -> PaymentsProcessor:
    ledger = Ledger(dynamodb, "payments")
    return PaymentsProcessor(ledger, SimulatedCardProcessor(0, 0), tap.bus, retry, tries)


@pytest.fixture
def inventory(dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry) -> InventoryProcessor:
    return InventoryProcessor(Reservations(dynamodb, "reservations", "stock"), tap.bus, retry)


@pytest.fixture
def tracker(dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry) -> OrderTracker:
    return OrderTracker(OrderTable(dynamodb, "orders"), tap.bus, retry)


@pytest.mark.parametrize("text", [CARD, ADDRESS, LONE_SURROGATE], ids=["card", "address", "lone"])
class TestInEveryPlace:
    def test_of_a_body(self, api: OrderApi, said: Said, text: str) -> None:
        bodies = [json.dumps(changed) for changed in with_everywhere(BODY, text)]
        named = json.dumps(text)
        bodies += [
            text,
            f"{{{named}:1,{named}:2}}",
            f'{{"amount":1,{named}}}',
            f'{{"amount":1,"items":[{{{named}:1,{named}:2}}]}}',
            f'{{"amount":{named}',
            json.dumps({"amount": 1, "items": [{"sku": text, "quantity": 1}] * 2}),
        ]
        for body in bodies:
            event: dict[str, Any] = {"httpMethod": "POST", "body": body}
            assert api(event, Context())["statusCode"] in (202, 400, 409)
            encoded = base64.b64encode(body.encode(errors="surrogatepass")).decode()
            for sent in (encoded, body):
                event = {"httpMethod": "POST", "body": sent, "isBase64Encoded": True}
                assert api(event, Context())["statusCode"] in (202, 400, 409)
        assert is_silent_about(text, said())

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_of_a_path(self, api: OrderApi, said: Said, method: str, text: str) -> None:
        event = {"httpMethod": method, "pathParameters": {"order_id": text}, "body": text}
        answer = api(event, Context())
        assert answer["statusCode"] == 404
        assert answer["body"].encode()
        for context in ({}, {"authorizer": {"claims": {"sub": f"\n{text}"}}}):
            refused = replace(api, callers=Callers("JWT"))
            event = {**event, "requestContext": context}
            assert refused(event, Context())["statusCode"] == 403
        assert is_silent_about(text, said())

    def test_of_a_command_to_payments(
        self, payments: PaymentsProcessor, said: Said, text: str
    ) -> None:
        for event in batches(COMMANDS, text):
            payments(event, Context())
        assert is_silent_about(text, said())

    def test_of_a_command_to_inventory(
        self, inventory: InventoryProcessor, said: Said, text: str
    ) -> None:
        for event in batches(COMMANDS, text):
            inventory(event, Context())
        assert is_silent_about(text, said())

    def test_of_an_outcome(self, tracker: OrderTracker, said: Said, text: str) -> None:
        for event in batches(OUTCOMES, text):
            tracker(event, Context())
        assert is_silent_about(text, said())

    def test_of_a_milestone(
        self, dynamodb: DynamoDBClient, sns: SNSClient, said: Said, text: str
    ) -> None:
        notifications = Notifications(OrderTable(dynamodb, "orders"), sns, "topic")
        for event in changed(MILESTONES, text):
            if not isinstance(event, dict):
                continue  # EventBridge hands over objects
            try:
                notifications(event, Context())
            except NotificationFailedError as error:
                assert is_silent_about(text, str(error))
        assert is_silent_about(text, said())

    def test_of_a_card_processors_answer(
        self, payments: PaymentsProcessor, tap: TappedBus, tracker: OrderTracker, text: str
    ) -> None:
        payments = replace(payments, processor=CardProcessor(text * 5000))
        event = sqs_event(order_placed("charged"), order_placed("declined"))
        assert failed(payments(event, Context())) == []
        outcomes = [{**event_of(name), "detail": detail} for name, detail in tap.take()]
        assert len(outcomes) == 2
        assert failed(tracker(sqs_event(*outcomes), Context())) == []


def test_the_log_names_the_field_and_the_rule(
    api: OrderApi, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    body = {"amount": CARD, "items": [{"sku": ADDRESS, "quantity": 1}], CARD: 1, ADDRESS: 2}
    api({"httpMethod": "POST", "body": json.dumps(body)}, Context())
    assert logged()[-1]["reason"] == (
        "amount: must be a number from 0 to 9,999,999,999.99 with at most 2 decimals; "
        "unknown field: is not a known field; known: "
        f"{', '.join(OrderPlaced.__struct_fields__)}; "
        "items[0].sku: must be 1 to 64 printable ASCII characters without spaces"
    )


def test_the_caller_is_shown_what_was_sent(api: OrderApi) -> None:
    body = json.dumps({"amount": ADDRESS, CARD: 1})
    answer = api({"httpMethod": "POST", "body": body}, Context())
    (amount, unknown) = json.loads(answer["body"])["errors"]
    assert amount["detail"].endswith(f'; got "{ADDRESS}"')
    assert unknown["field"] == CARD
