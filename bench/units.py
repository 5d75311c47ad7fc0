"""Read and write units, as DynamoDB bills them on demand.

The rules are those of "DynamoDB read and write operations" in its developer guide: a write unit
is 1 KB of the larger of an item before and after, a read unit 4 KB; an eventually consistent read
costs half, a transaction twice; an index entry that is made, moved or taken away is a write.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from bench.setting import INDEXED, KEYS

Key = tuple[str, str, str]
"""Table, key attribute, value."""

_WRITE_UNIT: Final = 1024
_READ_UNIT: Final = 4096
_INSERT: Final = re.compile(r'INSERT INTO "([^"]+)" VALUE \{(.*)\}')
_UPDATE: Final = re.compile(r'UPDATE "([^"]+)" (.*?)"(\w+)"=\? AND')


@dataclass(slots=True)
class Units:
    """What was used."""

    writes: Counter[str] = field(default_factory=Counter)
    """Write units by table."""
    reads: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Read units by table."""
    items: int = 0
    """Items read or written, found or not."""
    events: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "write_units": dict(self.writes),
            "read_units": dict(self.reads),
            "items": self.items,
            "events": self.events,
        }

    def touched(self, operation: str, arguments: dict[str, Any]) -> list[Key]:
        """The items that a call reads or writes."""
        match operation:
            case "PutItem" | "GetItem" | "UpdateItem" | "DeleteItem":
                return [_key(arguments)]
            case "BatchGetItem":
                return [
                    _key({"TableName": table, "Key": key})
                    for table, wanted in arguments["RequestItems"].items()
                    for key in wanted["Keys"]
                ]
            case "TransactWriteItems":
                actions = [next(iter(action.values())) for action in arguments["TransactItems"]]
                return [_key(action) for action in actions]
            case "BatchExecuteStatement":
                return [_statement_key(statement) for statement in arguments["Statements"]]
            case _:
                raise ValueError(f"units of {operation} cannot be counted")

    def count(
        self, operation: str, arguments: dict[str, Any], before: list[Any], after: list[Any]
    ) -> None:
        """Add what a call used.

        Args:
            operation: its name.
            arguments: its request.
            before: the items it touches as they were, in the order of ``touched``.
            after: the same as they are.
        """
        keys = self.touched(operation, arguments)
        self.items += len(keys)
        for (table, _, _), was, now in zip(keys, before, after, strict=True):
            if operation in ("GetItem", "BatchGetItem"):
                asked = arguments.get("RequestItems", {}).get(table, arguments)
                units = max(math.ceil(size(was) / _READ_UNIT), 1)
                self.reads[table] += units if asked.get("ConsistentRead") else units / 2
                continue
            units = max(math.ceil(max(size(was), size(now)) / _WRITE_UNIT), 1)
            self.writes[table] += units * (2 if operation == "TransactWriteItems" else 1)
            for index in INDEXED.get(table, ()):
                self.writes[f"{table} (index {index[0]})"] += _entry_writes(index, was, now)


def size(item: dict[str, Any] | None) -> int:
    """The bytes of an item, by "DynamoDB item sizes and formats" in the developer guide."""
    return sum(len(name.encode()) + _value_size(v) for name, v in (item or {}).items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content.strip("-0.")) // 2 + 1
        case "L":
            return 3 + sum(1 + _value_size(element) for element in content)
        case "M":
            return 3 + len(content) + size(content)
        case _:
            return 1


def _entry_writes(
    index: tuple[str, ...], was: dict[str, Any] | None, now: dict[str, Any] | None
) -> int:
    entries = [tuple((item or {}).get(name, {}).get("S") for name in index) for item in (was, now)]
    before, after = (entry if all(entry) else None for entry in entries)
    if before == after:
        return 0
    return (before is not None) + (after is not None)


def _key(action: dict[str, Any]) -> Key:
    table = action["TableName"]
    name = KEYS[table]
    holder = action["Key"] if "Key" in action else action["Item"]
    return table, name, holder[name]["S"]


def _statement_key(statement: dict[str, Any]) -> Key:
    """The item that a PartiQL statement of ours is about."""
    text, values = statement["Statement"], statement["Parameters"]
    if inserted := _INSERT.match(text):
        table, fields = inserted.groups()
        names = re.findall(r"'(\w+)': \?", fields)
        return table, KEYS[table], dict(zip(names, values, strict=True))[KEYS[table]]["S"]
    updated = _UPDATE.match(text)
    if not updated:
        raise ValueError(f"units of this statement cannot be counted: {text}")
    table, sets, name = updated.groups()
    return table, name, values[sets.count("?")]["S"]
