"""Stock that is set and added to, and the note of what was ever put in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from orderctl.pipeline.stock import Stock, StockError
from support import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def dynamodb() -> DynamoDBClient:
    """As orderctl has it: boto3's."""
    return aws.boto3_dynamodb()


@pytest.fixture
def stock(dynamodb: DynamoDBClient) -> Stock:
    outputs = {"StockTableName": "stock", "ReservationsTableName": "reservations"}
    return Stock(dynamodb, outputs, sleep=lambda _seconds: None)


def item(dynamodb: DynamoDBClient) -> dict[str, Any]:
    found = dynamodb.get_item(TableName="stock", Key={"sku": {"S": "mug"}})["Item"]
    return {name: next(iter(value.values())) for name, value in found.items() if name != "sku"}


def reserve(dynamodb: DynamoDBClient, quantity: int) -> None:
    """Take what an order takes: it is no longer available, and was put in all the same."""
    dynamodb.update_item(
        TableName="stock",
        Key={"sku": {"S": "mug"}},
        UpdateExpression="SET available = available - :n",
        ExpressionAttributeValues={":n": {"N": str(quantity)}},
    )


@contextmanager
def reserved_in_between(dynamodb: DynamoDBClient, times: int) -> Iterator[None]:
    """An order takes one between what is read and what is written, so many times."""
    left = [times]

    def order_first(**_: object) -> None:
        if left[0]:
            left[0] -= 1
            reserve(dynamodb, 1)

    dynamodb.meta.events.register("before-call.dynamodb.TransactWriteItems", order_first)
    yield
    dynamodb.meta.events.unregister("before-call.dynamodb.TransactWriteItems", order_first)


def test_what_is_put_in_is_noted_and_what_orders_take_is_not_taken_out(
    stock: Stock, dynamodb: DynamoDBClient
) -> None:
    assert stock.put("mug", 10) is None
    reserve(dynamodb, 4)
    assert stock.add("mug", 5) == 6
    assert item(dynamodb) == {"available": "11", "put_in": "15"}
    assert stock.add("mug", -1) == 11
    assert stock.put("mug", 2) == 10
    assert item(dynamodb) == {"available": "2", "put_in": "6"}
    assert stock.put("mug", 3, was=2) == 2
    assert item(dynamodb) == {"available": "3", "put_in": "7"}


def test_an_order_that_comes_in_between_is_counted(stock: Stock, dynamodb: DynamoDBClient) -> None:
    stock.put("mug", 10)
    with reserved_in_between(dynamodb, 2):
        assert stock.put("mug", 20) == 8
    assert item(dynamodb) == {"available": "20", "put_in": "22"}


def test_a_stock_that_never_stands_still_is_left_so(stock: Stock, dynamodb: DynamoDBClient) -> None:
    stock.put("mug", 1000)
    with reserved_in_between(dynamodb, 1000), pytest.raises(StockError, match="Use stock add"):
        stock.put("mug", 5)
    assert item(dynamodb)["put_in"] == "1000"


@pytest.mark.parametrize("available", [{"N": "3"}, {"S": "three"}])
def test_an_article_from_before_it_was_noted_stays_without(
    stock: Stock, dynamodb: DynamoDBClient, available: dict[str, str]
) -> None:
    row: Any = {"sku": {"S": "mug"}, "available": available}
    dynamodb.put_item(TableName="stock", Item=row)
    stock.put("mug", 8)
    assert stock.add("mug", 2) == 8
    assert item(dynamodb) == {"available": "10"}


def test_a_note_that_cannot_be_read_is_dropped(stock: Stock, dynamodb: DynamoDBClient) -> None:
    row: Any = {"sku": {"S": "mug"}, "available": {"N": "3"}, "put_in": {"S": "many"}}
    dynamodb.put_item(TableName="stock", Item=row)
    stock.put("mug", 8)
    assert item(dynamodb) == {"available": "8"}


def test_what_is_not_there_cannot_be_taken(stock: Stock, dynamodb: DynamoDBClient) -> None:
    with pytest.raises(StockError, match="There is no SKU mug"):
        stock.add("mug", 1)
    stock.put("mug", 2)
    with pytest.raises(StockError, match="There are 2 of mug, so 3 cannot be taken"):
        stock.add("mug", -3)
    with pytest.raises(StockError, match="There are 2 of mug, not 9"):
        stock.put("mug", 5, was=9)
    assert item(dynamodb) == {"available": "2", "put_in": "2"}


class TestShelves:
    def levels(self, stock: Stock) -> list[int | None]:
        return list(stock.shelves("mug").levels.values())

    def test_a_stock_is_put_on_shelves_in_equal_parts(
        self, stock: Stock, dynamodb: DynamoDBClient
    ) -> None:
        assert stock.put("mug", 11, shelves=4) is None
        assert self.levels(stock) == [3, 3, 3, 2]
        assert item(dynamodb) == {"available": "3", "put_in": "11", "shelves": "4"}
        assert stock.levels() == {"mug": 11}
        assert stock.put("mug", 8, was=11) == 11
        assert self.levels(stock) == [2, 2, 2, 2]
        assert stock.put("mug", 5, shelves=1) == 8
        assert item(dynamodb) == {"available": "5", "put_in": "5"}
        assert self.levels(stock) == [5]

    def test_what_is_added_is_divided_and_what_is_taken_away_comes_from_the_fullest(
        self, stock: Stock, dynamodb: DynamoDBClient
    ) -> None:
        stock.put("mug", 9, shelves=3)
        reserve(dynamodb, 2)
        assert stock.add("mug", 4) == 7
        assert self.levels(stock) == [3, 4, 4]
        assert stock.add("mug", -5) == 11
        assert self.levels(stock) == [3, 0, 3]
        assert item(dynamodb)["put_in"] == "8"
        with pytest.raises(StockError, match="There are 6 of mug, so 7 cannot be taken"):
            stock.add("mug", -7)

    def test_their_number_is_raised_and_lowered_and_nothing_is_lost(
        self, stock: Stock, dynamodb: DynamoDBClient
    ) -> None:
        stock.put("mug", 10)
        stock.set_shelves("mug", 3)
        assert self.levels(stock) == [4, 3, 3]
        with reserved_in_between(dynamodb, 1):
            stock.set_shelves("mug", 1)
        assert item(dynamodb) == {"available": "9", "put_in": "10", "shelves": "1"}
        assert self.levels(stock) == [9]

    def test_what_stands_on_a_lost_shelf_is_gathered(
        self, stock: Stock, dynamodb: DynamoDBClient
    ) -> None:
        stock.put("mug", 10, shelves=2)
        lost: Any = {"sku": {"S": "mug 7"}, "available": {"N": "4"}}
        dynamodb.put_item(TableName="stock", Item=lost)
        assert stock.levels() == {"mug": 14}
        stock.set_shelves("mug", 2)
        assert self.levels(stock) == [9, 5]

    def test_an_unknown_sku_has_none(self, stock: Stock) -> None:
        with pytest.raises(StockError, match="There is no SKU mug"):
            stock.set_shelves("mug", 3)
