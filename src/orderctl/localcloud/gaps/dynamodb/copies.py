"""Items are copied as what they are: JSON.

MiniStack 1.5.33 copies an item several times for each write, by `copy.deepcopy`, which looks for
all that any object can be. Items are dictionaries, lists and texts.
"""

import copy
from types import SimpleNamespace
from typing import Any

from ministack.services import dynamodb

from orderctl.localcloud import seams

_UNCHANGING = frozenset({str, bytes, int, float, bool, type(None)})


def install() -> None:
    """Copy items so."""
    seams.replace(dynamodb, "copy", SimpleNamespace(deepcopy=copied))


def copied(value: Any) -> Any:  # noqa: ANN401 - any value
    """A copy of a value, and of all in it."""
    kind = type(value)
    if kind is dict:
        return {name: copied(of) for name, of in value.items()}
    if kind is list:
        return [copied(each) for each in value]
    return value if kind in _UNCHANGING else copy.deepcopy(value)
