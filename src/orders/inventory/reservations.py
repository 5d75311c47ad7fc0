"""The tables ``reservations`` (one item an order) and ``stock`` (an item for each SKU's shelf)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from orders.aws.dynamodb import Source, change_state, get_items, read_records, write_all
from orders.aws.errors import AwsError
from orders.aws.items import from_item, to_item
from orders.inventory.decisions import Reservation
from orders.stock import Shelf, shelf_keys, sku_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

    from orders.aws.context import Context
    from orders.aws.dynamodb import Key
    from orders.aws.items import Item
    from orders.inventory.shelves import Change, Move

_CANCELLED: Final = "TransactionCanceledException"

_reservation = partial(from_item, kind=Reservation)
_shelf = partial(from_item, kind=Shelf)


@dataclass(slots=True)
class Stock:
    """What was seen of the stock, by SKU."""

    levels: dict[str, dict[str, int]] = field(default_factory=dict)
    """How much there is on each shelf; empty when there is no such SKU."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why it could not be read."""

    def add(self, other: Stock) -> None:
        """Take what was seen later in place of what was seen before."""
        for sku in other.levels:
            self.unreadable.pop(sku, None)
        self.levels |= other.levels
        self.unreadable |= other.unreadable

    def move(self, moves: Iterable[Move]) -> None:
        """Take into account what was moved since."""
        for move in moves:
            for sign, quantities in ((-1, move.taken), (1, move.put_back)):
                for shelf, quantity in quantities.items():
                    levels = self.levels.get(sku_of(shelf), {})
                    if shelf in levels:
                        levels[shelf] += sign * quantity


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A transaction was cancelled. Nothing was changed."""

    records: list[str]
    """What each reservation met, in their order: a code, which may be ``None`` as a text."""
    shelves: dict[str, str]
    """What each shelf met."""


@dataclass(frozen=True, slots=True)
class Reservations:
    """The only place that knows both tables' attributes and conditions."""

    client: DynamoDBClient
    table: str
    stock_table: str

    def find(
        self, order_ids: Sequence[str], skus: Iterable[str], context: Context
    ) -> tuple[dict[str, Reservation], dict[str, str], Stock]:
        """Read the reservations of orders, and what there is of SKUs; mostly with one call.

        Args:
            order_ids: each once.
            skus: each once. How much there is of them may have changed a moment ago.
            context: the invocation's, for what is to be tried again.

        Returns:
            The reservations that exist, by order id; by order id, why one could not be read; and
            the stock, as far as it could be read.
        """
        orders, stock = Source(self.table, "order_id"), Source(self.stock_table, "sku", False)
        keys: list[Key] = [(orders, order_id) for order_id in order_ids]
        keys += [(stock, sku) for sku in skus]
        items, refused = get_items(self.client, keys, context)
        found, refusals = read_records(orders, items, refused, _reservation)
        return found, refusals, self._stock(stock, skus, items, refused, context)

    def look(self, skus: Sequence[str], context: Context) -> Stock:
        """See what there is of SKUs now."""
        stock = Source(self.stock_table, "sku")
        items, refused = get_items(self.client, [(stock, sku) for sku in skus], context)
        return self._stock(stock, skus, items, refused, context)

    def write(self, changes: Sequence[Change], context: Context) -> dict[str, str]:
        """Write reservations that move no stock, each only if its record is still what it was.

        Args:
            changes: what is on record (None: nothing), and what is to be; no order twice.
            context: the invocation's, for what is to be tried again.

        Returns:
            By order id, CONFLICT if somebody wrote first, or why else it was not written.
        """
        statements = {
            now.order_id: change_state(self.table, before, now) for before, now in changes
        }
        return write_all(self.client, statements, context)

    def transact(self, moves: Sequence[Move]) -> Cancelled | str | None:
        """Write reservations and move their stock: all of it, or nothing.

        Args:
            moves: no order twice; with their shelves at most 100.

        Returns:
            None when it was made; or why not: for some transient codes it may have been made all
            the same, and the next try meets it.
        """
        writes = [self._write_action(*move.change) for move in moves]
        shelves = _sums(moves)
        stock = [self._stock_action(shelf, *change) for shelf, change in shelves.items()]
        try:
            self.client.transact_write_items(TransactItems=[*writes, *stock])
        except AwsError as error:
            if error.code != _CANCELLED:
                return error.code
            codes = [str(reason["Code"]) for reason in error.answer["CancellationReasons"]]
            return Cancelled(
                codes[: len(moves)], dict(zip(shelves, codes[len(moves) :], strict=True))
            )
        return None

    def _stock(
        self,
        source: Source,
        skus: Iterable[str],
        items: dict[Key, Item],
        refused: dict[Key, str],
        context: Context,
    ) -> Stock:
        """What there is of SKUs, of which the first shelves were read; reads the others, if any.

        A SKU counts as not seen when a shelf of it is missing, which was changed meanwhile, or
        when a hasty look got no answer.
        """
        shelves, whys = read_records(source, items, refused, _shelf)
        counts = {sku: shelves[sku].shelves for sku in skus if sku in shelves}
        more: list[Key] = [
            (source, key) for sku, n in counts.items() if n > 1 for key in shelf_keys(sku, n)[1:]
        ]
        if more:
            items, late = get_items(self.client, more, context)
            others, more_whys = read_records(source, items, late, _shelf)
            shelves, whys, refused = shelves | others, whys | more_whys, refused | late
        unseen = set() if source.is_consistent else {key for _, key in refused}
        seen = Stock()
        for sku in skus:
            keys = shelf_keys(sku, counts.get(sku, 1))
            if unseen.intersection(keys):
                continue
            if unreadable := [whys[key] for key in keys if key in whys]:
                seen.unreadable[sku] = unreadable[0]
            elif all(key in shelves for key in keys) or sku not in shelves:
                seen.levels[sku] = {key: shelves[key].available for key in keys if key in shelves}
        return seen

    def _write_action(
        self, before: Reservation | None, now: Reservation
    ) -> TransactWriteItemTypeDef:
        if before is None:
            return {
                "Put": {
                    "TableName": self.table,
                    "Item": to_item(now),
                    "ConditionExpression": "attribute_not_exists(order_id)",
                }
            }
        return {
            "Update": {
                "TableName": self.table,
                "Key": {"order_id": {"S": now.order_id}},
                "UpdateExpression": "SET #state = :now, #at = :at",
                "ConditionExpression": "#state = :before",
                "ExpressionAttributeNames": {"#state": "state", "#at": "at"},
                "ExpressionAttributeValues": {
                    ":now": {"S": now.state},
                    ":before": {"S": before.state},
                    ":at": {"S": now.at},
                },
            }
        }

    def _stock_action(self, shelf: str, taken: int, put_back: int) -> TransactWriteItemTypeDef:
        """Change what there is on a shelf: it must be there, and so must all that is taken."""
        values = {":change": {"N": str(put_back - taken)}}
        update: UpdateTypeDef = {
            "TableName": self.stock_table,
            "Key": {"sku": {"S": shelf}},
            "UpdateExpression": "SET available = available + :change",
            "ConditionExpression": "attribute_exists(available)",
            "ExpressionAttributeValues": values,
        }
        if taken:
            values[":taken"] = {"N": str(taken)}
            update["ConditionExpression"] = "available >= :taken"
        return {"Update": update}


def _sums(moves: Sequence[Move]) -> dict[str, tuple[int, int]]:
    """How much is taken from each shelf and put back: a transaction names an item only once."""
    sums: dict[str, tuple[int, int]] = {}
    for move in moves:
        for shelf, quantity in move.taken.items():
            taken, put_back = sums.get(shelf, (0, 0))
            sums[shelf] = taken + quantity, put_back
        for shelf, quantity in move.put_back.items():
            taken, put_back = sums.get(shelf, (0, 0))
            sums[shelf] = taken, put_back + quantity
    return sums
