"""Reads and changes the stock, without losing what orders reserve meanwhile."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.orders import plain_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TRIES = 20


class StockError(OrderctlError):
    """The stock does not allow a change; nothing was changed."""


class Stock:
    """The stock table: one item per SKU, with how much is available to new orders.

    What an order reserves is subtracted, and added again when the order is cancelled. The same
    write counts in `put_in` what was ever put in, so that an audit can add it up. A SKU from before
    that was counted has no such number.
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
            StockError: the present quantity is not `was`, or orders kept changing it.
        """
        for _ in range(_TRIES):
            item = self._item(sku)
            there = _available(item)
            if was is not None and there != was:
                raise StockError(
                    f"There {_is(there)} {sku}, not {was}. Nothing was changed. "
                    "See stock list, or use stock add."
                )
            try:
                self._set(sku, quantity, item)
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                continue  # an order came in between
            return there
        raise StockError(
            f"Orders changed {sku} during each of {_TRIES} attempts. Nothing was changed. "
            "Use stock add."
        )

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
        try:
            return self._add(sku, difference, notes_put_in=True)
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            item = dict(error.response).get("Item")
        there = _available(item)
        if there is None:
            raise StockError(f"There is no SKU {sku}. To create it: stock set {sku}=N")
        if _put_in(item) is None:
            with contextlib.suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
                return self._add(sku, difference, notes_put_in=False)
        raise StockError(
            f"There {_is(there)} {sku}, so {-difference} cannot be taken. Nothing was changed."
        )

    def _item(self, sku: str) -> dict[str, Any]:
        key = {"sku": {"S": sku}}
        answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return dict(answer.get("Item", {}))

    def _set(self, sku: str, quantity: int, item: Mapping[str, Any]) -> None:
        """Set what is available, and what was put in by the same difference, if both are known.

        Only if the item still has what was read: what orders take meanwhile is not put in again.
        """
        there, put_in = _available(item), _put_in(item)
        values = {":quantity": {"N": str(quantity)}}
        if not item:
            put_in, there = 0, 0
        if there is None or put_in is None:
            expression = "SET available = :quantity REMOVE put_in"
        else:
            expression = "SET available = :quantity, put_in = :put_in"
            values[":put_in"] = {"N": str(put_in + quantity - there)}
        conditions = []
        for name in ("available", "put_in"):
            if name in item:
                conditions.append(f"{name} = :old_{name}")
                values[f":old_{name}"] = item[name]
            else:
                conditions.append(f"attribute_not_exists({name})")
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"sku": {"S": sku}},
            UpdateExpression=expression,
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeValues=values,
        )

    def _add(self, sku: str, difference: int, *, notes_put_in: bool) -> int:
        """Add to what is available and, for a SKU that notes it, to what was put in."""
        also = ", put_in = put_in + :difference" if notes_put_in else ""
        function = "attribute_exists" if notes_put_in else "attribute_not_exists"
        answer = self._dynamodb.update_item(
            TableName=self._table,
            Key={"sku": {"S": sku}},
            UpdateExpression=f"SET available = available + :difference{also}",
            ConditionExpression=f"available >= :least AND {function}(put_in)",
            ExpressionAttributeValues={
                ":difference": {"N": str(difference)},
                ":least": {"N": str(max(-difference, 0))},
            },
            ReturnValues="UPDATED_OLD",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return _available(answer.get("Attributes")) or 0


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
    return _number(item, "available")


def _put_in(item: Any) -> int | None:  # noqa: ANN401 - an item of DynamoDB
    return _number(item, "put_in")


def _number(item: Any, name: str) -> int | None:  # noqa: ANN401
    return reading.whole_number(item[name].get("N")) if item and name in item else None


def _is(quantity: int | None) -> str:
    return (
        "is no"
        if quantity is None
        else f"is {quantity} of"
        if quantity == 1
        else f"are {quantity} of"
    )
