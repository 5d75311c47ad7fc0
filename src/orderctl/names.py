"""Names that were typed, and the ones that may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question after a name that is close to what was typed; empty when none is."""
    close = difflib.get_close_matches(typed, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
