"""What functions remember from one invocation to the next: the objects in them that can change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import msgspec

from simulation.rooms import Handler

_PACKAGE = "orders."
_CLIENTS = "orders.aws.wire."
"""What they keep between calls, such as a signing key, decides nothing of what is done."""


class Memory:
    """The memory of all functions; a run begins with none."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        """Find what can change, and keep how it is."""
        self._of_handlers = {id(h): list(_changeable(h)) for h in handlers.values()}
        keepers = [keeper for found in self._of_handlers.values() for keeper in found]
        self._at_first = [(keeper, deepcopy(_kept(keeper))) for keeper in keepers]

    def has(self, handler: object) -> bool:
        """Whether a handler has any."""
        return bool(self._of_handlers[id(handler)])

    def kept(self) -> list[dict[str, Any]]:
        """What is remembered."""
        return [_kept(keeper) for keeper, _ in self._at_first]

    def forget(self) -> None:
        """Have everything as it was when it was loaded."""
        for keeper, at_first in self._at_first:
            for name, value in deepcopy(at_first).items():
                setattr(keeper, name, value)


def _changeable(value: object) -> Iterator[object]:
    """The objects of the package in a value that are not frozen, and that value itself if so."""
    if isinstance(value, tuple | list):
        for element in value:
            yield from _changeable(element)
    module = type(value).__module__
    if not module.startswith(_PACKAGE) or module.startswith(_CLIENTS):
        return
    if not _is_frozen(value):
        yield value
    for attribute in _attributes(value).values():
        yield from _changeable(attribute)


def _is_frozen(value: object) -> bool:
    if isinstance(value, msgspec.Struct):
        return value.__struct_config__.frozen
    return "__setattr__" in vars(type(value))  # as in a frozen dataclass


def _attributes(value: object) -> dict[str, Any]:
    names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _kept(keeper: object) -> dict[str, Any]:
    """Its attributes but for what cannot change."""
    return {
        name: value
        for name, value in _attributes(keeper).items()
        if not callable(value) and not type(value).__module__.startswith((_PACKAGE, "simulation."))
    }
