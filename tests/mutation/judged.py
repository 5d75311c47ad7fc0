"""The survivors that somebody has looked at."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("survivors.toml")


def judged() -> dict[str, str]:
    """Why each judged survivor changes nothing, by the mutant's id."""
    listed = tomllib.loads(_FILE.read_text())
    return {mutant: why for why, mutants in listed.items() for mutant in map(str.strip, mutants)}
