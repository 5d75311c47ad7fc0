"""Tables in the documentation whose rows a command records, each under the name of what it ran."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

RELIABILITY: Final = Path(__file__).parents[2] / "docs" / "reliability.md"

Row = Sequence[str]


def record(page: Path, mark: str, names: Sequence[str], rows: Mapping[str, Row]) -> None:
    """Write rows into the table after the mark ``<!-- MARK -->`` of a page.

    Args:
        page: a file in Markdown.
        mark: the table's.
        names: of all rows, in their order; others are taken out.
        rows: the cells after the name. A row that is not here stays as it is.
    """
    text = page.read_text(encoding="utf-8")
    filled = re.sub(
        rf"(<!-- {re.escape(mark)} -->\n(?:[^\n]*\n){{2}})(.*?)(<!-- end -->)",
        lambda found: found[1] + _table(found[2], names, rows) + found[3],
        text,
        flags=re.DOTALL,
    )
    page.write_text(filled, encoding="utf-8")


def _table(before: str, names: Sequence[str], rows: Mapping[str, Row]) -> str:
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in before.splitlines()}
    lines |= {name: f"| {' | '.join((name, *cells))} |" for name, cells in rows.items()}
    return "".join(f"{lines[name]}\n" for name in names if name in lines)


def recorded(page: Path, mark: str) -> dict[str, Row]:
    """The cells after the name of each row of a page's table, by name."""
    text = page.read_text(encoding="utf-8")
    table = text.partition(f"<!-- {mark} -->\n")[2].partition("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {name: cells for name, *cells in rows}
