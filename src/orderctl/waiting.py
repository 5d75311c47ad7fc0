"""The one function that waits: it looks again and again until what it sees is enough."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

SeenT = TypeVar("SeenT")


def wait_until(
    look: Callable[[], SeenT],
    *,
    poll_seconds: float,
    patience_seconds: float = math.inf,
    enough: Callable[[SeenT], object] = bool,
) -> SeenT:
    """Look until what is seen is enough, or patience ends.

    Args:
        look: returns what is there now.
        poll_seconds: how long to wait between two looks.
        patience_seconds: when to give up; the last look comes after that. Never by default.
        enough: whether what was seen will do; by default any true value.

    Returns:
        What was seen last. The caller decides what it means when that is not enough.
    """
    deadline = time.monotonic() + patience_seconds
    while not enough(seen := look()) and time.monotonic() < deadline:
        time.sleep(poll_seconds)
    return seen
