"""Everything that is printed: steps with their durations, tables, summaries, notes and errors.

All output goes through `_Clean`, which replaces every character that could control the terminal or
mislead its reader. A test checks that no other module prints.
"""

import contextlib
import json
import logging
import os
import select
import sys
import termios
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TextIO

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
_NARROW_GAP = "  "
_LOOK_SECONDS = 1.0
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Invisible letters and marks that Python calls printable.
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
    """A line of text without characters that control a terminal or mislead its reader.

    It replaces control characters (C0, DEL, C1), line separators, bidirectional and other format
    characters, lone surrogates, private and unassigned code points, and invisible letters.
    """
    if value.isascii() and value.isprintable():
        return value
    return "".join(
        each if each.isprintable() and each not in _INVISIBLE else _REPLACEMENT for each in value
    )


class _Clean(Console):
    """A terminal that gets clean text, whatever is printed and whoever prints it.

    Rich keeps its own control codes (colours, cursor moves) apart from the text, so they pass.
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

    def on_broken_pipe(self) -> None:
        if self.stderr:
            _send_nowhere(sys.stderr)  # a message that nobody reads changes nothing
        else:
            _reader_left()


class NobodyReadsError(Exception):
    """Who read the output has gone, such as `head` when it had enough: there is nothing to do."""


class _Mode:
    """How this run of the program speaks.

    Attributes:
        json: Whether what it says on standard error is JSON, as its result is.
        changes: Whether it changes something, so that it goes on although nobody reads.
    """

    json = False
    changes = False


def begin(*, as_json: bool) -> None:
    """Begin a command.

    Args:
        as_json: Whether --json was given: then only the result is printed on standard output, and
            notes and errors are JSON, too, one object a line.
    """
    _Mode.json, _Mode.changes = as_json, False
    out().quiet = as_json


def place(text: str) -> None:
    """Say what is about to be changed, before anything is."""
    _Mode.changes = True
    if _Mode.json:
        _say_json({"on": text})
    else:
        err().print(Text.assemble(("on ", "bold"), _indent(text)))


def end_with_reader() -> None:
    """End when nobody reads any more, although something was to be changed."""
    _Mode.changes = False


def flush() -> None:
    """Hand what was printed to the reader now.

    Raises:
        NobodyReadsError: There is none any more.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_left()


def _reader_left() -> None:
    _send_nowhere(sys.stdout)
    if not _Mode.changes:
        raise NobodyReadsError


def _send_nowhere(stream: TextIO) -> None:
    """Let a stream whose reader has gone take everything."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say_json(said: Mapping[str, object]) -> None:
    """Say something on standard error as a line of JSON."""
    err().print(Text(json_text(said)))


def _clean_lines(value: str) -> str:
    return "\n".join(clean(line) for line in value.split("\n"))


@cache
def out() -> Console:
    """Standard output."""
    return _Clean()


@cache
def wrapped() -> Console:
    """Standard output for running text, wrapped at the terminal's width."""
    return _Clean(soft_wrap=False)


@cache
def err() -> Console:
    """Standard error."""
    return _Clean(stderr=True)


def note(text: str) -> None:
    """Print a remark that is not part of the command's result."""
    if _Mode.json:
        _say_json({"note": text})
        return
    err().print(Text.assemble(("note: ", "yellow"), _indent(text)))


def error(text: str, status: int = 1) -> None:
    """Print what went wrong and what to do.

    Args:
        text: What to say.
        status: The exit status with which the program will end.
    """
    if _Mode.json:
        _say_json({"error": text, "exit_status": status})
        return
    err().print(Text.assemble(("error: ", "bold red"), _indent(text)))


def _indent(value: str) -> str:
    """A text with all lines but the first indented, so that they visibly belong to it."""
    first, *others = value.split("\n")
    return "\n".join([first, *(f"  {line.strip()}" for line in others)])


def usage_error(message: str, command: Sequence[str]) -> None:
    """Print what is wrong with a command line, and where to find help.

    Args:
        message: what is wrong.
        command: the command's names, without the program's.
    """
    hint = f"Try '{' '.join(('orderctl', *command))} --help' for help."
    error(f"{message} {hint}" if _Mode.json else message, 2)
    if not _Mode.json:
        err().print(hint)


def report_defect(fault: BaseException | None) -> None:
    """Report a defect of the program itself, and how to see its traceback."""
    error(
        f"Something unexpected went wrong in orderctl itself: {_describe_exception(fault)}. "
        f"Run the command again with {DEBUG_VARIABLE}=1 to see the traceback, and report that."
    )
    if os.environ.get(DEBUG_VARIABLE) and fault is not None:
        err().print(Text("".join(traceback.format_exception(fault))))


def _describe_exception(fault: BaseException | None) -> str:
    words = " ".join(str(fault).split())
    return f"{type(fault).__name__}{': ' if words else ''}{words}"


class _Notes(logging.Handler):
    """Prints what libraries log as warnings or errors."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"{record.name}: {record.getMessage()}")


def listen() -> None:
    """Print warnings of libraries and failures of threads here, too."""
    logging.getLogger().addHandler(_Notes(logging.WARNING))
    warnings.showwarning = lambda message, *_: note(f"{type(message).__name__}: {message}")
    threading.excepthook = lambda raised: report_defect(raised.exc_value)
    sys.unraisablehook = lambda raised: report_defect(raised.exc_value)


def json_document(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print a value for a script: JSON in ASCII, over several lines."""
    write(json_text(value, indent=2))


def json_line(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print a value for a script as one line of JSON, at once."""
    write(json_text(value))
    flush()


def json_as_written(text_: str) -> None:
    """Print a line of JSON in ASCII without reformatting it, so that numbers keep every digit."""
    write("".join(each if " " <= each <= "~" else json.dumps(each)[1:-1] for each in text_))


def json_text(value: Any, indent: int | None = None) -> str:  # noqa: ANN401
    """JSON in ASCII, with other characters escaped; a value that JSON cannot hold becomes text."""
    return json.dumps(value, indent=indent, allow_nan=False, default=_as_json)


def _as_json(value: object) -> object:
    """A decimal as a number, exact for every amount that the contract allows; else text."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)


def script(lines: Iterable[str]) -> None:
    """Print lines for a shell."""
    for line in lines:
        write(clean(line))


def write(line: str) -> None:
    """Print a line for a program.

    Raises:
        NobodyReadsError: Nobody reads it any more.
    """
    try:
        sys.stdout.write(line + "\n")
    except BrokenPipeError:
        _reader_left()


def confirm(question: str, *, on_stderr: bool = False) -> bool:
    """Ask a yes-or-no question; no input means no.

    Args:
        question: what to ask.
        on_stderr: ask on standard error, because standard output is for the result only.
    """
    return _ask(f"{question} [y/N]: ", err() if on_stderr else out()).lower() in ("y", "yes")


def prompt(question: str) -> str:
    """Ask for a word on standard error; no input gives an empty one."""
    return _ask(f"{question}: ", err())


def _ask(question: str, terminal: Console) -> str:
    try:
        return terminal.input(Text(question)).strip()
    except EOFError:
        terminal.print()
        return ""


def is_interactive() -> bool:
    """Whether somebody reads what is printed, and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def enter_pressed(goes_on: Callable[[], bool]) -> bool:
    """Wait until somebody presses Enter.

    Args:
        goes_on: is asked once a second whether to wait on.

    Returns:
        Whether somebody did.
    """
    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before is no answer
    while goes_on():
        if select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
            sys.stdin.readline()
            return True
    return False


@contextlib.contextmanager
def live() -> Iterator[Callable[[RenderableType], None]]:
    """Show something that changes in place in a terminal; yields a function that updates it."""
    with Live(console=out(), auto_refresh=False) as display:
        yield lambda renderable: display.update(renderable, refresh=True)


def bar(*columns: ProgressColumn) -> Progress:
    """A progress bar that disappears when it is done."""
    return Progress(*columns, console=out(), transient=True)


def summary(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    for line in summary_lines(rows):
        out().print(line)


def summary_lines(rows: Sequence[tuple[str, str]]) -> list[Text]:
    """Names and values in two columns, line by line."""
    width = max(len(name) for name, _ in rows)
    return [
        Text.assemble("  ", (f"{name:<{width}}", "bold"), "   ", text(value))
        for name, value in rows
    ]


def table(header: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows under a header; see `table_lines`."""
    for line in table_lines(header, rows):
        out().print(line)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> list[Text]:
    """The lines of a table: columns are as wide as their longest cell, and nothing is cut.

    In a terminal that is too narrow, the gaps are smaller, and the last column is wrapped.
    """
    cells = [[text(cell) for cell in row] for row in rows]
    lines = [[Text(name, style="bold") for name in header], *cells]
    widths = [max(line[column].cell_len for line in lines) for column in range(len(header))]
    room = out().width if out().is_terminal else None
    if room is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= room:
        return [align(line, widths) for line in lines]
    longest_word = max(len(word) for line in lines for word in (*line[-1].plain.split(), ""))
    return [part for line in lines for part in _fit(line, widths, room, longest_word)]


def align(cells: Sequence[Text], widths: Sequence[int], gap: str = _GAP) -> Text:
    """Put cells side by side, each padded to its width."""
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - cell.cell_len + len(gap)))
    line.rstrip()
    return line


def _fit(cells: Sequence[Text], widths: Sequence[int], room: int, word: int) -> Iterator[Text]:
    """A table's line in a narrow terminal: the last cell goes on in its column, or below.

    Args:
        cells: The line's.
        widths: The columns'.
        room: The terminal's width.
        word: The length of the longest word in the last column.
    """
    *others, last = cells
    start = sum(widths[:-1]) + len(_NARROW_GAP) * len(others)
    line = align(others, widths[:-1], _NARROW_GAP)
    if not last.plain or room - start < word:
        yield line
        line, start = Text(), len(_GAP)
    for part in last.wrap(out(), max(room - start, 1)) if last.plain else ():
        part.rstrip()
        line.append(" " * (start - line.cell_len)).append_text(part)
        line.rstrip()
        yield line
        line = Text()


def text(value: object) -> Text:
    """A value as one line of clean text, so that its width is known."""
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
    """A step that is under way.

    Attributes:
        detail: What to show beside it when it is done.
    """

    def __init__(self, title: str, status: Status | None) -> None:
        self.detail = ""
        self._title = title
        self._status = status

    def progress(self, done: int, total: int, what: str) -> None:
        """Show the progress as a bar in a terminal; elsewhere a step is one line, at its end."""
        if self._status is None:
            return
        filled = _BAR_WIDTH * done // max(total, 1)
        bar = Text.assemble(("━" * filled, "cyan"), ("━" * (_BAR_WIDTH - filled), "dim"))
        self._status.update(Text.assemble(f"{self._title}  ", bar, f"  {done}/{total}  {what}"))


@contextlib.contextmanager
def step(doing: str, done: str) -> Iterator[Step]:
    """Show a step while it runs, and how long it took.

    Args:
        doing: The title while it runs.
        done: The title afterwards.
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
    """Show a spinner in a terminal while something is under way; elsewhere nothing.

    Args:
        title: what is being done.
        shown: whether to show it at all.

    Yields:
        A function that takes how many things are done, and how many there are.
    """
    if not shown or not out().is_terminal or out().is_dumb_terminal:
        yield lambda _done, _total: None
        return
    with out().status(Text(title)) as status:
        yield lambda done, total: status.update(Text(f"{title}  {done}/{total}"))
