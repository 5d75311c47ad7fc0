"""The tables ``reservations`` (one item an order, written once) and ``stock`` (one item a SKU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from orders.aws.dynamodb import insert_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from orders.events import OrderLine


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order holds of the stock, or why it holds nothing."""

    order_id: str
    state: Literal["reserved", "rejected"]
    lines: tuple[OrderLine, ...]
    reason: str | None
    at: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The stock was taken and the reservation written, both or neither."""


@dataclass(frozen=True, slots=True)
class AlreadyReserved:
    """Another delivery of the same order wrote first; nothing was changed."""


@dataclass(frozen=True, slots=True)
class OutOfStock:
    """Some lines cannot be covered; nothing was changed."""

    available: dict[str, int | None]
    """What there is of each SKU that fell short, by SKU; None for a SKU that is not known."""


class BusyError(Exception):
    """Other transactions were writing the same items; nothing was changed, and a retry may do."""


@dataclass(frozen=True, slots=True)
class Reservations:
    """The only place that knows both tables' attributes and conditions."""

    client: DynamoDBClient
    table: str
    stock_table: str

    def record(self, reservations: Sequence[Reservation]) -> list[str | None]:
        """Write reservations that take no stock and are not there yet, with one call.

        Returns:
            For each None, or DynamoDB's error code; ``DuplicateItem`` when the order has one.

        Raises:
            ClientError, BotoCoreError: the whole call failed.
        """
        return insert_all(self.client, self.table, [_item(r) for r in reservations])

    def take(self, reservation: Reservation) -> Taken | AlreadyReserved | OutOfStock:
        """Take all lines from the stock and write the reservation, in one transaction.

        Raises:
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
        try:
            self.client.transact_write_items(
                TransactItems=[put, *(self._take_line(line) for line in reservation.lines)]
            )
        except self.client.exceptions.TransactionCanceledException as error:
            return _why_canceled(reservation, error)
        return Taken()

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


def _item(reservation: Reservation) -> dict[str, Any]:
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


def _why_canceled(
    reservation: Reservation, error: ClientError
) -> Taken | AlreadyReserved | OutOfStock:
    """Read the reasons of a cancelled transaction: one an action, in their order."""
    own, *lines = error.response["CancellationReasons"]
    if own.get("Code") == "ConditionalCheckFailed":
        return AlreadyReserved()
    short = {
        line.sku: _available(reason)
        for line, reason in zip(reservation.lines, lines, strict=True)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if short:
        return OutOfStock(short)
    codes = sorted({str(reason["Code"]) for reason in (own, *lines)} - {"None"})
    raise BusyError(f"transaction cancelled: {', '.join(codes)}") from error


def _available(reason: Mapping[str, Any]) -> int | None:
    item = reason.get("Item")
    return int(item["available"]["N"]) if item else None
