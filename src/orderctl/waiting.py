"""Waiting for something that is looked at again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

SeenT = TypeVar("SeenT")


def wait_until(
    look: Callable[[], SeenT],
    *,
    patience_seconds: float,
    poll_seconds: float,
    enough: Callable[[SeenT], object] = bool,
) -> SeenT:
    """Look until what is seen is enough, or patience ends.

    Args:
        look: says what is there now.
        patience_seconds: after how long to give up; the last look comes after that.
        poll_seconds: how long to wait between two looks.
        enough: whether what was seen will do; that it is true if not given.

    Returns:
        What was seen last: the caller says what it means when that is not enough.
    """
    deadline = time.monotonic() + patience_seconds
    while not enough(seen := look()) and time.monotonic() < deadline:
        time.sleep(poll_seconds)
    return seen
