"""The tables ``reservations`` (one item an order) and ``stock`` (one item a SKU)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT, change_state, read_all, write_all
from orders.aws.errors import AwsError
from orders.aws.items import UnreadableRecordError, from_item, to_item
from orders.aws.patience import TRANSIENT_CODES, try_all
from orders.inventory.decisions import Reservation, reject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

    from orders.aws.context import Context

_MAX_ACTIONS: Final = 100
"""As many as ``TransactWriteItems`` takes."""
_FIRST_PAUSE_SECONDS: Final = 0.02
"""About as long as the transaction takes that holds the same articles."""
_CANCELLED: Final = "TransactionCanceledException"
_CONDITION_FAILED: Final = "ConditionalCheckFailed"

Change = tuple[Reservation | None, Reservation]
"""What is on record for an order (None: nothing), and what is to be."""

_reservation = partial(from_item, kind=Reservation)


@dataclass(frozen=True, slots=True, eq=False)
class Shortage:
    """Some lines of an order cannot be covered."""

    available: Mapping[str, int | None]
    """What there is of each SKU that fell short; None for a SKU that is not known."""


Refusal = str | Shortage
"""Why a transaction was not made: CONFLICT, an AWS code or another reason; or a shortage."""


@dataclass(frozen=True, slots=True)
class Reservations:
    """The only place that knows both tables' attributes and conditions."""

    client: DynamoDBClient
    table: str
    stock_table: str

    def find(
        self, order_ids: Sequence[str], context: Context
    ) -> tuple[dict[str, Reservation], dict[str, str]]:
        """Read the reservations of orders, with one call.

        Args:
            order_ids: at most 100, each once.
            context: the invocation's, for what is to be tried again.

        Returns:
            The reservations that exist, by order id; and, by order id, why one could not be read.
        """
        return read_all(self.client, self.table, order_ids, _reservation, context)

    def write(
        self, changes: Sequence[Change], context: Context
    ) -> tuple[dict[str, Reservation], dict[str, str]]:
        """Write reservations and move the stock as they want it, mostly with one call.

        Each is written only if its record is still what it was. One that the stock does not cover
        is written as rejected.

        Args:
            changes: what is on record (None: nothing), and what is to be; no order twice.
            context: the invocation's, for what is to be tried again, and for the time left.

        Returns:
            What was written, by order id; and, by order id, CONFLICT if somebody wrote first, or
            why else it was not written.
        """
        answers = self._write(changes, context)
        shortages = {id_: why for id_, why in answers.items() if isinstance(why, Shortage)}
        rejections = [
            (before, reject(now, shortages[now.order_id].available))
            for before, now in changes
            if now.order_id in shortages
        ]
        refusals = {id_: why for id_, why in answers.items() if isinstance(why, str)}
        refusals |= self._record(rejections, context)
        results = {now.order_id: now for _, now in [*changes, *rejections]}
        return {id_: now for id_, now in results.items() if id_ not in refusals}, refusals

    def _write(self, changes: Sequence[Change], context: Context) -> Mapping[str, Refusal]:
        """Write all together: in transactions, if any of them moves stock."""
        if not any(now.lines for _, now in changes):
            return self._record(changes, context)
        refusals: dict[str, Refusal] = {}
        for part in divide(changes):
            refusals |= self._move(part, context)
        return refusals

    def _move(self, changes: Sequence[Change], context: Context) -> Mapping[str, Refusal]:
        """Write reservations and move their lines, in one transaction; or else one by one.

        A transaction is tried again soon while another one holds the same articles. The SDK does
        not, and an article in demand would use up a message's few deliveries.
        """
        order_ids = [now.order_id for _, now in changes]
        if time_is_up(context):
            return dict.fromkeys(order_ids, "the function is about to time out")
        (refusal,) = try_all([changes], self._attempt, context, _FIRST_PAUSE_SECONDS)
        if refusal is None:
            return {}
        if len(changes) > 1 and (refusal == _CANCELLED or refusal in TRANSIENT_CODES):
            return self._move_one_by_one(changes, context)
        if refusal != CONFLICT and isinstance(refusal, str):
            refusal = f"{refusal} from TransactWriteItems"
        return dict.fromkeys(order_ids, refusal)

    def _move_one_by_one(
        self, changes: Sequence[Change], context: Context
    ) -> Mapping[str, Refusal]:
        """Give each order a transaction of its own, as one stands in the way of the others."""
        refusals: dict[str, Refusal] = {}
        for change in changes:
            _, now = change
            if now.lines:
                refusals |= self._move([change], context)
        return refusals | self._record(
            [(was, now) for was, now in changes if not now.lines], context
        )

    def _attempt(self, transactions: Sequence[Sequence[Change]]) -> list[Refusal | None]:
        return [self._transact(changes) for changes in transactions]

    def _transact(self, changes: Sequence[Change]) -> Refusal | None:
        """Write reservations and move their lines, in one transaction.

        Returns:
            None when it was made. For a transient code mostly nothing was changed; if it was, the
            next try meets it as a conflict. For any other refusal nothing was changed.
        """
        writes = [self._write_action(before, now) for before, now in changes]
        moves = [
            self._stock_action(sku, taken, put_back)
            for sku, (taken, put_back) in _quantities([now for _, now in changes]).items()
        ]
        try:
            self.client.transact_write_items(TransactItems=[*writes, *moves])
        except AwsError as error:
            if error.code == _CANCELLED:
                return _refusal([now for _, now in changes], error)
            return error.code
        return None

    def _record(self, changes: Sequence[Change], context: Context) -> dict[str, str]:
        """Write reservations that move no stock, with one call."""
        statements = {
            now.order_id: change_state(self.table, before, now) for before, now in changes
        }
        return write_all(self.client, statements, context)

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

    def _stock_action(self, sku: str, taken: int, put_back: int) -> TransactWriteItemTypeDef:
        """Change what there is of a SKU: all that is taken must be there already."""
        values = {":change": {"N": str(put_back - taken)}}
        update: UpdateTypeDef = {
            "TableName": self.stock_table,
            "Key": {"sku": {"S": sku}},
            "UpdateExpression": "SET available = available + :change",
            "ExpressionAttributeValues": values,
        }
        if taken:
            values[":taken"] = {"N": str(taken)}
            update["ConditionExpression"] = "available >= :taken"
            update["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return {"Update": update}


def divide(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Divide changes so that each part fits into one transaction; mostly there is one part."""
    part: list[Change] = []
    skus: set[str] = set()
    for change in changes:
        _, now = change
        own = {line.sku for line in now.lines}
        if part and len(part) + 1 + len(skus | own) > _MAX_ACTIONS:
            yield part
            part, skus = [], set()
        part.append(change)
        skus |= own
    if part:
        yield part


def _quantities(reservations: Sequence[Reservation]) -> dict[str, tuple[int, int]]:
    """How much of each SKU is taken and put back: a transaction names an item only once."""
    quantities: dict[str, tuple[int, int]] = {}
    for reservation in reservations:
        for line in reservation.lines:
            taken, put_back = quantities.get(line.sku, (0, 0))
            if reservation.state == "reserved":
                taken += line.quantity
            else:
                put_back += line.quantity
            quantities[line.sku] = taken, put_back
    return quantities


def _refusal(reservations: Sequence[Reservation], error: AwsError) -> Refusal:
    """Read the reasons of a cancelled transaction: one an action, in their order."""
    reasons = error.answer["CancellationReasons"]
    codes = sorted({str(reason["Code"]) for reason in reasons} - {"None"})
    if codes and TRANSIENT_CODES.issuperset(codes):
        return codes[0]
    if len(reservations) > 1 or _CONDITION_FAILED not in codes:
        return _CANCELLED
    (reservation,), (own, *lines) = reservations, reasons
    if own["Code"] == _CONDITION_FAILED:
        return CONFLICT
    short: dict[str, int | None] = {}
    for line, reason in zip(reservation.lines, lines, strict=True):
        if reason["Code"] == _CONDITION_FAILED:
            try:
                short[line.sku] = _available(reason)
            except UnreadableRecordError as why:
                return f"a stock item that cannot be read ({line.sku}: {why})"
    return Shortage(short)


class _StockLevel(msgspec.Struct, frozen=True):
    available: int


def _available(reason: Mapping[str, Any]) -> int | None:
    """What there is of a SKU; None if it is not known.

    Raises:
        UnreadableRecordError: its item does not say.
    """
    item = reason.get("Item")
    return from_item(item, _StockLevel).available if item else None
