"""Copies of a run as it stands, so that another way on from there need not begin anew."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from io import BytesIO
from types import FunctionType
from typing import Any, Final

from simulation.asynchronous import Attempt
from simulation.bus import Event
from simulation.coroutines import Asked, Raised, Returned
from simulation.requests import Request
from simulation.sealed import Sealed
from simulation.witness import ApiAnswer, Change, Handled, Logged, Published, Update

_NEVER_CHANGED: Final = {
    *(Change, Published, Handled, ApiAnswer, Update, Logged),
    *(Event, Attempt, Request, Asked, Returned, Raised),
    *(Sealed, type, FunctionType),
}
"""The types of what stays as it was made: a copy has the same."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a thing and of all that it consists of, but for what all copies share."""

    _text: bytes
    _shared: list[Any]

    @classmethod
    def of(cls, thing: object, shared: frozenset[type]) -> Copy:
        """Copy a thing.

        Args:
            thing: which.
            shared: the types of what is not copied.
        """
        written = BytesIO()
        pickler = _Pickler(written, shared)
        pickler.dump(thing)
        return cls(written.getvalue(), pickler.kept)

    def thing(self) -> Any:  # noqa: ANN401 - whatever was copied
        """Another one, as it was."""
        _kept_here[:] = self._shared
        return pickle.loads(self._text)  # noqa: S301 - it was written above


_kept_here: Final[list[Any]] = []
"""What is shared by the copy that is being read."""


class _Pickler(pickle.Pickler):
    def __init__(self, written: BytesIO, shared: frozenset[type]) -> None:
        super().__init__(written, pickle.HIGHEST_PROTOCOL)
        self._shared = shared | _NEVER_CHANGED
        self.kept: list[Any] = []

    def reducer_override(self, value: Any) -> Any:  # noqa: ANN401 - anything
        if type(value) not in self._shared or value is _shared:
            return NotImplemented
        self.kept.append(value)
        return _shared, (len(self.kept) - 1,)


def _shared(number: int) -> object:
    return _kept_here[number]
