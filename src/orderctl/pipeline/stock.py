"""Reads and changes the stock, without losing what orders reserve meanwhile."""

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
    """The stock does not allow a change; nothing was changed."""


class Stock:
    """The stock table: one item per SKU, with how much is available to new orders.

    What an order reserves is subtracted, and added again when the order is cancelled.
    """

    def __init__(self, dynamodb: DynamoDBClient, outputs: Mapping[str, str]) -> None:
        """Take the stack's outputs, which name the tables."""
        self._dynamodb = dynamodb
        self._table = outputs["StockTableName"]
        self._reservations_table = outputs["ReservationsTableName"]

    def levels(self) -> dict[str, int | None]:
        """How much of each SKU is available to new orders; None for an unreadable item."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True
        )
        return {
            item["sku"]["S"]: reading.whole_number(item.get("available", {}).get("N"))
            for page in pages
            for item in page["Items"]
        }

    def available(self) -> dict[str, int]:
        """How much of each SKU is available; unreadable items are left out."""
        return {sku: number for sku, number in self.levels().items() if number is not None}

    def reserved(self) -> tuple[dict[str, int], list[str]]:
        """How much of each SKU orders hold; this scans the reservations table.

        Returns:
            The quantities by SKU, and the orders whose reservations cannot be read.
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
        """Set how much of a SKU is available; an unknown SKU is created.

        Args:
            sku: the SKU.
            quantity: the new quantity.
            was: change it only if this is the present quantity.

        Returns:
            The quantity just before the change; None for a new SKU.

        Raises:
            StockError: the present quantity is not `was`.
        """
        guard: dict[str, Any] = {} if was is None else {"ConditionExpression": "available = :was"}
        values = {":quantity": quantity} | ({} if was is None else {":was": was})
        try:
            return self._update(sku, "SET available = :quantity", values, guard)
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            there = _available(dict(error.response).get("Item"))
            raise StockError(
                f"There {_is(there)} {sku}, not {was}. Nothing was changed. "
                "See stock list, or use stock add."
            ) from error

    def add(self, sku: str, difference: int) -> int:
        """Add to what is available of a known SKU, or take away from it.

        Args:
            sku: the SKU.
            difference: how much to add; negative to take away.

        Returns:
            The quantity just before the change.

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
                    f"There is no SKU {sku}. To create it: stock set {sku}=N"
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
