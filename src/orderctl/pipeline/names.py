"""Names that were typed, and the ones that may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from orderctl.errors import OrderctlError


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question after a name that is close to what was typed; empty when none is."""
    close = difflib.get_close_matches(typed, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def find(typed: str, known: Sequence[str], prefix: str, *, what: str) -> str:
    """What was meant: a name does without the stack's prefix, too.

    Args:
        typed: as it was typed.
        known: the names there are.
        prefix: what stands before the stack's names.
        what: of what they are the names, such as function.

    Raises:
        OrderctlError: it is none of them.
    """
    for name in (typed, prefix + typed):
        if name in known:
            return name
    short = [name.removeprefix(prefix) for name in known]
    raise OrderctlError(
        f"There is no {what} {typed}.{did_you_mean(typed.removeprefix(prefix), short)} "
        f"There are: {', '.join(short)}"
    )
