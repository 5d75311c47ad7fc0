"""The modules that are changed: all that the functions are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
SOURCES: Final = TESTS.parent / "src"

LEFT_OUT: Final[dict[str, str]] = {}
"""Modules that are not changed, each with why."""


def targets() -> list[str]:
    """The modules of the functions, by name, but for those that are left out."""
    paths = sorted((SOURCES / "orders").rglob("*.py"))
    names = [".".join(path.relative_to(SOURCES).with_suffix("").parts) for path in paths]
    return [name for name in names if name not in LEFT_OUT and not name.endswith("__init__")]


def file_of(module: str) -> Path:
    """Where a module's source is."""
    return SOURCES.joinpath(*module.split(".")).with_suffix(".py")


def source_of(module: str) -> str:
    """The source of a module."""
    return file_of(module).read_text()
