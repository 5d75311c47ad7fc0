"""The tables as an audit reads them, and what it notes of itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from orders.audit.decisions import Books, Order, Payment, Reservation, StockLevel, Unreadable
from orders.audit.legs import Leg, Run
from orders.audit.progress import Progress
from orders.audit.tables import RECORDS, TableNames, Tables
from orders.aws.errors import AwsError
from orders.aws.items import to_item
from support import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT = "2026-11-24T10:00:00.000Z"
NAMES = TableNames("orders", "payments", "reservations", "stock")


@pytest.fixture
def tables(dynamodb: DynamoDBClient) -> Tables:
    return Tables(dynamodb, NAMES)


def put(client: DynamoDBClient, table: str, **values: object) -> None:
    client.put_item(TableName=table, Item=to_item(values))


def asked(client: DynamoDBClient, operation: str) -> list[dict[str, Any]]:
    """The calls of an operation, filled as they are made."""
    calls: list[dict[str, Any]] = []
    aws.line(client).before(operation, calls.append)
    return calls


def test_each_record_has_its_table() -> None:
    of = [NAMES.of(record) for record in ("order", "payment", "reservation")]
    assert of == ["orders", "payments", "reservations"]


def test_orders_are_read_with_all_their_records(dynamodb: DynamoDBClient, tables: Tables) -> None:
    put(dynamodb, "orders", order_id="a", placed_at=AT)
    put(dynamodb, "payments", order_id="a", state="voided", at=AT)
    put(dynamodb, "reservations", order_id="a", state="voided", at=AT)
    put(dynamodb, "payments", order_id="b", state="lost", at=AT)
    calls = asked(dynamodb, "BatchGetItem")
    found = tables.read(["a", "b", "c"])
    assert found["a"] == Books(
        "a",
        Order(order_id="a", placed_at=AT),
        Payment(order_id="a", state="voided", at=AT),
        Reservation(order_id="a", state="voided", at=AT),
    )
    assert isinstance(found["b"].payment, Unreadable)
    assert found["b"].payment.table == "payments"
    assert found["c"] == Books("c")
    ((call),) = calls
    assert {name: asked["ConsistentRead"] for name, asked in call["RequestItems"].items()} == {
        "orders": True,
        "payments": True,
        "reservations": True,
    }


def test_some_records_can_be_read_at_half_the_price(
    dynamodb: DynamoDBClient, tables: Tables
) -> None:
    put(dynamodb, "orders", order_id="a", placed_at=AT)
    put(dynamodb, "payments", order_id="a", state="voided", at=AT)
    calls = asked(dynamodb, "BatchGetItem")
    found = tables.read(["a"], ("payment",), is_consistent=False)
    assert (found["a"].order, found["a"].payment is None) == (None, False)
    assert [call["RequestItems"]["payments"]["ConsistentRead"] for call in calls] == [False]


@pytest.mark.parametrize(
    ("records", "orders", "sizes"),
    [
        (RECORDS, 0, []),
        (RECORDS, 33, [33]),
        (RECORDS, 34, [33, 1]),
        (("order",), 100, [100]),
        (("order",), 101, [100, 1]),
    ],
)
def test_a_call_reads_no_more_than_dynamodb_takes(
    dynamodb: DynamoDBClient,
    tables: Tables,
    records: tuple[str, ...],
    orders: int,
    sizes: list[int],
) -> None:
    """It takes a hundred keys, of all tables together."""
    calls = asked(dynamodb, "BatchGetItem")
    found = tables.read([f"o{number}" for number in range(orders)], records)
    assert len(found) == orders
    assert [len(call["RequestItems"]["orders"]["Keys"]) for call in calls] == sizes


def test_what_is_left_out_is_asked_for_after_a_second(
    dynamodb: DynamoDBClient, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    put(dynamodb, "orders", order_id="a", placed_at=AT)
    calls = asked(dynamodb, "BatchGetItem")

    def leave_out(parsed: dict[str, Any]) -> None:
        if len(calls) == 1:
            parsed["Responses"]["orders"] = []
            parsed["UnprocessedKeys"] = {"orders": {"Keys": [{"order_id": {"S": "a"}}]}}

    aws.line(dynamodb).after("BatchGetItem", leave_out)
    assert isinstance(tables.read(["a"])["a"].order, Order)
    assert (len(calls), slept) == (2, [1.0])


def test_what_is_read_is_counted(dynamodb: DynamoDBClient, tables: Tables) -> None:
    def consume_scanned(parsed: dict[str, Any]) -> None:
        parsed["ConsumedCapacity"] = {"CapacityUnits": 2.5}

    def consume(parsed: dict[str, Any]) -> None:
        parsed["ConsumedCapacity"] = [{"CapacityUnits": 1.5}, {"CapacityUnits": 1.0}, {}]

    calls = asked(dynamodb, "Scan") + asked(dynamodb, "BatchGetItem")
    aws.line(dynamodb).before("Scan", calls.append)
    aws.line(dynamodb).before("BatchGetItem", calls.append)
    aws.line(dynamodb).after("Scan", consume_scanned)
    aws.line(dynamodb).after("BatchGetItem", consume)
    assert tables.read_units == 0
    tables.page("orders", None)
    tables.page("orders", None)
    tables.read(["a"])
    assert tables.read_units == 7.5
    assert {call["ReturnConsumedCapacity"] for call in calls} == {"TOTAL"}

    def say_nothing(parsed: dict[str, Any]) -> None:
        parsed.pop("ConsumedCapacity", None)

    aws.line(dynamodb).after("Scan", say_nothing)
    aws.line(dynamodb).after("BatchGetItem", say_nothing)
    tables.page("orders", None)
    tables.read(["a"])
    assert tables.read_units == 7.5


def test_the_stock_of_all_pages_is_added_up(
    dynamodb: DynamoDBClient, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, available in (("mug", 1), ("mug 1", 2), ("cap", 4)):
        shelves = {"shelves": 2} if key == "mug" else {}
        put(dynamodb, "stock", sku=key, available=available, **shelves)
    page, consistent = Tables.page, []

    def small(self: Tables, table: str, start: Any, **parameters: Any) -> Any:  # noqa: ANN401
        consistent.append(parameters["ConsistentRead"])
        return page(self, table, start, Limit=1, **parameters)

    monkeypatch.setattr(Tables, "page", small)
    assert tables.stock() == {
        "mug": StockLevel(sku="mug", available=Decimal(3), shelves=2),
        "cap": StockLevel(sku="cap", available=Decimal(4)),
    }
    assert len(consistent) >= 3
    assert all(consistent)


class TestProgress:
    """An audit that is on, and its legs."""

    @pytest.fixture
    def progress(self, dynamodb: DynamoDBClient) -> Progress:
        return Progress(dynamodb, "audit")

    def test_the_last_one_is_where_every_version_looks_for_it(
        self, progress: Progress, dynamodb: DynamoDBClient
    ) -> None:
        progress.begin(Run(began_at="1"))
        key = {"run": {"S": "last"}, "leg": {"S": "-"}}
        item = dynamodb.get_item(TableName="audit", Key=key)["Item"]
        assert item["began_at"] == {"S": "1"}

    def test_one_audit_is_on_at_a_time(self, progress: Progress) -> None:
        assert progress.last_run() is None
        first, second = Run(began_at="1"), Run(began_at="2", findings=3)
        assert progress.begin(first)
        assert not progress.begin(second)
        assert progress.last_run() == first
        ended = Run(began_at="1", ended_at="later", findings=2)
        assert not progress.end(Run(began_at="2", ended_at="later"))
        assert progress.end(ended)
        assert not progress.end(ended), "somebody has"
        assert progress.last_run() == ended
        assert progress.begin(second)
        assert progress.last_run() == second

    def test_a_leg_is_written_once_and_kept_for_some_weeks(
        self, progress: Progress, dynamodb: DynamoDBClient
    ) -> None:
        now = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
        leg = Leg(run="1", leg="stock-0/0/000000", suspects={"a"}, read=1)
        assert progress.add(leg, now)
        assert not progress.add(Leg(run="1", leg=leg.leg, read=9), now)
        assert progress.add(Leg(run="2", leg=leg.leg), now)
        assert progress.legs("1") == [leg]
        key = {"run": {"S": "1"}, "leg": {"S": leg.leg}}
        item = dynamodb.get_item(TableName="audit", Key=key)["Item"]
        expected = datetime(2026, 12, 24, 10, 0, tzinfo=UTC).timestamp()
        assert item["expires_at"] == {"N": str(int(expected))}

    def test_the_legs_of_all_pages_come_in_their_order(
        self, progress: Progress, dynamodb: DynamoDBClient
    ) -> None:
        now = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
        for number in (2, 0, 1):
            progress.add(Leg(run="1", leg=f"stock-0/0/{number:06}"), now)
        calls: list[bool] = []

        def one_a_page(answer: dict[str, Any]) -> None:
            first, *rest = answer["Items"]
            if rest:
                answer["Items"] = [first]
                answer["LastEvaluatedKey"] = {name: first[name] for name in ("run", "leg")}

        aws.line(dynamodb).before("Query", lambda query: calls.append(query["ConsistentRead"]))
        aws.line(dynamodb).after("Query", one_a_page)
        assert [leg.leg[-1] for leg in progress.legs("1")] == ["0", "1", "2"]
        assert len(calls) >= 3
        assert all(calls)

    def test_what_is_refused_for_another_reason_is_an_error(
        self, progress: Progress, dynamodb: DynamoDBClient
    ) -> None:
        def refuse(_: object) -> None:
            raise aws.Refused("AccessDeniedException")

        aws.line(dynamodb).before("PutItem", refuse)
        with pytest.raises(AwsError, match="AccessDeniedException"):
            progress.begin(Run(began_at="1"))
