"""DynamoDB: many items read, and many conditional writes made, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, cast

from orders.aws.errors import AwsError
from orders.aws.items import UnreadableRecordError, to_item
from orders.aws.parts import parts
from orders.aws.patience import UNPROCESSED, try_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef

    from orders.aws.context import Context
    from orders.aws.items import Item

T = TypeVar("T")

CONFLICT: Final = "somebody else wrote first"
"""Why a write was not made whose condition did not hold."""
_STATEMENTS_A_CALL: Final = 25
"""As many as ``BatchExecuteStatement`` takes."""
_KEYS_A_CALL: Final = 100
"""As many as ``BatchGetItem`` takes."""
_CONFLICT_CODES: Final = frozenset({"DuplicateItem", "ConditionalCheckFailed"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One conditional write."""

    text: str
    parameters: list[Any]


class StateRecord(Protocol):
    """A record of an order of which only the state changes once it is written."""

    @property
    def order_id(self) -> str:
        """Whose record it is."""
        ...

    @property
    def state(self) -> str:
        """Such as ``charged``."""
        ...

    @property
    def at(self) -> str:
        """Since when it is in this state."""
        ...


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


def change_state(table: str, before: StateRecord | None, now: StateRecord) -> Statement:
    """Write a record if its state is still what it was.

    Args:
        table: the table's name; its key is ``order_id``.
        before: what is on record, if anything.
        now: what is to be.
    """
    if before is None:
        return insert(table, to_item(now))
    return update(
        table,
        ("order_id", now.order_id),
        {"state": {"S": now.state}, "at": {"S": now.at}},
        condition=("state", {"S": before.state}),
    )


def write_all(
    client: DynamoDBClient, statements: Mapping[str, Statement], context: Context
) -> dict[str, str]:
    """Make conditional writes with as few calls as possible, at one write unit each.

    A call answers 200 with failures inside, one answer a statement and in their order. What was
    refused for a transient reason is tried again. The write may have been made all the same: then
    the next try meets it, and the answer is CONFLICT.

    Args:
        client: a DynamoDB client.
        statements: by order id, no two for one item.
        context: the invocation's.

    Returns:
        By order id, CONFLICT when its condition did not hold, or why else it was not written.
    """
    if not statements:
        return {}

    def attempt(some: Sequence[Statement]) -> list[str | None]:
        return [code for call in parts(some, _STATEMENTS_A_CALL) for code in execute(call)]

    def execute(some: Sequence[Statement]) -> list[str | None]:
        try:
            answer = client.batch_execute_statement(
                Statements=[{"Statement": s.text, "Parameters": s.parameters} for s in some]
            )
        except AwsError as error:
            return [error.code] * len(some)
        return [response.get("Error", {}).get("Code") for response in answer["Responses"]]

    codes = try_all(list(statements.values()), attempt, context)
    return {
        order_id: CONFLICT if code in _CONFLICT_CODES else f"{code} from BatchExecuteStatement"
        for order_id, code in zip(statements, codes, strict=True)
        if code
    }


class Source(NamedTuple):
    """A table, and how it is read."""

    table: str
    key: str
    """The name of its key."""
    is_consistent: bool = True
    """Or at half the price, and perhaps as it was a moment ago."""


Key = tuple[Source, str]
"""A key, and where it is looked up."""


def get_items(
    client: DynamoDBClient, keys: Sequence[Key], context: Context
) -> tuple[dict[Key, Item], dict[Key, str]]:
    """Read items of one table or several, with as few calls as possible.

    Args:
        client: a DynamoDB client.
        keys: each once.
        context: the invocation's. While there is time DynamoDB is asked again for what it left out.

    Returns:
        The items that exist; and why one could not be read.
    """
    found: dict[Key, Item] = {}
    sources = {source.table: source for source, _ in keys}

    def attempt(some: Sequence[Key]) -> list[str | None]:
        return [code for call in parts(some, _KEYS_A_CALL) for code in get(call)]

    def get(some: Sequence[Key]) -> list[str | None]:
        wanted: dict[str, KeysAndAttributesTypeDef] = {}
        for (table, name, is_consistent), key in some:
            if table not in wanted:
                wanted[table] = {"Keys": [], "ConsistentRead": is_consistent}
            cast("list[Item]", wanted[table]["Keys"]).append({name: {"S": key}})
        try:
            answer = client.batch_get_item(RequestItems=wanted)
        except AwsError as error:
            return [error.code] * len(some)
        for table, items in answer["Responses"].items():
            source = sources[table]
            found.update(((source, item[source.key]["S"]), item) for item in items)
        left_out = {
            (sources[table], key[sources[table].key]["S"])
            for table, rest in answer.get("UnprocessedKeys", {}).items()
            for key in rest["Keys"]
        }
        return [UNPROCESSED if key in left_out else None for key in some]

    codes = try_all(keys, attempt, context)
    refusals = {
        key: f"{code} from BatchGetItem" for key, code in zip(keys, codes, strict=True) if code
    }
    return found, refusals


def read_all(
    client: DynamoDBClient,
    table: str,
    order_ids: Sequence[str],
    read: Callable[[Item], T],
    context: Context,
) -> tuple[dict[str, T], dict[str, str]]:
    """Read records by order id, as they are now, with as few calls as possible.

    Args:
        client: a DynamoDB client.
        table: a table whose key is ``order_id``.
        order_ids: each once.
        read: makes a record of an item, or raises UnreadableRecordError.
        context: the invocation's. While there is time DynamoDB is asked again for what it left out.

    Returns:
        The records that exist, by order id; and, by order id, why one could not be read.
    """
    source = Source(table, "order_id")
    items, refused = get_items(client, [(source, order_id) for order_id in order_ids], context)
    return read_records(source, items, refused, read)


def read_records(
    source: Source,
    items: Mapping[Key, Item],
    refused: Mapping[Key, str],
    read: Callable[[Item], T],
) -> tuple[dict[str, T], dict[str, str]]:
    """Make records of what ``get_items`` has read of a table, by key; and say why not of each."""
    records: dict[str, T] = {}
    refusals = {key: why for (place, key), why in refused.items() if place == source}
    for (place, key), item in items.items():
        if place != source:
            continue
        try:
            records[key] = read(item)
        except UnreadableRecordError as error:
            refusals[key] = f"its record in {source.table} cannot be read: {error}"
    return records, refusals
