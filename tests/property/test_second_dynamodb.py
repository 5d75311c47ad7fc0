"""The stores on two implementations of DynamoDB: the same calls get the same answers.

The one is MiniStack's, which the simulation and the local cloud use; the other is moto's, which was
written by other people. Where they differ stands in docs/local-vs-aws.md.

moto reads no PartiQL statements with parameters. So each of ours is made there as the call that it
stands for in the DynamoDB developer guide, "PartiQL for DynamoDB": an INSERT is a PutItem that
fails with DuplicateItem where the key is taken; an UPDATE changes the item of its key, and fails
with ConditionalCheckFailed where the rest of its WHERE clause does not hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from msgspec.structs import replace

from orders.aws import patience, sdk
from orders.aws.items import UnreadableRecordError
from orders.aws.order_table import OrderExistsError, OrderTable
from orders.events import OrderLine, OrderPlaced
from orders.inventory.decisions import Reservation
from orders.inventory.moving import write
from orders.inventory.reservations import Reservations, Stock
from orders.order import Order, Repeats
from orders.payments.decisions import Payment
from orders.payments.ledger import Ledger
from simulation.template import tables
from support import aws
from support.lambdas import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT = "2026-08-18T09:30:00.123Z"
LATER = "2026-08-18T09:30:01.000Z"
IDS = ("a", "b", "c")
STOCK = {"mug": 5, "tea": 2}
TABLES = ("orders", "payments", "reservations", "stock")


@dataclass(frozen=True)
class Stores:
    """The stores over one implementation."""

    client: DynamoDBClient
    ledger: Ledger
    reservations: Reservations
    orders: OrderTable


Step = Callable[[Stores], Any]


def stores(client: DynamoDBClient) -> Stores:
    for sku, available in STOCK.items():
        item: dict[str, Any] = {"sku": {"S": sku}, "available": {"N": str(available)}}
        client.put_item(TableName="stock", Item=item)
    # What somebody else has damaged.
    client.put_item(TableName="stock", Item={"sku": {"S": "bare"}})
    client.put_item(TableName="payments", Item={"order_id": {"S": "odd"}, "state": {"N": "1"}})
    return Stores(
        client,
        Ledger(client, "payments"),
        Reservations(client, "reservations", "stock"),
        OrderTable(client, "orders"),
    )


@pytest.fixture(autouse=True, scope="module")
def no_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(patience, "sleep", lambda _seconds: None)
        yield


def on_both(steps: list[Step]) -> tuple[list[Any], list[Any]]:
    """What each implementation answers to the steps, and what its tables have then."""
    one = run(stores(aws.dynamodb()), steps)
    with mock_aws():
        moto: Any = botocore.session.get_session().create_client("dynamodb")
        for declared in tables():
            moto.create_table(**declared)
        speak_partiql(moto)
        client: Any = sdk.Client("dynamodb")
        client.botocore = moto
        return one, run(stores(client), steps)


def speak_partiql(client: DynamoDBClient) -> None:
    """Have the statements of BatchExecuteStatement made as the calls that they stand for."""

    def perform(params: dict[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        statements = json.loads(params["body"])["Statements"]
        answers = [execute(client, s["Statement"], s["Parameters"]) for s in statements]
        return AWSResponse("", 200, HTTPHeaders(), None), {"Responses": answers}

    events: Any = client.meta.events
    events.register("before-call.dynamodb.BatchExecuteStatement", perform)


def execute(client: DynamoDBClient, text: str, parameters: list[Any]) -> dict[str, Any]:
    """Make one statement; the answer is as in BatchExecuteStatement."""
    if insert := re.fullmatch(r"INSERT INTO \"(\w+)\" VALUE \{(.*)\}", text):
        item = dict(zip(re.findall(r"'(\w+)': \?", insert[2]), parameters, strict=True))
        return conditional(
            "DuplicateItem",
            lambda: client.put_item(
                TableName=insert[1],
                Item=item,
                ConditionExpression="attribute_not_exists(order_id)",
            ),
            client,
        )
    update = re.fullmatch(r'UPDATE "(\w+)" (.*) WHERE "(\w+)"=\? AND "(\w+)"=\?', text)
    assert update, f"the functions make no such statement: {text}"
    sets = re.findall(r'SET "(\w+)"=\?', update[2])
    removed = re.findall(r'REMOVE "(\w+)"', update[2])
    *values, key, expected = parameters
    changes = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
    removes = (" REMOVE " + ", ".join(f"#{name}" for name in removed)) if removed else ""
    return conditional(
        "ConditionalCheckFailed",
        lambda: client.update_item(
            TableName=update[1],
            Key={update[3]: key},
            UpdateExpression=changes + removes,
            ConditionExpression=f"#{update[4]} = :expected",
            ExpressionAttributeNames={f"#{n}": n for n in {*sets, *removed, update[4]}},
            ExpressionAttributeValues={
                **{f":{name}": value for name, value in zip(sets, values, strict=True)},
                ":expected": expected,
            },
        ),
        client,
    )


def conditional(code: str, call: Callable[[], object], client: DynamoDBClient) -> dict[str, Any]:
    try:
        call()
    except client.exceptions.ConditionalCheckFailedException:
        return {"Error": {"Code": code, "Message": ""}}
    return {}


def run(stores: Stores, steps: list[Step]) -> list[Any]:
    answers = [answer(step, stores) for step in steps]
    scans = {table: stores.client.scan(TableName=table)["Items"] for table in TABLES}
    return [*answers, {t: sorted(map(known, items), key=str) for t, items in scans.items()}]


def answer(step: Step, stores: Stores) -> Any:  # noqa: ANN401 - whatever a store answers
    try:
        return step(stores)
    except OrderExistsError as error:
        return ("exists", error.order)
    except UnreadableRecordError as error:
        return ("unreadable", str(error))


def known(value: Any) -> Any:  # noqa: ANN401 - any value of an item
    """A value whose equal is the same: DynamoDB gives a number's digits without zeros behind."""
    if isinstance(value, dict):
        if set(value) == {"N"}:
            return ("N", Decimal(value["N"]))
        return {name: known(value[name]) for name in sorted(value)}
    return [known(element) for element in value] if isinstance(value, list) else value


order_ids = st.sampled_from(IDS)
lines = st.sampled_from(
    [
        (),
        (OrderLine("mug", 2),),
        (OrderLine("mug", 3), OrderLine("tea", 1)),
        (OrderLine("tea", 2), OrderLine("mug", 1)),
        (OrderLine("nothing", 1),),
        (OrderLine("bare", 1),),
    ]
)


@st.composite
def payment_writes(draw: st.DrawFn) -> Step:
    """One write or several, each from a state that may or may not be on record."""
    changes: list[tuple[Payment | None, Payment]] = []
    for order_id in draw(st.lists(order_ids, min_size=1, unique=True)):
        now = Payment(
            order_id=order_id,
            state=draw(st.sampled_from(["charged", "declined", "refunded", "voided"])),
            at=AT,
            amount=draw(st.sampled_from([None, Decimal("0.1"), Decimal(9_999_999_999)])),
            attempt=draw(st.sampled_from([None, 1])),
        )
        before = draw(st.sampled_from([None, "charged", "voided"]))
        changes.append((replace(now, state=before) if before else None, now))
    return lambda stores: stores.ledger.write(changes, Context())


def levels(stores: Stores) -> Stock:
    """What there is of each SKU, as a batch reads it before it writes."""
    return stores.reservations.find([], list(STOCK), Context())[2]


@st.composite
def reservation_writes(draw: st.DrawFn) -> Step:
    changes: list[tuple[Reservation | None, Reservation]] = []
    for order_id in draw(st.lists(order_ids, min_size=1, unique=True)):
        reserved = Reservation(order_id=order_id, state="reserved", at=AT, lines=draw(lines))
        released = replace(reserved, state="released", at=LATER)
        voided = Reservation(order_id=order_id, state="voided", at=AT)
        changes.append(
            draw(st.sampled_from([(None, reserved), (reserved, released), (None, voided)]))
        )
    return lambda stores: write(stores.reservations, changes, levels(stores), Context())


@st.composite
def order_writes(draw: st.DrawFn) -> Step:
    order_id = draw(order_ids)
    ordered = OrderPlaced(order_id=order_id, amount=Decimal("12.5"), items=draw(lines))
    order = Order(
        order_id=order_id,
        placed_at=draw(st.sampled_from([AT, LATER])),
        status=draw(st.sampled_from(["placed", "confirmed", "cancelled"])),
        payment=draw(st.sampled_from([None, "charged"])),
        reason=draw(st.sampled_from([None, "no funds"])),
        ordered=draw(st.sampled_from([None, ordered])),
    )
    versions = [replace(order, version=version) for version in range(3)]
    writes: list[Step] = [
        lambda stores: stores.orders.create(order),
        *(partial(write_one, o) for o in versions),
        *(partial(note_one, order_id, count) for count in range(2)),
    ]
    return draw(st.sampled_from(writes))


def write_one(order: Order, stores: Stores) -> Any:  # noqa: ANN401
    return stores.orders.write([order], Context())


def note_one(order_id: str, count: int, stores: Stores) -> Any:  # noqa: ANN401
    return stores.orders.note_repeat(order_id, Repeats(count, AT), LATER)


READS: list[Step] = [
    lambda stores: stores.ledger.find([*IDS, "odd"], Context()),
    lambda stores: stores.reservations.find(IDS, list(STOCK), Context()),
    lambda stores: stores.orders.find(IDS, Context()),
    lambda stores: stores.orders.find_repeated(IDS, Context()),
    lambda stores: stores.orders.get("a"),
    lambda stores: stores.orders.count_unfinished(LATER),
    lambda stores: sorted(
        order_id for page in stores.orders.unfinished("2099") for order_id in page
    ),
]
steps = st.one_of(payment_writes(), reservation_writes(), order_writes(), st.sampled_from(READS))


# What fails takes minutes to be made smaller, and is short as it is.
@settings(max_examples=6, derandomize=True, phases=[Phase.generate])
@given(st.lists(steps, min_size=3, max_size=8))
def test_the_same_calls_get_the_same_answers(calls: list[Step]) -> None:
    one, other = on_both(calls + READS)
    assert one == other


def payment(state: Any, order_id: str = "a") -> Payment:  # noqa: ANN401 - a literal
    return Payment(order_id=order_id, state=state, at=AT)


def write_payments(*changes: tuple[Payment | None, Payment]) -> Step:
    return lambda stores: stores.ledger.write(changes, Context())


def write_reservations(*changes: tuple[Reservation | None, Reservation]) -> Step:
    return lambda stores: write(stores.reservations, changes, levels(stores), Context())


def write_order(**fields: Any) -> Step:  # noqa: ANN401 - those of an order
    order = Order(order_id="a", placed_at=AT, **fields)
    return lambda stores: stores.orders.write([order], Context())


def reservation(order_id: str, state: Any, **quantities: int) -> Reservation:  # noqa: ANN401
    wanted = tuple(OrderLine(sku, quantity) for sku, quantity in quantities.items())
    return Reservation(order_id=order_id, state=state, at=AT, lines=wanted)


def test_each_condition_holds_once_and_then_no_more() -> None:
    charged, refunded, voided = map(payment, ("charged", "refunded", "voided"))
    held = reservation("a", "reserved", mug=5, tea=1)
    freed = reservation("a", "released", mug=5, tea=1)
    create: Step = lambda stores: stores.orders.create(  # noqa: E731
        Order(order_id="b", placed_at=AT, ordered=OrderPlaced(order_id="b", amount=Decimal(1)))
    )
    note: Step = lambda stores: stores.orders.note_repeat("a", Repeats(), LATER)  # noqa: E731
    calls = [
        write_payments((charged, refunded)),
        write_payments((None, charged), (None, payment("voided", "b"))),
        write_payments((None, voided), (None, payment("declined", "c"))),
        write_payments((charged, refunded)),
        write_payments((charged, refunded)),
        write_reservations((None, held), (None, reservation("b", "reserved", mug=1))),
        write_reservations((None, held)),
        write_reservations((None, reservation("c", "reserved", tea=9, nothing=1, bare=1))),
        write_reservations((None, reservation("c", "reserved", tea=9, nothing=1))),
        write_reservations((held, freed)),
        write_reservations((held, freed), (None, reservation("d", "reserved", mug=5))),
        create,
        create,
        write_order(),
        write_order(),
        note,
        note,
        write_order(version=1, payment="charged"),
        write_order(version=1, payment="charged"),
        write_order(version=2, payment="charged", status="confirmed"),
        note,
        *READS,
    ]
    one, other = on_both(calls)
    assert one == other
    assert sum("wrote first" in str(answer) for answer in one) >= 8, "conditions did not hold"
