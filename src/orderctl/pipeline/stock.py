"""The stock of each article, changed so that what orders reserve meanwhile is not lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.orders import plain_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class StockError(OrderctlError):
    """The stock is not what it would have to be; nothing was changed."""


class Stock:
    """The table of the stock: one item a SKU, with what is available to new orders.

    What an order has reserved was taken out of it before, and comes back when it is cancelled.
    """

    def __init__(self, dynamodb: DynamoDBClient, outputs: Mapping[str, str]) -> None:
        """Take the stack's outputs, which name the tables."""
        self._dynamodb = dynamodb
        self._table = outputs["StockTableName"]
        self._reservations_table = outputs["ReservationsTableName"]

    def levels(self) -> dict[str, int | None]:
        """How much of each SKU is available to new orders; None where that cannot be read."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True
        )
        return {
            item["sku"]["S"]: reading.whole_number(item.get("available", {}).get("N"))
            for page in pages
            for item in page["Items"]
        }

    def available(self) -> dict[str, int]:
        """How much of each SKU is available; an item that cannot be read is left out."""
        return {sku: number for sku, number in self.levels().items() if number is not None}

    def reserved(self) -> tuple[dict[str, int], list[str]]:
        """How much of each SKU orders hold, from all reservations: a scan of their table.

        Returns:
            How much by SKU; and the orders whose reservations cannot be read and are not in it.
        """
        held: Counter[str] = Counter()
        unreadable: list[str] = []
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._reservations_table,
            FilterExpression="#state = :reserved",
            ExpressionAttributeNames={"#state": "state", "#lines": "lines"},
            ExpressionAttributeValues={":reserved": {"S": "reserved"}},
            ProjectionExpression="order_id, #lines",
        )
        for page in pages:
            for item in page["Items"]:
                reservation = plain_item(item)
                lines = reserved_lines(reservation)
                if lines is None:
                    unreadable.append(reservation["order_id"])
                else:
                    held.update(lines)
        return dict(held), unreadable

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


def reserved_lines(reservation: Mapping[str, Any]) -> dict[str, int] | None:
    """How much of each SKU a reservation holds; None when that cannot be read."""
    held: Counter[str] = Counter()
    lines = reservation.get("lines")
    for line in lines if isinstance(lines, list) else [None]:
        match line:
            case {"sku": str(sku), "quantity": quantity}:
                number = reading.whole_number(quantity)
            case _:
                return None
        if number is None:
            return None
        held[sku] += number
    return dict(held)


def _available(item: Any) -> int | None:  # noqa: ANN401 - an item of DynamoDB
    return (
        reading.whole_number(item["available"].get("N")) if item and "available" in item else None
    )


def _is(quantity: int | None) -> str:
    return (
        "is no"
        if quantity is None
        else f"is {quantity} of"
        if quantity == 1
        else f"are {quantity} of"
    )
