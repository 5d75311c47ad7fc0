"""The stock of each article, changed so that what orders reserve meanwhile is not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orderctl import reading
from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class StockError(OrderctlError):
    """The stock is not what it would have to be; nothing was changed."""


class Stock:
    """The table of the stock: one item a SKU, with what is available to new orders.

    What an order has reserved was taken out of it before, and comes back when it is cancelled.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        """Take the table's name."""
        self._dynamodb = dynamodb
        self._table = table

    def put(self, sku: str, quantity: int, was: int | None = None) -> int | None:
        """Set what is available of a SKU, known or new.

        Args:
            sku: which.
            quantity: how much.
            was: how much there has to be, so that the change is one.

        Returns:
            How much there was, at the very moment; None for a new SKU.

        Raises:
            StockError: there is not what there has to be.
        """
        guard: dict[str, Any] = {} if was is None else {"ConditionExpression": "available = :was"}
        values = {":quantity": quantity} | ({} if was is None else {":was": was})
        try:
            return self._update(sku, "SET available = :quantity", values, guard)
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            there = _available(dict(error.response).get("Item"))
            raise StockError(
                f"There {_is(there)} {sku}, not {was}; it was left so. Look again with stock list, "
                "or use stock add."
            ) from error

    def add(self, sku: str, difference: int) -> int:
        """Add to what is available of a known SKU, or take from it.

        Args:
            sku: which.
            difference: how much to add; less than 0 to take.

        Returns:
            How much there was, at the very moment.

        Raises:
            StockError: there is no such SKU, or too little of it.
        """
        guard = {"ConditionExpression": "available >= :least"}
        values = {":difference": difference, ":least": max(-difference, 0)}
        try:
            was = self._update(sku, "SET available = available + :difference", values, guard)
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            there = _available(dict(error.response).get("Item"))
            if there is None:
                raise StockError(
                    f"There is no SKU {sku}. To begin with it: stock set {sku}=N"
                ) from error
            raise StockError(
                f"There {_is(there)} {sku}, so {-difference} cannot be taken. Nothing was changed."
            ) from error
        return was or 0

    def _update(
        self, sku: str, expression: str, values: dict[str, int], guard: dict[str, Any]
    ) -> int | None:
        answer = self._dynamodb.update_item(
            TableName=self._table,
            Key={"sku": {"S": sku}},
            UpdateExpression=expression,
            ExpressionAttributeValues={name: {"N": str(value)} for name, value in values.items()},
            ReturnValues="UPDATED_OLD",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **guard,
        )
        return _available(answer.get("Attributes"))


def _available(item: Any) -> int | None:  # noqa: ANN401 - an item of DynamoDB
    return reading.whole(item["available"].get("N")) if item and "available" in item else None


def _is(quantity: int | None) -> str:
    return (
        "is no"
        if quantity is None
        else f"is {quantity} of"
        if quantity == 1
        else f"are {quantity} of"
    )
