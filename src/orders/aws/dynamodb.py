"""DynamoDB: many items read, and many conditional writes made, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws.clients import AWS_ERRORS, code_of
from orders.aws.patience import UNPROCESSED, try_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from orders.aws.context import Context

Item = dict[str, Any]
"""An item as the low-level API spells it: ``{"order_id": {"S": "order-1"}}``."""

CONFLICT: Final = "somebody else wrote first"
"""What has become of a write whose condition did not hold."""
_CONFLICT_CODES: Final = frozenset({"DuplicateItem", "ConditionalCheckFailed"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One conditional write."""

    text: str
    parameters: list[Any]


def insert(table: str, item: Mapping[str, Any]) -> Statement:
    """Write an item unless its key is taken: a PartiQL INSERT never overwrites."""
    fields = ", ".join(f"'{name}': ?" for name in item)
    return Statement(f'INSERT INTO "{table}" VALUE {{{fields}}}', list(item.values()))


def update(
    table: str,
    key: tuple[str, str],
    changes: Mapping[str, Any],
    *,
    removed: Sequence[str] = (),
    condition: tuple[str, Any],
) -> Statement:
    """Change an item's attributes if one of them still has a value.

    Args:
        table: the table's name.
        key: the name and the value of the item's key.
        changes: attribute values as the low-level API spells them.
        removed: attributes to take away.
        condition: the attribute, and the value it must have.
    """
    sets = " ".join(f'SET "{name}"=?' for name in changes)
    removes = "".join(f' REMOVE "{name}"' for name in removed)
    where = f'WHERE "{key[0]}"=? AND "{condition[0]}"=?'
    return Statement(
        f'UPDATE "{table}" {sets}{removes} {where}',
        [*changes.values(), {"S": key[1]}, condition[1]],
    )


def write_all(
    client: DynamoDBClient, statements: Sequence[Statement], context: Context
) -> list[str | None]:
    """Make conditional writes in one call, at one write unit each.

    The call answers 200 with failures inside, one answer a statement and in their order. What was
    refused for a passing reason is tried again. A write may have been made all the same: then the
    next try meets it, and the answer is CONFLICT.

    Args:
        client: a DynamoDB client.
        statements: at most 25, no two for one item.
        context: the invocation's.

    Returns:
        For each statement None when it was written, CONFLICT when its condition did not hold, or
        why else it was not written.
    """
    if not statements:
        return []

    def attempt(some: Sequence[Statement]) -> list[str | None]:
        try:
            answer = client.batch_execute_statement(
                Statements=[{"Statement": s.text, "Parameters": s.parameters} for s in some]
            )
        except AWS_ERRORS as error:
            return [code_of(error)] * len(some)
        return [response.get("Error", {}).get("Code") for response in answer["Responses"]]

    return [_refusal(code) for code in try_all(statements, attempt, context)]


def _refusal(code: str | None) -> str | None:
    if code in _CONFLICT_CODES:
        return CONFLICT
    return code and f"{code} from BatchExecuteStatement"


def read_all(
    client: DynamoDBClient, table: str, order_ids: Sequence[str], context: Context
) -> tuple[dict[str, Item], dict[str, str]]:
    """Read items by order id in one call, as they are now.

    Args:
        client: a DynamoDB client.
        table: a table whose key is ``order_id``.
        order_ids: at most 100, each once.
        context: the invocation's. While there is time DynamoDB is asked again for what it left out.

    Returns:
        The items that exist, by order id; and, by order id, why DynamoDB gave no answer.
    """
    items: dict[str, Item] = {}

    def attempt(some: Sequence[str]) -> list[str | None]:
        keys = [{"order_id": {"S": order_id}} for order_id in some]
        try:
            answer = client.batch_get_item(
                RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
            )
        except AWS_ERRORS as error:
            return [code_of(error)] * len(some)
        items.update((item["order_id"]["S"], item) for item in answer["Responses"].get(table, []))
        left = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})["Keys"]
        left_out = {key["order_id"]["S"] for key in left}
        return [UNPROCESSED if order_id in left_out else None for order_id in some]

    codes = try_all(order_ids, attempt, context)
    reasons = {
        order_id: f"{code} from BatchGetItem"
        for order_id, code in zip(order_ids, codes, strict=True)
        if code
    }
    return items, reasons
