"""The lessons of docs/learn: what they type, and what they show of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orderctl import paths

README = paths.ROOT / "docs" / "learn" / "README.md"
LESSONS = sorted(README.parent.glob("*.md"))
# These need a running local cloud: tests/local/test_lessons.py types them.
ON_THE_LOCAL_CLOUD = {"06-dead-letters.md", "07-alarms.md", "08-least-privilege.md"}

OMITTED = "…"


def blocks(lesson: Path, language: str) -> Iterator[str]:
    """The blocks of code of a lesson in one language."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    yield from fence.findall(lesson.read_text(encoding="utf-8"))


def commands(lesson: Path) -> Iterator[tuple[str, str]]:
    """The commands that a lesson types, each with what it shows of the output."""
    for block in blocks(lesson, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def is_shown(output: str, shown: str) -> bool:
    """Whether an output is what is shown: `…` alone stands for any lines, in one for any text."""
    parts = [part.splitlines() for part in re.split(rf"^{OMITTED}\n", shown, flags=re.MULTILINE)]
    lines, position = output.splitlines(), 0
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        first = len(lines) - len(part) if is_last and number else position
        last = len(lines) - len(part) if number else position
        places = (n for n in range(max(first, position), last + 1) if _fits(lines[n:], part))
        place = next(places, None)
        if place is None:
            return False
        position = place + len(part)
    return position == len(lines)


def _fits(lines: list[str], part: list[str]) -> bool:
    return len(lines) >= len(part) and all(
        re.fullmatch(re.escape(shown).replace(OMITTED, ".*"), line)
        for line, shown in zip(lines, part, strict=False)
    )
