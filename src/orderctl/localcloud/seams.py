"""The one way to replace a function inside MiniStack.

MiniStack's version is pinned by hash, so an internal function can be relied on; still, a renewed
pin must not turn a supplement off in silence. A seam that is not there stops the server at once.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any


def original(module: ModuleType, name: str) -> Callable[..., Any]:
    """The function that stands behind a seam.

    Raises:
        RuntimeError: MiniStack has no such function (any more).
    """
    if not hasattr(module, name):
        raise RuntimeError(
            f"MiniStack has no {module.__name__}.{name}: the local cloud's supplements do not "
            "fit this version"
        )
    function: Callable[..., Any] = getattr(module, name)
    return function


def replace(module: ModuleType, name: str, replacement: Callable[..., Any]) -> None:
    """Put `replacement` where MiniStack looks up one of its functions."""
    original(module, name)
    setattr(module, name, replacement)
