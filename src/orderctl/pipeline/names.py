"""Finds things by the name that a user typed, and suggests similar names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from orderctl.errors import OrderctlError


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question that suggests a similar name; empty when there is none."""
    close = difflib.get_close_matches(typed, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def find(typed: str, known: Sequence[str], prefix: str, *, what: str) -> str:
    """Find a name, typed with or without the stack's prefix.

    Args:
        typed: the name as it was typed.
        known: the existing names.
        prefix: the stack's prefix.
        what: the kind of thing that is named, such as function.

    Raises:
        OrderctlError: there is no such name.
    """
    for name in (typed, prefix + typed):
        if name in known:
            return name
    short = [name.removeprefix(prefix) for name in known]
    raise OrderctlError(
        f"There is no {what} {typed}.{did_you_mean(typed.removeprefix(prefix), short)} "
        f"The {what}s are: {', '.join(short)}"
    )
