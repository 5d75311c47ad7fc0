"""DynamoDB: many conditional writes in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

DUPLICATE_ITEM: Final = "DuplicateItem"
"""The error code of an INSERT whose key is taken."""


def insert_all(
    client: DynamoDBClient, table: str, items: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    """Insert items whose keys are not taken yet, in one call and at one write unit each.

    A PartiQL INSERT is a conditional put: it never overwrites. The call answers 200 with failures
    inside, one answer a statement and in their order.

    Args:
        client: a DynamoDB client.
        table: the table's name.
        items: at most 25, with different keys; attribute values as the low-level API spells them.

    Returns:
        For each item its error code, or None when it was inserted.

    Raises:
        ClientError, BotoCoreError: the whole call failed.
    """
    if not items:
        return []
    answer = client.batch_execute_statement(
        Statements=[
            {"Statement": _insert_statement(table, item), "Parameters": list(item.values())}
            for item in items
        ]
    )
    return [response.get("Error", {}).get("Code") for response in answer["Responses"]]


def _insert_statement(table: str, item: Mapping[str, Any]) -> str:
    fields = ", ".join(f"'{name}': ?" for name in item)
    return f'INSERT INTO "{table}" VALUE {{{fields}}}'
