"""What meets a transaction that is under way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .account import Account, Server, wait_for

HELD_MS = "3000"
TABLE = "things"


@pytest.fixture
def slow() -> Iterator[Account]:
    """An account in which transactions take long."""
    server = Server("--transaction-ms", HELD_MS)
    yield Account(server)
    server.stop()


@pytest.fixture
def table(slow: Account) -> Any:  # noqa: ANN401
    """A client of DynamoDB there, with a table of two items."""
    client = slow.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for name in ("held", "free"):
        client.put_item(TableName=TABLE, Item=item(name, 1))
    return client


def counted(account: Account, metric: str, statistic: str, **more: str) -> float:
    """What CloudWatch has of a metric of the table."""
    now = datetime.now(UTC)
    points = account.cloudwatch.get_metric_statistics(
        Namespace="AWS/DynamoDB",
        MetricName=metric,
        Dimensions=[{"Name": n, "Value": v} for n, v in {"TableName": TABLE, **more}.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=[statistic],  # type: ignore[list-item]
    )["Datapoints"]
    return sum(point[statistic] for point in points)  # type: ignore[literal-required]


def item(name: str, count: int) -> dict[str, Any]:
    return {"id": {"S": name}, "count": {"N": str(count)}}


def update(name: str, *, least: int = 0) -> dict[str, Any]:
    """Add one, if the count is at least so much."""
    return {
        "TableName": TABLE,
        "Key": {"id": {"S": name}},
        "UpdateExpression": "SET #c = #c + :one",
        "ConditionExpression": "#c >= :least",
        "ExpressionAttributeNames": {"#c": "count"},
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":least": {"N": str(least)}},
    }


def count(table: Any, name: str) -> str:  # noqa: ANN401
    found = table.get_item(TableName=TABLE, Key={"id": {"S": name}}, ConsistentRead=True)
    return str(found["Item"]["count"]["N"])


def test_what_meets_a_transaction_is_refused_and_the_rest_is_done(
    slow: Account,
    table: Any,  # noqa: ANN401
) -> None:
    def meets(call: str, **arguments: object) -> dict[str, Any] | None:
        """The refusal of a call that meets the transaction."""
        try:
            getattr(table, call)(**arguments)
        except ClientError as refusal:
            return dict(refusal.response)
        return None

    first = {"TransactItems": [{"Update": update("held")}], "ClientRequestToken": "first"}
    with ThreadPoolExecutor(1) as others:
        under_way = others.submit(table.transact_write_items, **first)
        conflict = wait_for(lambda: meets("put_item", TableName=TABLE, Item=item("held", 1)))
        assert conflict["Error"]["Code"] == "TransactionConflictException"
        for call, arguments in (
            ("update_item", update("held")),
            ("delete_item", {"TableName": TABLE, "Key": {"id": {"S": "held"}}}),
            (
                "execute_statement",
                {"Statement": 'DELETE FROM "things" WHERE "id"=\'held\''},
            ),
        ):
            refusal = meets(call, **arguments)
            assert refusal
            assert refusal["Error"]["Code"] == "TransactionConflictException"

        again = meets("transact_write_items", **first)
        assert again
        assert again["Error"]["Code"] == "TransactionInProgressException"

        asked = update("free", least=5) | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        put = {"TableName": TABLE, "Item": item("new", 1)}
        second = meets(
            "transact_write_items",
            TransactItems=[{"Update": update("held")}, {"Update": asked}, {"Put": put}],
        )
        assert second
        assert second["Error"]["Code"] == "TransactionCanceledException"
        assert second["CancellationReasons"] == [
            {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"},
            {
                "Code": "ConditionalCheckFailed",
                "Message": "The conditional request failed",
                "Item": item("free", 1),
            },
            {"Code": "None"},
        ]

        read = {"Get": {"TableName": TABLE, "Key": {"id": {"S": "held"}}}}
        cancelled = meets("transact_get_items", TransactItems=[read])
        assert cancelled
        assert cancelled["CancellationReasons"][0]["Code"] == "TransactionConflict"

        statement = 'UPDATE "things" SET "count"=? WHERE "id"=?'
        batch = table.batch_execute_statement(
            Statements=[
                {"Statement": statement, "Parameters": [{"N": "9"}, {"S": name}]}
                for name in ("held", "free")
            ]
        )["Responses"]
        assert batch[0]["Error"]["Code"] == "TransactionConflict"
        assert "Error" not in batch[1]

        assert count(table, "held") == "1", "reads go on"
        assert not under_way.done()
        under_way.result()
    assert count(table, "held") == "2"
    assert count(table, "free") == "9"
    assert meets("put_item", TableName=TABLE, Item=item("held", 3)) is None
    # The first is asked for again until it is held; then five meet it, and a statement of two.
    assert counted(slow, "TransactionConflict", "Sum") >= 7
    of = {"Operation": "TransactWriteItems"}
    assert counted(slow, "SuccessfulRequestLatency", "SampleCount", **of) == 1
