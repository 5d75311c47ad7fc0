"""The table ``audit``: how far a scheduled audit is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orders.audit.legs import Leg, Run
from orders.aws.errors import AwsError
from orders.aws.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LAST_RUN: Final = {"run": {"S": "last"}, "leg": {"S": "-"}}
"""The key of the item that has the run that began last; all other items are legs."""
_KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Progress:
    """The only place that knows the table's attributes and conditions.

    Every method raises AwsError when a call fails.
    """

    client: DynamoDBClient
    table: str

    def last_run(self) -> Run | None:
        """The run that began last; None before the first."""
        item = self.client.get_item(TableName=self.table, Key=_LAST_RUN, ConsistentRead=True).get(
            "Item"
        )
        return from_item(item, Run) if item else None

    def begin(self, run: Run) -> bool:
        """Begin a run, unless one is on."""
        return self._put(
            {**to_item(run), **_LAST_RUN},
            "attribute_not_exists(leg) OR attribute_exists(ended_at)",
        )

    def end(self, run: Run) -> bool:
        """Note that a run has ended, unless somebody has."""
        return self._put(
            {**to_item(run), **_LAST_RUN},
            "began_at = :began_at AND attribute_not_exists(ended_at)",
            ExpressionAttributeValues={":began_at": {"S": run.began_at}},
        )

    def legs(self, run: str) -> list[Leg]:
        """The legs of a run, in the order of their places."""
        found: list[Leg] = []
        start: dict[str, Any] = {}
        while True:
            answer = self.client.query(
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="#run = :run",
                ExpressionAttributeNames={"#run": "run"},
                ExpressionAttributeValues={":run": {"S": run}},
                **start,
            )
            found += [from_item(item, Leg) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def add(self, leg: Leg, now: datetime) -> bool:
        """Write a leg, unless its place is taken: a leg is never changed.

        Args:
            leg: what was read.
            now: the time; the leg is kept for some weeks.
        """
        expires_at = {"N": str(int((now + _KEPT).timestamp()))}
        return self._put({**to_item(leg), "expires_at": expires_at}, "attribute_not_exists(leg)")

    def _put(
        self,
        item: dict[str, Any],
        condition: str,
        **values: Any,  # noqa: ANN401
    ) -> bool:
        """Write an item if a condition holds; whether it did."""
        try:
            self.client.put_item(
                TableName=self.table, Item=item, ConditionExpression=condition, **values
            )
        except AwsError as error:
            if error.is_condition_failed:
                return False
            raise
        return True
