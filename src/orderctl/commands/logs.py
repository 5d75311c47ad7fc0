"""`orderctl logs`: the functions' logs, formatted for reading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.text import Text

from orderctl.commands import OPERATING, app
from orderctl.pipeline.logs import LogLine
from orderctl.pipeline.logs import follow as follow_logs
from orderctl.pipeline.logs import read as read_logs
from orderctl.pipeline.names import find_step
from orderctl.pipeline.steps import STEPS
from orderctl.pipeline.times import format_time
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Since, Target, check_order_id, parse_moment
from orderctl.terminal.results import Lines

_LEVEL_STYLES = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}
_LEVEL_WIDTH = 7
# One for each function, none of them that of a level.
_COLOURS = (
    "cyan",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_magenta",
    "bright_blue",
    "white",
    "color(173)",
)
_BLOCKS = ("exception", "stack_trace")
_PLAIN = re.compile(r"[^\s\"=]+")


class Logged(msgspec.Struct, kw_only=True):
    """A line of a function's log.

    Attributes:
        at: When it was logged.
        step: The step whose function logged it.
        level: Its level; empty for a line without one.
        message: Its message.
        facts: Its other fields, by name.
    """

    at: str
    step: str
    level: str
    message: str
    facts: dict[str, Any]


_JSON = Lines(Logged)
_STEPS = tuple(step for step in STEPS if step.function)


@app.command(
    group=OPERATING,
    help_epilogue="Examples:\n\n"
    "orderctl logs payments --since 1h\n\n"
    "orderctl logs --order order-1 --follow",
)
@_JSON.of_command
def logs(
    names: Annotated[
        tuple[str, ...], Parameter(completer=lambda _context: [step.name for step in _STEPS])
    ] = (),
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    order_id: Annotated[str | None, Parameter(name="--order", metavar="ORDER_ID")] = None,
    since: Since = "10m",
    everything: Annotated[bool, Parameter(name="--all")] = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Print the functions' logs in order of time: time, level, message, and the other fields.

    Args:
        names: Which steps, such as payments. [default: all]
        follow: Keep printing new lines, until Ctrl-C.
        order_id: Only lines about this order.
        since: How far back to start: 10m, 2h, 3d, or an ISO 8601 time (UTC).
        everything: Also print Lambda's own lines (START, REPORT) and metrics.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: There is no such step.
    """
    start = parse_moment(since, "--since")
    if order_id is not None:
        check_order_id(order_id)
    some = False
    with connect(target) as pipeline:
        stack = pipeline.stack
        steps = [find_step(name, _STEPS, stack, what="function") for name in names] or _STEPS
        shown = {stack.physical_id(step.function): step.name for step in steps}
        found = [pipeline.functions.log(function) for function in shown]
        batches = (
            follow_logs(found, start, order_id or "")
            if follow
            else [read_logs(found, start, order_id or "")]
        )
        for lines in batches:
            selected = [
                line
                for line in lines
                if (everything or not line.is_noise)
                and (order_id is None or line.is_about(order_id))
            ]
            _print(selected, shown, as_json)
            some = some or bool(selected)
    if not some:
        about = f" about {order_id}" if order_id else ""
        what = f"{', '.join(shown.values())} logged" if names else "No function logged"
        nothing = " nothing" if names else " anything"
        console.note(f"{what}{nothing}{about} since {format_time(start)}.")


def _print(lines: Iterable[LogLine], shown: Mapping[str, str], as_json: bool) -> None:
    """Print lines; which step each is of stands in it when there are several.

    Args:
        lines: The lines.
        shown: The names of the steps, by their functions'.
        as_json: Whether to print JSON.
    """
    if as_json:
        _JSON.show(logged(line, shown[line.function]) for line in lines)
        return
    for line in lines:
        step = column(shown[line.function]) if len(shown) > 1 else Text()
        for part in format_line(line, step):
            console.out().print(part)
    console.flush()


def logged(line: LogLine, step: str) -> Logged:
    """A line for a script.

    Args:
        line: The line.
        step: The step whose function logged it.
    """
    return Logged(
        at=format_time(line.at),
        step=step,
        level=line.level,
        message=line.message,
        facts=line.facts,
    )


def column(step: str) -> Text:
    """A step's name in its colour."""
    names = [each.name for each in _STEPS]
    colour = _COLOURS[names.index(step) % len(_COLOURS)]
    return Text(f"{step:<{max(map(len, names))}}  ", style=colour)


def format_line(line: LogLine, step: Text) -> list[Text]:
    """A line for reading: time, level, message and fields, with stack traces below it.

    Args:
        line: The line.
        step: The column with the step's name; empty when there is only one.
    """
    text = Text.assemble(
        (format_time(line.at), "dim"),
        "  ",
        step,
        (f"{console.clean(line.level):<{_LEVEL_WIDTH}}", _LEVEL_STYLES.get(line.level, "")),
        "  ",
        *_message_and_facts(line),
    )
    text.rstrip()
    blocks = [str(line.fields[name]) for name in _BLOCKS if name in line.fields]
    return [text, *(_indent(row) for block in blocks for row in block.splitlines())]


def _message_and_facts(line: LogLine) -> list[Text]:
    message = console.text(line.message.replace("\n", " ").replace("\t", "  "))
    message.stylize("bold" if line.fields else "")
    return [message, *(_fact(n, v) for n, v in line.facts.items() if n not in _BLOCKS)]


def _fact(name: str, value: object) -> Text:
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    quoted = plain if _PLAIN.fullmatch(plain) else json.dumps(plain, ensure_ascii=False)
    return Text.assemble("  ", (f"{console.clean(name)}=", "dim"), console.text(quoted))


def _indent(row: str) -> Text:
    return Text.assemble("    ", console.text(row.replace("\t", "    ")))
