"""The one way to replace a function, or a setting, inside MiniStack.

MiniStack's version is pinned by hash, so its internal functions can be relied on. Still, a new pin
must not silently turn a supplement off: a missing seam stops the server at once, and so does a
version other than the one that the supplements were written for.
"""

import importlib.metadata
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

MINISTACK_VERSION = "1.5.33"


def check_version() -> None:
    """Check that this is the version of MiniStack that the supplements were written for.

    Raises:
        RuntimeError: It is another version.
    """
    installed = importlib.metadata.version("ministack")
    if installed != MINISTACK_VERSION:
        raise RuntimeError(
            f"The local cloud's supplements fit MiniStack {MINISTACK_VERSION}, not {installed}"
        )


def original(module: ModuleType, name: str) -> Callable[..., Any]:
    """MiniStack's own function at a seam.

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
