"""The tables ``reservations`` (one item an order) and ``stock`` (one item a SKU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from orders.aws.clients import code_of
from orders.aws.dynamodb import Item, Statement, insert, read_all, update, write_all
from orders.aws.patience import PASSING
from orders.events import OrderLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

    from orders.aws.context import Context

ReservationState = Literal["reserved", "rejected", "released", "voided"]

_ACTIONS_AT_ONCE: Final = 100
"""As many as ``TransactWriteItems`` takes."""
_CONDITION_FAILED: Final = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order holds of the stock, or why it holds nothing."""

    order_id: str
    state: ReservationState
    lines: tuple[OrderLine, ...]
    reason: str | None
    at: str
    """Since when."""


Change = tuple[Reservation | None, Reservation]
"""What is on record for an order (None: nothing), and what is to be."""


class ConflictError(Exception):
    """The reservation is not what it was when it was read; nothing was changed."""


class BusyError(Exception):
    """The transaction was refused for a passing reason, such as another one at the same items.

    Mostly nothing was changed. If it was, the next try meets it as a conflict.
    """


class TransactionCancelledError(Exception):
    """Some of several orders could not be written together; nothing was changed."""


class OutOfStockError(Exception):
    """Some lines cannot be covered; nothing was changed."""

    def __init__(self, available: dict[str, int | None]) -> None:
        super().__init__(str(available))
        self.available = available
        """What there is of each SKU that fell short; None for a SKU that is not known."""


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
            The reservations that exist, by order id; and, by order id, why DynamoDB gave no answer.
        """
        items, unanswered = read_all(self.client, self.table, order_ids, context)
        return {order_id: _reservation(item) for order_id, item in items.items()}, unanswered

    def write(self, changes: Sequence[Change], context: Context) -> list[str | None]:
        """Write reservations that move no stock, with one call.

        Each is written only if its record is still what it was.

        Args:
            changes: what is on record (None: nothing), and what is to be.
            context: the invocation's, for what is to be tried again.

        Returns:
            For each None, CONFLICT if somebody wrote first, or why else it was not written.
        """
        return write_all(
            self.client, [self._statement(before, now) for before, now in changes], context
        )

    def move(self, changes: Sequence[Change]) -> None:
        """Move the stock as reservations want it and write them, all in one transaction.

        Args:
            changes: what is on record (None: nothing), and what is to be; no order twice, and
                together no more than one of ``transactions`` holds.

        Raises:
            BusyError: the transaction met another one, or too much was asked of a table.
            TransactionCancelledError: one of several orders stood in the way; nothing was changed.
            ConflictError: the order's reservation is not what it was.
            OutOfStockError: some lines of the order cannot be covered.
            ClientError, BotoCoreError: the call failed, or would fail again.
        """
        reservations = [self._write_one(before, now) for before, now in changes]
        stock = [
            self._move_one(sku, taken, put_back)
            for sku, (taken, put_back) in _moved([now for _, now in changes]).items()
        ]
        try:
            self.client.transact_write_items(TransactItems=[*reservations, *stock])
        except self.client.exceptions.TransactionCanceledException as error:
            raise _why_canceled([now for _, now in changes], error) from error
        except ClientError as error:
            if code_of(error) in PASSING:
                raise BusyError(code_of(error)) from error
            raise

    def _statement(self, before: Reservation | None, now: Reservation) -> Statement:
        if before is None:
            return insert(self.table, _item(now))
        return update(
            self.table,
            ("order_id", now.order_id),
            {"state": {"S": now.state}, "at": {"S": now.at}},
            condition=("state", {"S": before.state}),
        )

    def _write_one(self, before: Reservation | None, now: Reservation) -> TransactWriteItemTypeDef:
        if before is None:
            return {
                "Put": {
                    "TableName": self.table,
                    "Item": _item(now),
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

    def _move_one(self, sku: str, taken: int, put_back: int) -> TransactWriteItemTypeDef:
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


def transactions(changes: Sequence[Change]) -> list[slice]:
    """How to divide changes so that each part fits into one transaction; mostly there is one."""
    parts: list[slice] = []
    start, skus = 0, set[str]()
    for number, (_, now) in enumerate(changes):
        together = skus | {line.sku for line in now.lines}
        if number - start + 1 + len(together) > _ACTIONS_AT_ONCE:
            parts.append(slice(start, number))
            start, together = number, {line.sku for line in now.lines}
        skus = together
    return [*parts, slice(start, len(changes))]


def _moved(reservations: Sequence[Reservation]) -> dict[str, tuple[int, int]]:
    """How much of each SKU is taken and put back: a transaction names an item only once."""
    moved: dict[str, tuple[int, int]] = {}
    for reservation in reservations:
        for line in reservation.lines:
            taken, put_back = moved.get(line.sku, (0, 0))
            if reservation.state == "reserved":
                taken += line.quantity
            else:
                put_back += line.quantity
            moved[line.sku] = taken, put_back
    return moved


def _item(reservation: Reservation) -> Item:
    lines = [
        {"M": {"sku": {"S": line.sku}, "quantity": {"N": str(line.quantity)}}}
        for line in reservation.lines
    ]
    return {
        "order_id": {"S": reservation.order_id},
        "state": {"S": reservation.state},
        "lines": {"L": lines},
        **({"reason": {"S": reservation.reason}} if reservation.reason else {}),
        "at": {"S": reservation.at},
    }


def _reservation(item: Item) -> Reservation:
    lines = [line["M"] for line in item["lines"]["L"]]
    return Reservation(
        order_id=item["order_id"]["S"],
        state=item["state"]["S"],
        lines=tuple(OrderLine(line["sku"]["S"], int(line["quantity"]["N"])) for line in lines),
        reason=item["reason"]["S"] if "reason" in item else None,
        at=item["at"]["S"],
    )


def _why_canceled(reservations: Sequence[Reservation], error: ClientError) -> Exception:
    """Read the reasons of a cancelled transaction: one an action, in their order."""
    reasons = error.response["CancellationReasons"]
    codes = sorted({str(reason["Code"]) for reason in reasons} - {"None"})
    if PASSING.issuperset(codes):
        return BusyError(f"transaction cancelled: {', '.join(codes)}")
    if len(reservations) > 1:
        return TransactionCancelledError()
    if _CONDITION_FAILED not in codes:
        return error
    (reservation,), (own, *lines) = reservations, reasons
    if own["Code"] == _CONDITION_FAILED:
        return ConflictError(reservation.order_id)
    return OutOfStockError(
        {
            line.sku: _available(reason)
            for line, reason in zip(reservation.lines, lines, strict=True)
            if reason["Code"] == _CONDITION_FAILED
        }
    )


def _available(reason: Mapping[str, Any]) -> int | None:
    item = reason.get("Item")
    return int(item["available"]["N"]) if item else None
