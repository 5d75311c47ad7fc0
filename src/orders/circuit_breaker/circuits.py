"""The table ``circuits``: one item a consumer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orders.aws.errors import AwsError
from orders.aws.items import from_item, to_item
from orders.circuit_breaker.decisions import Circuit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.items import Item


@dataclass(frozen=True, slots=True)
class Circuits:
    """The only place that knows the table's attributes and conditions."""

    client: DynamoDBClient
    table: str

    def get(self, consumer: str) -> Circuit:
        """Read a circuit; it is closed if none is on record.

        Raises:
            UnreadableRecordError: what is on record cannot be read.
            AwsError: the call failed.
        """
        item = self.client.get_item(
            TableName=self.table, Key=_key(consumer), ConsistentRead=True
        ).get("Item")
        return from_item(item, Circuit) if item else Circuit(consumer=consumer)

    def write(self, circuit: Circuit) -> Circuit:
        """Write a circuit, if nobody wrote it since it was read.

        Returns:
            What is on record then: this, or what somebody else wrote.

        Raises:
            UnreadableRecordError: what is on record cannot be read.
            AwsError: the call failed.
        """
        now = replace(circuit, version=circuit.version + 1)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item(now),
                ConditionExpression="attribute_not_exists(consumer) OR version = :version",
                ExpressionAttributeValues={":version": {"N": str(circuit.version)}},
            )
        except AwsError as error:
            if not error.is_condition_failed:
                raise
            return self.get(circuit.consumer)
        return now

    def hold(self, consumer: str, at: str) -> None:
        """Note that an operator keeps a consumer paused.

        Args:
            consumer: its name.
            at: since when.

        Raises:
            AwsError: the call failed.
        """
        self.client.update_item(
            TableName=self.table,
            Key=_key(consumer),
            UpdateExpression="SET on_hold = :at ADD version :one",
            ExpressionAttributeValues={":at": {"S": at}, ":one": {"N": "1"}},
        )

    def release(self, consumer: str, at: str) -> None:
        """Note that an operator wants a consumer to go on: it is held by nobody any more.

        The circuit is closed then. If it was open for a reason, that opens it again.

        Raises:
            AwsError: the call failed.
        """
        self.client.update_item(
            TableName=self.table,
            Key=_key(consumer),
            UpdateExpression="SET #state = :closed, since = :at, switched_at = :at "
            "REMOVE on_hold, reason, test_at ADD version :one",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":at": {"S": at},
                ":closed": {"S": "closed"},
                ":one": {"N": "1"},
            },
        )


def _key(consumer: str) -> Item:
    return {"consumer": {"S": consumer}}
