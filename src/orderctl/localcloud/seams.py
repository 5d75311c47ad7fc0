"""The one way to replace a function, or a setting, inside MiniStack.

MiniStack's version is pinned by hash, so an internal function can be relied on; still, a renewed
pin must not turn a supplement off in silence. A seam that is not there stops the server at once,
and so does another version than the one the supplements were written against.
"""

import importlib.metadata
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

MINISTACK_VERSION = "1.5.33"


def check_version() -> None:
    """Make sure that this is the MiniStack whose inside the supplements know.

    Raises:
        RuntimeError: It is another one.
    """
    installed = importlib.metadata.version("ministack")
    if installed != MINISTACK_VERSION:
        raise RuntimeError(
            f"The local cloud's supplements fit MiniStack {MINISTACK_VERSION}, not {installed}"
        )


def original(module: ModuleType, name: str) -> Callable[..., Any]:
    """The function that stands behind a seam.

    Raises:
        RuntimeError: MiniStack has no such thing (any more).
    """
    if not hasattr(module, name):
        raise RuntimeError(
            f"MiniStack has no {module.__name__}.{name}: the local cloud's supplements do not "
            "fit this version"
        )
    function: Callable[..., Any] = getattr(module, name)
    return function


def replace(module: ModuleType, name: str, replacement: object) -> None:
    """Put `replacement` where MiniStack looks up one of its functions or settings."""
    original(module, name)
    setattr(module, name, replacement)


def replace_everywhere(module: ModuleType, name: str, replacement: object) -> None:
    """Replace a function of MiniStack also in the modules that have imported it by its name."""
    replaced = original(module, name)
    replace(module, name, replacement)
    for importer in [*sys.modules.values()]:
        if importer.__name__.startswith("ministack.") and vars(importer).get(name) is replaced:
            replace(importer, name, replacement)
