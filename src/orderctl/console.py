"""What the terminal shows: steps with their durations, summaries, notes and errors."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import cache

from rich.console import Console
from rich.status import Status
from rich.text import Text

_TITLE_WIDTH = 34
_BAR_WIDTH = 24


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
