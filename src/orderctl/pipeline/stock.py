"""The stock of each article, changed so that what orders reserve meanwhile is not lost."""

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
    """The stock is not what it would have to be; nothing was changed."""


class Stock:
    """The table of the stock: one item a SKU, with what is available to new orders.

    What an order has reserved was taken out of it before, and comes back when it is cancelled.
    What was ever put in is noted beside it, by the same write, so that an audit can add it up. An
    article from before that was noted has no such number.
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
            item["sku"]["S"]: reading.whole(item.get("available", {}).get("N"))
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
            StockError: there is not what there has to be, or it never stood still.
        """
        for _ in range(_TRIES):
            item = self._item(sku)
            there = _available(item)
            if was is not None and there != was:
                raise StockError(
                    f"There {_is(there)} {sku}, not {was}; it was left so. Look again with stock "
                    "list, or use stock add."
                )
            try:
                self._set(sku, quantity, item)
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                continue  # an order came in between
            return there
        raise StockError(
            f"{sku} changed {_TRIES} times while it was to be set; it was left so. Use stock add, "
            "which does not need to look first."
        )

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
        try:
            return self._add(sku, difference, notes_put_in=True)
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            item = dict(error.response).get("Item")
        there = _available(item)
        if there is None:
            raise StockError(f"There is no SKU {sku}. To begin with it: stock set {sku}=N")
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
                number = reading.whole(quantity)
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
    return reading.whole(item[name].get("N")) if item and name in item else None


def _is(quantity: int | None) -> str:
    return (
        "is no"
        if quantity is None
        else f"is {quantity} of"
        if quantity == 1
        else f"are {quantity} of"
    )
