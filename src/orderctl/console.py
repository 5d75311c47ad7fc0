"""What the terminal shows: steps with their durations, summaries, notes and errors."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache

from rich.console import Console
from rich.status import Status
from rich.text import Text

_TITLE_WIDTH = 34
_BAR_WIDTH = 24
_GAP = "   "


@cache
def out() -> Console:
    """Standard output."""
    return Console(highlight=False, soft_wrap=True)


@cache
def err() -> Console:
    """Standard error."""
    return Console(highlight=False, soft_wrap=True, stderr=True)


def note(text: str) -> None:
    """Say something that is not the command's result."""
    err().print(Text.assemble(("note: ", "yellow"), text))


def error(text: str) -> None:
    """Say what went wrong and what to do."""
    err().print(Text.assemble(("error: ", "bold red"), text))


def summary(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        out().print(Text.assemble("  ", (f"{name:<{width}}", "bold"), "   ", value))


def table(header: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows under a header, in columns as wide as they have to be; nothing is cut short."""
    for line in table_lines(header, rows):
        out().print(line)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> list[Text]:
    """The lines of a table."""
    cells = [[text(cell) for cell in row] for row in rows]
    lines = [[Text(name, style="bold") for name in header], *cells]
    widths = [max(line[column].cell_len for line in lines) for column in range(len(header))]
    return [aligned(line, widths) for line in lines]


def aligned(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    """Cells side by side, each filled up to its width."""
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - cell.cell_len + len(_GAP)))
    line.rstrip()
    return line


def text(value: str | Text) -> Text:
    """A value as it may be shown: one that comes from elsewhere cannot command the terminal."""
    if isinstance(value, Text):
        return value
    return Text("".join(character if character.isprintable() else "�" for character in value))


def duration(length: timedelta) -> str:
    """A length of time in its two largest units, such as 3 h 20 min."""
    minutes, seconds = divmod(max(int(length.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    while len(units) > 1 and units[0][0] == 0:
        del units[0]
    return " ".join(f"{number} {unit}" for number, unit in units[:2] if number or len(units) == 1)


class Step:
    """A step that is being done.

    Attributes:
        detail: What to show beside it when it is done.
    """

    def __init__(self, title: str, status: Status | None) -> None:
        self.detail = ""
        self._title = title
        self._status = status

    def progress(self, done: int, total: int, what: str) -> None:
        """Show how far it is: a bar in a terminal, a line elsewhere."""
        if self._status is None:
            out().print(Text(f"  {done:>3}/{total} {what}"))
            return
        filled = _BAR_WIDTH * done // max(total, 1)
        bar = Text.assemble(("━" * filled, "cyan"), ("━" * (_BAR_WIDTH - filled), "dim"))
        self._status.update(Text.assemble(f"{self._title}  ", bar, f"  {done}/{total}  {what}"))


@contextlib.contextmanager
def step(doing: str, done: str) -> Iterator[Step]:
    """Show a step while it is done, and how long it took.

    Args:
        doing: What is being done.
        done: What has been done, when it has.
    """
    started = time.monotonic()
    live = out().is_terminal and not out().is_dumb_terminal
    with out().status(Text(doing)) if live else contextlib.nullcontext() as status:
        this = Step(doing, status)
        yield this
    took = time.monotonic() - started
    line = Text.assemble(("✓ ", "green"), f"{done:<{_TITLE_WIDTH}}", (f"{took:5.1f} s", "dim"))
    out().print(line.append(f"   {this.detail}" if this.detail else ""))


@contextlib.contextmanager
def waiting(title: str, *, shown: bool = True) -> Iterator[None]:
    """Show in a terminal that something is being waited for; elsewhere nothing.

    Args:
        title: what is being done.
        shown: whether to show it at all.
    """
    live = shown and out().is_terminal and not out().is_dumb_terminal
    with out().status(Text(title)) if live else contextlib.nullcontext():
        yield
