"""DynamoDB: many items read, and many conditional writes made, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws.clients import AWS_ERRORS, reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

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


def write_all(client: DynamoDBClient, statements: Sequence[Statement]) -> list[str | None]:
    """Make conditional writes in one call, at one write unit each.

    The call answers 200 with failures inside, one answer a statement and in their order.

    Args:
        client: a DynamoDB client.
        statements: at most 25, no two for one item.

    Returns:
        For each statement None when it was written, CONFLICT when its condition did not hold, or
        why else it was not written.
    """
    if not statements:
        return []
    try:
        answer = client.batch_execute_statement(
            Statements=[{"Statement": s.text, "Parameters": s.parameters} for s in statements]
        )
    except AWS_ERRORS as error:
        return [reason(error)] * len(statements)
    return [_refusal(response.get("Error", {}).get("Code")) for response in answer["Responses"]]


def _refusal(code: str | None) -> str | None:
    if code in _CONFLICT_CODES:
        return CONFLICT
    return code and f"{code} from BatchExecuteStatement"


def read_all(
    client: DynamoDBClient, table: str, order_ids: Sequence[str]
) -> tuple[dict[str, Item], set[str]]:
    """Read items by order id in one call, as they are now.

    Args:
        client: a DynamoDB client.
        table: a table whose key is ``order_id``.
        order_ids: at most 100, each once.

    Returns:
        The items that exist, by order id; and the orders DynamoDB did not answer for.

    Raises:
        ClientError, BotoCoreError: the call failed.
    """
    keys = [{"order_id": {"S": order_id}} for order_id in order_ids]
    answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    items = {item["order_id"]["S"]: item for item in answer["Responses"].get(table, [])}
    left_out = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})["Keys"]
    return items, {str(key["order_id"]["S"]) for key in left_out}
