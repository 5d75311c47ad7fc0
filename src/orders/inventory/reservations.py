"""The tables ``reservations`` (one item an order) and ``stock`` (one item a SKU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orders.aws.dynamodb import Item, Statement, insert, read_all, update, write_all
from orders.events import OrderLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ReservationState = Literal["reserved", "rejected", "released", "voided"]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order holds of the stock, or why it holds nothing."""

    order_id: str
    state: ReservationState
    lines: tuple[OrderLine, ...]
    reason: str | None
    at: str
    """Since when."""


class ConflictError(Exception):
    """The reservation is not what it was when it was read; nothing was changed."""


class BusyError(Exception):
    """Other transactions were writing the same items; nothing was changed, and a retry may do."""


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

    def find(self, order_ids: Sequence[str]) -> tuple[dict[str, Reservation], set[str]]:
        """Read the reservations of orders, with one call.

        Args:
            order_ids: at most 100, each once.

        Returns:
            The reservations that exist, by order id; and the orders DynamoDB did not answer for.

        Raises:
            ClientError, BotoCoreError: the call failed.
        """
        items, left_out = read_all(self.client, self.table, order_ids)
        return {order_id: _reservation(item) for order_id, item in items.items()}, left_out

    def write(self, changes: Sequence[tuple[Reservation | None, Reservation]]) -> list[str | None]:
        """Write reservations that move no stock, with one call.

        Each is written only if its record is still what it was.

        Args:
            changes: what is on record (None: nothing), and what is to be.

        Returns:
            For each None, CONFLICT if somebody wrote first, or why else it was not written.
        """
        return write_all(self.client, [self._statement(before, now) for before, now in changes])

    def take(self, reservation: Reservation) -> None:
        """Take all lines from the stock and write the reservation, in one transaction.

        Raises:
            ConflictError: the order has a reservation already.
            OutOfStockError: some lines cannot be covered.
            BusyError: the transaction met another one.
            ClientError, BotoCoreError: the call failed.
        """
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self.table,
                "Item": _item(reservation),
                "ConditionExpression": "attribute_not_exists(order_id)",
            }
        }
        self._transact(reservation, put, [self._take_line(line) for line in reservation.lines])

    def put_back(self, released: Reservation) -> None:
        """Put all lines into the stock again and mark the reservation, in one transaction.

        Raises:
            ConflictError: the order's reservation is not reserved any more.
            BusyError: the transaction met another one.
            ClientError, BotoCoreError: the call failed.
        """
        mark: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self.table,
                "Key": {"order_id": {"S": released.order_id}},
                "UpdateExpression": "SET #state = :released, #at = :at",
                "ConditionExpression": "#state = :reserved",
                "ExpressionAttributeNames": {"#state": "state", "#at": "at"},
                "ExpressionAttributeValues": {
                    ":released": {"S": released.state},
                    ":reserved": {"S": "reserved"},
                    ":at": {"S": released.at},
                },
            }
        }
        self._transact(released, mark, [self._put_back_line(line) for line in released.lines])

    def _transact(
        self,
        reservation: Reservation,
        own: TransactWriteItemTypeDef,
        lines: list[TransactWriteItemTypeDef],
    ) -> None:
        try:
            self.client.transact_write_items(TransactItems=[own, *lines])
        except self.client.exceptions.TransactionCanceledException as error:
            raise _why_canceled(reservation, error) from error

    def _statement(self, before: Reservation | None, now: Reservation) -> Statement:
        if before is None:
            return insert(self.table, _item(now))
        return update(
            self.table,
            ("order_id", now.order_id),
            {"state": {"S": now.state}, "at": {"S": now.at}},
            condition=("state", {"S": before.state}),
        )

    def _take_line(self, line: OrderLine) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self.stock_table,
                "Key": {"sku": {"S": line.sku}},
                "UpdateExpression": "SET available = available - :quantity",
                "ConditionExpression": "available >= :quantity",
                "ExpressionAttributeValues": {":quantity": {"N": str(line.quantity)}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _put_back_line(self, line: OrderLine) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self.stock_table,
                "Key": {"sku": {"S": line.sku}},
                "UpdateExpression": "SET available = available + :quantity",
                "ExpressionAttributeValues": {":quantity": {"N": str(line.quantity)}},
            }
        }


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


def _why_canceled(reservation: Reservation, error: ClientError) -> Exception:
    """Read the reasons of a cancelled transaction: one an action, in their order."""
    own, *lines = error.response["CancellationReasons"]
    if own.get("Code") == "ConditionalCheckFailed":
        return ConflictError(reservation.order_id)
    short = {
        line.sku: _available(reason)
        for line, reason in zip(reservation.lines, lines, strict=True)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if short:
        return OutOfStockError(short)
    codes = sorted({str(reason["Code"]) for reason in (own, *lines)} - {"None"})
    return BusyError(f"transaction cancelled: {', '.join(codes)}")


def _available(reason: Mapping[str, Any]) -> int | None:
    item = reason.get("Item")
    return int(item["available"]["N"]) if item else None
