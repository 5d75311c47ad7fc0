"""What the terminal shows: steps with their durations, summaries, notes and errors.

The one way to it. Whatever a command shows passes `_Clean`, which lets no character through that
could command a terminal or deceive its reader; a test sees that no other module prints.
"""

import contextlib
import json
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress import Progress, ProgressColumn
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

DEBUG_VARIABLE = "ORDERCTL_DEBUG"

_TITLE_WIDTH = 34
_BAR_WIDTH = 24
_GAP = "   "
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Letters and marks that show nothing, which Python nevertheless calls printable.
_INVISIBLE = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def clean(value: str) -> str:
    """A line of text without what commands a terminal or deceives its reader.

    Replaced are control characters (C0, DEL, C1), line separators, bidirectional and other format
    characters, lone surrogates, private and unassigned code points, and letters that show nothing.
    """
    if value.isascii() and value.isprintable():
        return value
    return "".join(
        each if each.isprintable() and each not in _INVISIBLE else _REPLACEMENT for each in value
    )


class _Clean(Console):
    """A terminal that gets clean text, whatever is printed and whoever prints it.

    What rich itself says to the terminal, such as colours and where the cursor goes, stands beside
    the text and not in it.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = True) -> None:
        super().__init__(
            stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap
        )

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_clean_lines(segment.text))


def _clean_lines(value: str) -> str:
    return "\n".join(clean(line) for line in value.split("\n"))


@cache
def out() -> Console:
    """Standard output."""
    return _Clean()


@cache
def wrapped() -> Console:
    """Standard output for running text, which is broken where the terminal ends."""
    return _Clean(soft_wrap=False)


@cache
def err() -> Console:
    """Standard error."""
    return _Clean(stderr=True)


def note(text: str) -> None:
    """Say something that is not the command's result."""
    err().print(Text.assemble(("note: ", "yellow"), _indent(text)))


def error(text: str) -> None:
    """Say what went wrong and what to do."""
    err().print(Text.assemble(("error: ", "bold red"), _indent(text)))


def _indent(value: str) -> str:
    """A text whose further lines are seen to belong to the first, whatever is quoted in it."""
    first, *others = value.split("\n")
    return "\n".join([first, *(f"  {line.strip()}" for line in others)])


def usage_error(message: str, command: Sequence[str]) -> None:
    """Say what is wrong with what was typed, and where to look.

    Args:
        message: what is wrong.
        command: the names of the command, without the program's.
    """
    error(message)
    err().print(f"Try '{' '.join(('orderctl', *command))} --help' for help.")


def report_defect(fault: BaseException | None) -> None:
    """Say that there is a defect in the program itself, and how to see more of it."""
    error(
        f"Something unexpected went wrong in orderctl itself: {_describe_exception(fault)}. "
        f"Run it again with {DEBUG_VARIABLE}=1 in the environment to see where, and report that."
    )
    if os.environ.get(DEBUG_VARIABLE) and fault is not None:
        err().print(Text("".join(traceback.format_exception(fault))))


def _describe_exception(fault: BaseException | None) -> str:
    words = " ".join(str(fault).split())
    return f"{type(fault).__name__}{': ' if words else ''}{words}"


class _Notes(logging.Handler):
    """What libraries warn of, through `logging` or `warnings`."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"{record.name}: {record.getMessage()}")


def listen() -> None:
    """Have what libraries and threads say by themselves shown here, too."""
    logging.getLogger().addHandler(_Notes(logging.WARNING))
    warnings.showwarning = lambda message, *_: note(f"{type(message).__name__}: {message}")
    threading.excepthook = lambda raised: report_defect(raised.exc_value)
    sys.unraisablehook = lambda raised: report_defect(raised.exc_value)


def json_document(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print a value for a script: JSON in ASCII, over several lines."""
    _write(json_text(value, indent=2))


def json_line(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print a value for a script as one line of JSON, at once."""
    _write(json_text(value))
    sys.stdout.flush()


def json_as_written(text_: str) -> None:
    """Print one line of JSON as it was written, its numbers to the digit, but in ASCII."""
    _write("".join(each if " " <= each <= "~" else json.dumps(each)[1:-1] for each in text_))


def json_text(value: Any, indent: int | None = None) -> str:  # noqa: ANN401
    """JSON in ASCII: every other character is escaped; what JSON has no word for is a text."""
    return json.dumps(value, indent=indent, allow_nan=False, default=str)


def script(lines: Iterable[str]) -> None:
    """Print lines for a shell."""
    for line in lines:
        _write(clean(line))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def confirm(question: str, *, on_stderr: bool = False) -> bool:
    """Ask whether to go on; the end of the input is a no.

    Args:
        question: what to ask.
        on_stderr: whether standard output is for the result only.
    """
    return _ask(f"{question} [y/N]: ", err() if on_stderr else out()).lower() in ("y", "yes")


def prompt(question: str) -> str:
    """Ask for a word; the end of the input is none."""
    return _ask(f"{question}: ", out())


def _ask(question: str, terminal: Console) -> str:
    try:
        return terminal.input(Text(question)).strip()
    except EOFError:
        terminal.print()
        return ""


@contextlib.contextmanager
def live() -> Iterator[Callable[[RenderableType], None]]:
    """What changes in place in a terminal; yields what shows it as it is now."""
    with Live(console=out(), auto_refresh=False) as shown:
        yield lambda renderable: shown.update(renderable, refresh=True)


def bar(*columns: ProgressColumn) -> Progress:
    """A bar that is gone when all is done."""
    return Progress(*columns, console=out(), transient=True)


def summary(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        out().print(Text.assemble("  ", (f"{name:<{width}}", "bold"), "   ", text(value)))


def table(header: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows under a header, in columns as wide as they have to be; nothing is cut short."""
    for line in table_lines(header, rows):
        out().print(line)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> list[Text]:
    """The lines of a table."""
    cells = [[text(cell) for cell in row] for row in rows]
    lines = [[Text(name, style="bold") for name in header], *cells]
    widths = [max(line[column].cell_len for line in lines) for column in range(len(header))]
    return [align(line, widths) for line in lines]


def align(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    """Cells side by side, each filled up to its width."""
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - cell.cell_len + len(_GAP)))
    line.rstrip()
    return line


def text(value: object) -> Text:
    """A value as it is shown, on one line: clean, so that its width is known."""
    if not isinstance(value, Text):
        return Text(clean(str(value)))
    cleaned = value.copy()
    cleaned.plain = clean(value.plain)
    return cleaned


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
    in_place = out().is_terminal and not out().is_dumb_terminal
    with out().status(Text(doing)) if in_place else contextlib.nullcontext() as status:
        this = Step(doing, status)
        yield this
    took = time.monotonic() - started
    line = Text.assemble(("✓ ", "green"), f"{done:<{_TITLE_WIDTH}}", (f"{took:5.1f} s", "dim"))
    out().print(line.append(f"   {this.detail}" if this.detail else ""))


@contextlib.contextmanager
def waiting(title: str, *, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show in a terminal that something is being waited for; elsewhere nothing.

    Args:
        title: what is being done.
        shown: whether to show it at all.

    Yields:
        Takes note of how many things are done, of how many.
    """
    if not shown or not out().is_terminal or out().is_dumb_terminal:
        yield lambda _done, _total: None
        return
    with out().status(Text(title)) as status:
        yield lambda done, total: status.update(Text(f"{title}  {done}/{total}"))
