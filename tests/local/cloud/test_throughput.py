"""A table that says how many writes it takes a second takes no more."""

from collections.abc import Iterator
from typing import Any

import pytest

from .account import Account

TABLE = "slow"
COUNT = 8


@pytest.fixture
def table(account: Account) -> Iterator[Any]:
    """A client of DynamoDB, with a table that takes one write a second."""
    client = account.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        OnDemandThroughput={"MaxWriteRequestUnits": 1},
    )
    yield client
    client.delete_table(TableName=TABLE)


def items(table: Any) -> int:  # noqa: ANN401
    return len(table.scan(TableName=TABLE)["Items"])


def insert_many(table: Any) -> list[str | None]:  # noqa: ANN401
    """The error of each of many statements in one call."""
    answer = table.batch_execute_statement(
        Statements=[
            {"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'id': ?}}", "Parameters": [{"S": id_}]}
            for id_ in map(str, range(COUNT))
        ]
    )
    return [response.get("Error", {}).get("Code") for response in answer["Responses"]]


def test_of_a_batch_some_are_written_and_the_others_throttled(table: Any) -> None:  # noqa: ANN401
    codes = insert_many(table)
    assert set(codes) == {None, "ThrottlingError"}
    assert items(table) == codes.count(None)


def test_a_transaction_that_is_too_much_is_cancelled(table: Any) -> None:  # noqa: ANN401
    put = [{"Put": {"TableName": TABLE, "Item": {"id": {"S": str(n)}}}} for n in range(COUNT)]
    with pytest.raises(table.exceptions.TransactionCanceledException) as raised:
        table.transact_write_items(TransactItems=put)
    codes = [reason["Code"] for reason in raised.value.response["CancellationReasons"]]
    assert "ThrottlingError" in codes
    assert set(codes) <= {"None", "ThrottlingError"}
    assert items(table) == 0


def test_without_a_limit_all_are_written(table: Any) -> None:  # noqa: ANN401
    table.update_table(TableName=TABLE, OnDemandThroughput={"MaxWriteRequestUnits": -1})
    assert insert_many(table) == [None] * COUNT
    assert items(table) == COUNT
