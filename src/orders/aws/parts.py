"""What is too much for one call is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")


def parts(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Divide things into parts of at most that many, in their order."""
    for start in range(0, len(things), most):
        yield things[start : start + most]
