"""Writes down what happened, for the invariants to be checked on."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from simulation.sealed import Sealed

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A write that changed an item."""

    seconds: float
    table: str
    key: str
    before: Item | None
    after: Item | None


@dataclass(frozen=True, slots=True)
class Published:
    """An event on the bus."""

    seconds: float
    publisher: str
    """A function's name, or that of somebody outside."""
    detail_type: str
    order_id: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Handled:
    """A message that its function reported as done."""

    seconds: float
    queue: str
    detail_type: str
    order_id: str


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer of the API that reached the client."""

    seconds: float
    method: str
    order_id: str
    request: str
    status: int
    body: Item


@dataclass(frozen=True, slots=True)
class Update:
    """A message that the FIFO topic took."""

    seconds: float
    group: str
    order_id: str
    status: str
    version: int


@dataclass(frozen=True, slots=True)
class Logged:
    """A line in a function's log."""

    seconds: float
    function: str
    level: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Witness:
    """Everything that the invariants need to know of a run."""

    changes: list[Change] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    answers: list[ApiAnswer] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    log: list[Logged] = field(default_factory=list)
    invocations: int = 0

    def __getstate__(self) -> Sealed:
        """What a copy has of it: the same facts, in lists of its own."""
        return Sealed([copy(getattr(self, name.name)) for name in fields(self)])

    def __setstate__(self, state: Sealed) -> None:
        """Have these facts."""
        for name, value in zip(fields(self), state.value, strict=True):
            setattr(self, name.name, copy(value))

    def states(self, table: str, attribute: str) -> dict[str, list[tuple[float, str | None]]]:
        """The values an attribute has had, with the time since when, by key."""
        found: dict[str, list[tuple[float, str | None]]] = defaultdict(list)
        for change in self.changes:
            if change.table == table:
                value = text(change.after, attribute)
                if not found[change.key] or found[change.key][-1][1] != value:
                    found[change.key].append((change.seconds, value))
        return found


def text(item: Item | None, attribute: str) -> str | None:
    """An attribute's text; None when the item or the attribute is not there."""
    return item[attribute]["S"] if item and attribute in item else None


def lines(item: Item | None, attribute: str = "lines") -> dict[str, int]:
    """What a reservation holds, or what was ordered, as quantity by SKU."""
    values = item[attribute]["L"] if item and attribute in item else []
    return {value["M"]["sku"]["S"]: int(value["M"]["quantity"]["N"]) for value in values}


def number(item: Item | None, attribute: str) -> Decimal:
    """An attribute's number; 0 when it is not there."""
    return Decimal(item[attribute]["N"]) if item and attribute in item else Decimal(0)
