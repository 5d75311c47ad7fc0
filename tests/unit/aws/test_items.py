"""Items as they have always been written are read; what cannot be read fails its message alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from orders.aws.items import Item, UnreadableRecordError, from_item, to_item, values_of
from orders.aws.order_table import OrderTable
from orders.events import OrderLine, OrderPlaced
from orders.inventory.decisions import Reservation
from orders.inventory.handler import InventoryProcessor
from orders.inventory.reservations import Reservations
from orders.order import Order, Step
from orders.order_api.handler import OrderApi
from orders.payments.decisions import Payment
from orders.payments.handler import PaymentsProcessor
from orders.payments.ledger import Ledger
from orders.payments.provider import SimulatedCardProcessor
from orders.payments.tries import Tries
from orders.tracker.handler import OrderTracker
from support.lambdas import Context, event_of, failed, order_cancelled, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.sqs import Retry
    from support.aws import TappedBus

LINES = (OrderLine("mug", 2), OrderLine("tea", 1))
LINES_ATTRIBUTE = {
    "L": [
        {"M": {"sku": {"S": "mug"}, "quantity": {"N": "2"}}},
        {"M": {"sku": {"S": "tea"}, "quantity": {"N": "1"}}},
    ]
}
AT = "2026-08-18T09:30:00.123Z"

PAYMENTS: list[tuple[Payment, Item]] = [
    (
        Payment(
            order_id="a",
            state="charged",
            at=AT,
            amount=Decimal("12.50"),
            currency="EUR",
            charge_id="ch_1",
            attempt=2,
        ),
        {
            "order_id": {"S": "a"},
            "state": {"S": "charged"},
            "at": {"S": AT},
            "amount": {"N": "12.50"},
            "currency": {"S": "EUR"},
            "charge_id": {"S": "ch_1"},
            "attempt": {"N": "2"},
        },
    ),
    (
        Payment(order_id="a", state="voided", at=AT),
        {"order_id": {"S": "a"}, "state": {"S": "voided"}, "at": {"S": AT}},
    ),
]
RESERVATIONS: list[tuple[Reservation, Item]] = [
    (
        Reservation(order_id="a", state="rejected", at=AT, lines=LINES, reason="unknown SKU tea"),
        {
            "order_id": {"S": "a"},
            "state": {"S": "rejected"},
            "lines": LINES_ATTRIBUTE,
            "reason": {"S": "unknown SKU tea"},
            "at": {"S": AT},
        },
    ),
    (
        Reservation(order_id="a", state="voided", at=AT),
        {"order_id": {"S": "a"}, "state": {"S": "voided"}, "lines": {"L": []}, "at": {"S": AT}},
    ),
]
ORDER_ITEM: Item = {
    "order_id": {"S": "a"},
    "placed_at": {"S": AT},
    "status": {"S": "cancelled"},
    "payment": {"S": "charged"},
    "reason": {"S": "changed my mind"},
    "unfinished": {"S": "7"},
    "history": {
        "L": [
            {"M": {"type": {"S": "order.placed"}, "at": {"S": AT}}},
            {
                "M": {
                    "type": {"S": "order.cancelled"},
                    "at": {"S": AT},
                    "reason": {"S": "changed my mind"},
                }
            },
        ]
    },
    "version": {"N": "2"},
    "amount": {"N": "12.50"},
    "currency": {"S": "EUR"},
    "items": LINES_ATTRIBUTE,
    "customer_id": {"S": "Zoë"},
}
ORDER = Order(
    order_id="a",
    placed_at=AT,
    status="cancelled",
    payment="charged",
    reason="changed my mind",
    history=(Step("order.placed", AT), Step("order.cancelled", AT, "changed my mind")),
    ordered=OrderPlaced(
        order_id="a", amount=Decimal("12.50"), currency="EUR", customer_id="Zoë", items=LINES
    ),
    version=2,
)

Odd = dict[str, Any]


@pytest.mark.parametrize(("record", "item"), [*PAYMENTS, *RESERVATIONS])
def test_a_record_is_the_item_it_always_was(record: Payment | Reservation, item: Item) -> None:
    assert to_item(record) == item
    assert from_item(item, type(record)) == record


def test_an_order_is_the_item_it_always_was(dynamodb: DynamoDBClient) -> None:
    table = OrderTable(dynamodb, "orders")
    dynamodb.put_item(TableName="orders", Item=ORDER_ITEM)
    assert table.get("a") == ORDER
    again = msgspec.structs.replace(ORDER, version=1)
    dynamodb.delete_item(TableName="orders", Key={"order_id": {"S": "a"}})
    table.create(again)
    written = dynamodb.get_item(TableName="orders", Key={"order_id": {"S": "a"}})["Item"]
    assert written["amount"] in ({"N": "12.50"}, {"N": "12.5"})
    # Its shard is that of its id.
    same = [name for name in ORDER_ITEM if name not in ("amount", "unfinished")]
    assert {name: written[name] for name in same} == {name: ORDER_ITEM[name] for name in same}
    assert "unfinished" in written


def test_no_field_of_an_order_has_the_name_of_one_of_its_record() -> None:
    """They stand side by side in an item, and in the answer of the API."""
    ordered = set(OrderPlaced.__struct_fields__) - {"order_id"}
    assert not ordered & {*Order.__struct_fields__, "unfinished"}


def test_attributes_that_nobody_knows_are_ignored() -> None:
    (payment, item), *_ = PAYMENTS
    odd: Odd = {"x": {"SS": ["a"]}, "y": {"B": b"\x00"}, "z": {"M": {"a": {"NULL": True}}}}
    assert from_item({**item, **odd}, Payment) == payment


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"state": {"S": "4111 1111"}}, "Unknown value - at `$.state`"),
        ({"at": {"N": "5"}}, "Expected `str`, got `int` - at `$.at`"),
        ({"attempt": {"N": "1.5"}}, "Expected `int | null`, got `decimal` - at `$.attempt`"),
        ({"amount": {"L": []}}, "Expected `decimal | null`, got `array` - at `$.amount`"),
        ({"state": None}, "Object missing required field `state`"),
    ],
)
def test_an_odd_attribute_is_named_and_its_value_is_not(odd: Odd, said: str) -> None:
    item = {name: value for name, value in {**PAYMENTS[0][1], **odd}.items() if value}
    with pytest.raises(UnreadableRecordError) as caught:
        from_item(item, Payment)
    assert str(caught.value) == said


class TestAnUnreadableRecord:
    """It fails its own message, and the rest of the batch is done."""

    @pytest.fixture
    def reasons(self, logged: Callable[[], list[dict[str, Any]]]) -> Callable[[], list[str]]:
        return lambda: [line["reason"] for line in logged() if "reason" in line]

    def test_of_payments(
        self,
        dynamodb: DynamoDBClient,
        tap: TappedBus,
        retry: Retry,
        tries: Tries,
        reasons: Callable[[], list[str]],
    ) -> None:
        ledger, card_processor = Ledger(dynamodb, "payments"), SimulatedCardProcessor(0, 0)
        processor = PaymentsProcessor(ledger, card_processor, tap.bus, retry, tries)
        dynamodb.put_item(TableName="payments", Item={"order_id": {"S": "odd"}})
        event = sqs_event(order_cancelled("odd"), order_cancelled("a"))
        assert failed(processor(event, Context())) == ["m0"]
        assert reasons()[0] == (
            "its record in payments cannot be read: Object missing required field `state`"
        )

    def test_of_inventory(self, dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry) -> None:
        reservations = Reservations(dynamodb, "reservations", "stock")
        item = {**RESERVATIONS[0][1], "lines": {"S": "none"}}
        dynamodb.put_item(TableName="reservations", Item=item)
        event = sqs_event(order_cancelled("a"), order_cancelled("b"))
        assert failed(InventoryProcessor(reservations, tap.bus, retry)(event, Context())) == ["m0"]

    def test_of_the_tracker(self, dynamodb: DynamoDBClient, tap: TappedBus, retry: Retry) -> None:
        item = {**ORDER_ITEM, "version": {"S": "two"}}
        dynamodb.put_item(TableName="orders", Item=item)
        released = [event_of("inventory.released", order_id) for order_id in "aab"]
        tracker = OrderTracker(OrderTable(dynamodb, "orders"), tap.bus, retry)
        assert failed(tracker(sqs_event(*released), Context())) == ["m0", "m1"]

    def test_of_the_api(self, dynamodb: DynamoDBClient, tap: TappedBus) -> None:
        item = {**ORDER_ITEM, "status": {"S": "lost"}}
        dynamodb.put_item(TableName="orders", Item=item)
        api = OrderApi(OrderTable(dynamodb, "orders"), tap.bus)
        requests: list[dict[str, Any]] = [
            {"httpMethod": "POST", "body": json.dumps({"order_id": "a", "amount": 1})},
            {"httpMethod": "GET", "pathParameters": {"order_id": "a"}},
        ]
        for request in requests:
            assert api(request, Context())["statusCode"] == 503


class Flags(msgspec.Struct):
    """A record of what no table of ours has yet."""

    on: bool = True
    sizes: list[int] = []


def test_every_value_has_its_attribute() -> None:
    flags = Flags(on=False, sizes=[1, 2])
    item = {"on": {"BOOL": False}, "sizes": {"L": [{"N": "1"}, {"N": "2"}]}}
    assert to_item(flags) == item
    assert from_item(item, Flags) == flags


def test_an_attribute_that_is_null_is_not_there() -> None:
    assert values_of({"a": {"NULL": True}, "b": {"BOOL": True}, "c": {}}) == {
        "a": None,
        "b": True,
        "c": None,
    }


@pytest.mark.parametrize(
    "item",
    [
        {"order_id": {"S": "a"}, "amount": {"N": "one"}},
        {"order_id": {"S": "\ud800"}, "amount": {"N": "1"}},
        {"order_id": {"S": "a"}, "amount": {"S": "\ud800"}},
    ],
)
def test_a_value_that_is_none_is_unreadable(item: Item) -> None:
    with pytest.raises(UnreadableRecordError):
        from_item(item, OrderPlaced)


def test_what_is_read_of_an_item_alone_is_unreadable_too() -> None:
    with pytest.raises(UnreadableRecordError):
        values_of({"amount": {"N": "one"}})
