"""The four tables, read for an audit: page by page, or by order id."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from orders.audit.decisions import Books, StockLevel, Unreadable, add_up
from orders.audit.records import read_order, read_payment, read_reservation, read_stock
from orders.aws.parts import parts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.items import Item

SEGMENTS: Final = 8
"""In how many segments a table is scanned."""
_KEYS_A_CALL: Final = 100
"""As many as ``BatchGetItem`` takes."""
_PAUSE_SECONDS: Final = 1.0
# In this order: an order's payment is written before its end is.
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "payment": read_payment,
    "reservation": read_reservation,
    "order": read_order,
}
RECORDS: Final = tuple(_READERS)
"""What an audit reads of an order."""


@dataclass(frozen=True, slots=True)
class TableNames:
    """What the tables are called."""

    order: str
    payment: str
    reservation: str
    stock: str

    def of(self, record: str) -> str:
        """The table with one of RECORDS."""
        return {"order": self.order, "payment": self.payment}.get(record, self.reservation)


class Tables:
    """Reads the tables, and writes nothing."""

    def __init__(self, client: DynamoDBClient, names: TableNames) -> None:
        """Take the tables' names."""
        self.names = names
        self.read_units = 0.0
        """How many were consumed so far, as DynamoDB says."""
        self._client = client
        self._record_of = {names.of(record): record for record in RECORDS}

    def page(
        self,
        table: str,
        start: Item | None,
        **parameters: Any,  # noqa: ANN401
    ) -> tuple[list[Item], Item | None]:
        """One page of a scan.

        Args:
            table: its name.
            start: the key that the page before gave, if there was one.
            **parameters: more of ``Scan``.

        Returns:
            The items, and the key for the next page; None when this was the last.

        Raises:
            AwsError: the call failed.
        """
        if start:
            parameters["ExclusiveStartKey"] = start
        answer = self._client.scan(TableName=table, ReturnConsumedCapacity="TOTAL", **parameters)
        self.read_units += answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)
        return answer["Items"], answer.get("LastEvaluatedKey")

    def read(
        self,
        order_ids: Collection[str],
        records: Collection[str] = RECORDS,
        *,
        is_consistent: bool = True,
    ) -> dict[str, Books]:
        """What the tables say of orders now; of one that they do not know, nothing.

        Args:
            order_ids: each once.
            records: which of RECORDS are read.
            is_consistent: or at half the price.

        Raises:
            AwsError: a call failed.
        """
        found = {order_id: Books(order_id) for order_id in order_ids}
        for some in parts(list(order_ids), _KEYS_A_CALL // len(records)):
            keys = [{"order_id": {"S": order_id}} for order_id in some]
            wanted: Any = {
                self.names.of(record): {"Keys": keys, "ConsistentRead": is_consistent}
                for record in records
            }
            while wanted:
                answer = self._client.batch_get_item(
                    RequestItems=wanted, ReturnConsumedCapacity="TOTAL"
                )
                consumed = answer.get("ConsumedCapacity", [])
                self.read_units += sum(table.get("CapacityUnits", 0) for table in consumed)
                for table, items in answer["Responses"].items():
                    for item in items:
                        note(found, item, self._record_of[table])
                if wanted := answer.get("UnprocessedKeys"):
                    time.sleep(_PAUSE_SECONDS)
        return found

    def stock(self) -> dict[str, StockLevel | Unreadable]:
        """What there is of each SKU now.

        Raises:
            AwsError: a call failed.
        """
        shelves: dict[str, StockLevel | Unreadable] = {}
        start: Item | None = None
        while True:
            items, start = self.page(self.names.stock, start, ConsistentRead=True)
            shelves |= {item["sku"]["S"]: read_stock(item) for item in items}
            if not start:
                return add_up(shelves)


def note(found: dict[str, Books], item: Item, record: str) -> None:
    """Add an item to what is known of its order.

    Args:
        found: by order id.
        item: of the table with this record.
        record: one of RECORDS.
    """
    order_id = item["order_id"]["S"]
    value: dict[str, Any] = {record: _READERS[record](item)}
    found[order_id] = replace(found.get(order_id) or Books(order_id), **value)
