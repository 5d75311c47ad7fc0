"""Reads and changes the stock, without losing what orders reserve meanwhile."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.orders import plain_item
from orders.stock import MAX_SHELVES, shelf_keys, shelf_number, sku_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TRIES: Final = 100
"""A SKU in demand is held by some transaction most of the time."""
_PAUSE_SECONDS: Final = 0.03


class StockError(OrderctlError):
    """The stock does not allow a change; nothing was changed."""


class Stock:
    """The stock table: an item for each shelf of a SKU, with how much of it is available there.

    Most SKUs have one shelf. What an order reserves is subtracted, and added again when the order
    is cancelled. The same write that puts something in counts in `put_in`, on the first shelf, what
    was ever put in, so that an audit can add it up. A SKU from before that was counted has no such
    number.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        outputs: Mapping[str, str],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the stack's outputs, which name the tables."""
        self._dynamodb = dynamodb
        self._table = outputs["StockTableName"]
        self._reservations_table = outputs["ReservationsTableName"]
        self._sleep = sleep

    def levels(self) -> dict[str, int | None]:
        """How much of each SKU is available to new orders; None where it cannot be read."""
        levels: dict[str, int | None] = {}
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, ConsistentRead=True
        )
        for page in pages:
            for item in page["Items"]:
                sku, available = sku_of(item["sku"]["S"]), _available(item)
                others = levels.get(sku, 0)
                is_known = available is not None and others is not None
                levels[sku] = others + available if is_known else None  # type: ignore[operator]
        return levels

    def available(self) -> dict[str, int]:
        """How much of each SKU is available; unreadable items are left out."""
        return {sku: number for sku, number in self.levels().items() if number is not None}

    def shelves(self, sku: str) -> Shelves:
        """What there is on each shelf of a SKU.

        Raises:
            StockError: there is no such SKU.
        """
        shelves = self._read(sku)
        if not shelves.first:
            raise StockError(f"There is no SKU {sku}. To create it: stock set {sku}=N")
        return shelves

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

    def put(
        self, sku: str, quantity: int, was: int | None = None, shelves: int | None = None
    ) -> int | None:
        """Set how much of a SKU is available; an unknown SKU is created.

        Args:
            sku: the SKU.
            quantity: the new quantity.
            was: change it only if this is the present quantity.
            shelves: on how many shelves it is to stand, in equal parts; None: on as many as now.

        Returns:
            The quantity just before the change; None for a new SKU.

        Raises:
            StockError: the present quantity is not `was`, or orders kept changing it.
        """
        for _ in range(_TRIES):
            seen = self._read(sku)
            there = seen.available
            if was is not None and there != was:
                raise StockError(
                    f"There {_is(there)} {sku}, not {was}. Nothing was changed. "
                    "See stock list, or use stock add."
                )
            if self._write(_set(seen, quantity, shelves or seen.count)):
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
        for _ in range(_TRIES):
            seen = self.shelves(sku)
            there = seen.available
            if there is None:
                raise StockError(f"The stock of {sku} cannot be read. To set it: stock set {sku}=N")
            if there + difference < 0 and difference < 0:
                raise StockError(
                    f"There {_is(there)} {sku}, so {-difference} cannot be taken. "
                    "Nothing was changed."
                )
            if self._write(_added(seen, difference)):
                return there
        raise StockError(
            f"Orders changed {sku} during each of {_TRIES} attempts. Nothing was changed. "
            "Try again."
        )

    def set_shelves(self, sku: str, count: int) -> Shelves:
        """Have a known SKU's stock stand on so many shelves, while orders take of it.

        New shelves get their share of what is on the first one; it and the count change in one
        transaction. A shelf that goes is emptied onto the first one in the transaction that deletes
        it, the last one first; nobody can put anything back to it from then on.

        Args:
            sku: the SKU.
            count: how many, from 1 to MAX_SHELVES.

        Returns:
            What there is on each shelf.

        Raises:
            StockError: there is no such SKU, or orders kept changing it. Then it has some of the
                shelves, and nothing is lost.
        """
        for _ in range(_TRIES):
            seen = self.shelves(sku)
            if seen.available is None:
                raise StockError(f"The stock of {sku} cannot be read. To set it: stock set {sku}=N")
            if not (step := _step(seen, count)):
                return seen
            self._write(step)
        raise StockError(
            f"Orders changed {sku} during each of {_TRIES} attempts. It has {seen.count} shelves, "
            "and nothing is lost. Try again."
        )

    def _read(self, sku: str) -> Shelves:
        """All that stands anywhere of a SKU, as it is now."""
        found: dict[str, Mapping[str, Any]] = {}
        keys: Any = [{"sku": {"S": key}} for key in shelf_keys(sku, MAX_SHELVES)]
        while keys:
            answer: Any = self._dynamodb.batch_get_item(
                RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
            )
            found |= {item["sku"]["S"]: item for item in answer["Responses"][self._table]}
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys")
            if keys:
                self._sleep(_PAUSE_SECONDS)
        return Shelves(sku, found)

    def _write(self, actions: Sequence[Mapping[str, Any]]) -> bool:
        """Make a transaction; False, after a pause, if somebody was quicker or is at it."""
        named: Any = [
            {kind: {"TableName": self._table, **what}}
            for action in actions
            for kind, what in action.items()
        ]
        try:
            self._dynamodb.transact_write_items(TransactItems=named)
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            reasons: Any = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code") for reason in reasons} - {"None"}
            if not codes <= {"ConditionalCheckFailed", "TransactionConflict", "ThrottlingError"}:
                raise
            self._sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            return False
        return True


@dataclass(frozen=True)
class Shelves:
    """What stands of a SKU, and where."""

    sku: str
    items: Mapping[str, Mapping[str, Any]]
    """By the shelf's key."""

    @property
    def first(self) -> Mapping[str, Any]:
        """The first shelf's item; empty if there is no such SKU."""
        return self.items.get(self.sku, {})

    @property
    def count(self) -> int:
        """How many shelves the SKU has."""
        return _number(self.first, "shelves") or 1

    @property
    def levels(self) -> dict[str, int | None]:
        """How much there is on each, by key; None where it cannot be read."""
        keys = {*shelf_keys(self.sku, self.count), *self.items}
        return {
            key: _available(self.items[key]) if key in self.items else 0
            for key in sorted(keys, key=shelf_number)
        }

    @property
    def lost(self) -> list[str]:
        """The shelves that are there and do not count, so that no order is served from them."""
        return [key for key in self.levels if key not in shelf_keys(self.sku, self.count)]

    @property
    def available(self) -> int | None:
        """How much there is on all of them; None if it is no SKU or cannot be read."""
        numbers = list(self.levels.values()) if self.first else [None]
        return None if None in numbers else sum(number or 0 for number in numbers)


def _set(seen: Shelves, quantity: int, count: int) -> list[dict[str, Any]]:
    """Set what is available in all, and what was put in by the same difference.

    Only if each item still has what was read: what orders take meanwhile is not put in again. What
    was put in is forgotten if it was not noted, or if what there is cannot be read.
    """
    there, put_in = seen.available, _put_in(seen.first)
    if not seen.first:
        put_in, there = 0, 0
    first: dict[str, Any] = {"shelves": count if count > 1 else None, "put_in": None}
    if there is not None and put_in is not None:
        first["put_in"] = put_in + quantity - there
    actions = []
    for number, key in enumerate(shelf_keys(seen.sku, count)):
        values = {"available": _share(quantity, count, number), **(first if not number else {})}
        actions.append(_replace(key, seen.items.get(key, {}), values))
    gone = [key for key in seen.items if key not in shelf_keys(seen.sku, count)]
    return actions + [{"Delete": _unchanged(key, seen.items[key])} for key in gone]


def _added(seen: Shelves, difference: int) -> list[dict[str, Any]]:
    """Add in equal parts, or take away from the fullest, whatever orders do meanwhile."""
    keys = shelf_keys(seen.sku, seen.count)
    shares = {key: _share(difference, len(keys), n) for n, key in enumerate(keys)}
    if difference < 0:
        left, shares = -difference, {}
        for key, level in sorted(seen.levels.items(), key=lambda item: -(item[1] or 0)):
            shares[key] = -min(level or 0, left)
            left += shares[key]
    has_note = _put_in(seen.first) is not None
    return [
        _change(key, share, put_in=difference if key == seen.sku and has_note else 0)
        for key, share in shares.items()
        if share or (key == seen.sku and has_note)
    ]


def _step(seen: Shelves, count: int) -> list[dict[str, Any]]:
    """The next transaction on the way to so many shelves; nothing when there are so many."""
    keys = shelf_keys(seen.sku, count)
    if gone := [key for key in seen.levels if key not in keys and key in seen.items]:
        key = gone[-1]
        level = _available(seen.items[key]) or 0
        left = min(seen.count, max(shelf_number(key), 1))
        return [
            {"Delete": _unchanged(key, seen.items[key])},
            _change(seen.sku, level, shelves=(seen.count, left)),
        ]
    if new := [key for key in keys if key not in seen.items]:
        there = max(_available(seen.first) or 0, 0)
        share = there // (len(new) + 1)
        actions = [_replace(key, {}, {"available": share}) for key in new]
        return [*actions, _change(seen.sku, -share * len(new), shelves=(seen.count, count))]
    if seen.count != count:
        return [_change(seen.sku, 0, shelves=(seen.count, count))]
    return []


def _share(quantity: int, count: int, number: int) -> int:
    """The part of a quantity that a shelf gets; the first ones get what is left over."""
    share, rest = divmod(quantity, count)
    return share + (number < rest)


def _replace(key: str, item: Mapping[str, Any], values: Mapping[str, int | None]) -> dict[str, Any]:
    """Write a shelf if it still has what was read; None removes an attribute."""
    update = _unchanged(key, item)
    sets = {name: value for name, value in values.items() if value is not None}
    update["UpdateExpression"] = "SET " + ", ".join(f"{name} = :new_{name}" for name in sets)
    if removed := [name for name in values if name not in sets]:
        update["UpdateExpression"] += " REMOVE " + ", ".join(removed)
    new = {f":new_{name}": {"N": str(value)} for name, value in sets.items()}
    values_now = {**update.get("ExpressionAttributeValues", {}), **new}
    return {"Update": {**update, "ExpressionAttributeValues": values_now}}


def _unchanged(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """A shelf, on the condition that it has what was read."""
    conditions, values = [], {}
    for name in ("available", "put_in", "shelves"):
        if name in item:
            conditions.append(f"{name} = :old_{name}")
            values[f":old_{name}"] = item[name]
        else:
            conditions.append(f"attribute_not_exists({name})")
    what = {"Key": {"sku": {"S": key}}, "ConditionExpression": " AND ".join(conditions)}
    return {**what, **({"ExpressionAttributeValues": values} if values else {})}


def _change(
    key: str, difference: int, *, put_in: int = 0, shelves: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Add to a shelf, or take what is there; and change the number of shelves, if it is known."""
    sets, conditions = ["available = available + :difference"], ["available >= :least"]
    values = {":difference": difference, ":least": max(-difference, 0)}
    if difference >= 0:
        conditions = ["attribute_exists(available)"]
        del values[":least"]
    if put_in:
        sets.append("put_in = put_in + :put_in")
        values[":put_in"] = put_in
    if shelves:
        before, after = shelves
        sets.append("shelves = :after")
        values |= {":before": before, ":after": after}
        none_yet = " OR attribute_not_exists(shelves)" if before == 1 else ""
        conditions.append(f"(shelves = :before{none_yet})")
    return {
        "Update": {
            "Key": {"sku": {"S": key}},
            "UpdateExpression": f"SET {', '.join(sets)}",
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": {n: {"N": str(value)} for n, value in values.items()},
        }
    }


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
