"""Calls of functions that did not live to see them answered, and that come too late to do anything.

Such a call may take effect at any later moment, or so it seems: most are made on the condition that
a record is still what the function had read. When that has gone by, it never comes back: versions
grow, a payment and a reservation never return to a state that they have left, and no record is
deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from simulation.dynamodb import written_by
from simulation.requests import Request
from simulation.witness import Item

Records = Callable[[str], Mapping[str, Item]]
"""What is in a table, by key."""

_NEVER_COME_BACK: Final = {"order_id", "state", "version"}


def is_spent(
    request: Request, keys: Mapping[str, str], records: Records, cancelled: Collection[str]
) -> bool:
    """Whether a call changes nothing, whenever it is made.

    Args:
        request: the call.
        keys: the key attribute by table name.
        records: what is on record now.
        cancelled: the orders of which the card processor was asked to give the money back.
    """
    arguments = request.arguments
    match request.operation:
        case "BatchExecuteStatement":
            statements = arguments["Statements"]
            return all(_statement_is_spent(statement, keys, records) for statement in statements)
        case "TransactWriteItems":
            actions = [what for action in arguments["TransactItems"] for what in action.values()]
            return any(_action_is_spent(action, keys, records) for action in actions)
        case "cancel":
            return request.orders <= set(cancelled)
        case _:
            return False


def _statement_is_spent(
    statement: Mapping[str, Any], keys: Mapping[str, str], records: Records
) -> bool:
    table, key = written_by(statement, keys)
    record = records(table).get(key)
    text, parameters = statement["Statement"], statement["Parameters"]
    if text.startswith("INSERT"):
        return record is not None
    names = re.findall(r'"(\w+)"=\?', text.partition(" WHERE ")[2])
    if record is None or not _NEVER_COME_BACK.issuperset(names):
        return False
    values = parameters[-len(names) :]
    return any(record.get(name) != value for name, value in zip(names, values, strict=True))


def _action_is_spent(action: Mapping[str, Any], keys: Mapping[str, str], records: Records) -> bool:
    """Of a transaction, of which all actions fail if one does."""
    key = keys[action["TableName"]]
    record = records(action["TableName"]).get(action.get("Key", action.get("Item"))[key]["S"])
    match action.get("ConditionExpression"):
        case "attribute_not_exists(order_id)":
            return record is not None
        case "#state = :before":
            before = action["ExpressionAttributeValues"][":before"]
            return record is not None and record["state"] != before
        case _:
            return False
