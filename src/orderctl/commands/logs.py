"""`orderctl logs`: a function's log, formatted for reading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from orderctl.commands import OPERATING, app
from orderctl.pipeline.logs import LogLine
from orderctl.pipeline.names import find
from orderctl.pipeline.steps import FUNCTION_NAMES
from orderctl.pipeline.times import format_time
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Since, Target, check_order_id, parse_moment

_LEVEL_STYLES = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}
_LEVEL_WIDTH = 7
_BLOCKS = ("exception", "stack_trace")
_PLAIN = re.compile(r"[^\s\"=]+")


@app.command(
    group=OPERATING,
    help_epilogue="Examples:\n\n"
    "orderctl logs payments-processor --since 1h\n\n"
    "orderctl logs order-tracker --order order-1 --follow",
)
def logs(
    function: Annotated[str, Parameter(completer=lambda _context: FUNCTION_NAMES)],
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    order_id: Annotated[str | None, Parameter(name="--order", metavar="ORDER_ID")] = None,
    since: Since = "10m",
    everything: Annotated[bool, Parameter(name="--all")] = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Print a function's log: time, level, message, and the other fields.

    Args:
        function: A function, such as payments-processor; the stack's prefix may be left out.
        follow: Keep printing new lines, until Ctrl-C.
        order_id: Only lines about this order.
        since: How far back to start: 10m, 2h, 3d, or an ISO 8601 time (UTC).
        everything: Also print Lambda's own lines (START, REPORT) and metrics.
        as_json: Print each line as JSON.
        target: Which stack.

    Raises:
        OrderctlError: There is no such function.
    """
    start = parse_moment(since, "--since")
    if order_id is not None:
        check_order_id(order_id)
    some = False
    with connect(target) as pipeline:
        name = find(function, pipeline.functions.names(), pipeline.stack.prefix, what="function")
        log = pipeline.functions.log(name)
        batches = (
            log.follow(start, order_id or "") if follow else [log.read(start, None, order_id or "")]
        )
        for lines in batches:
            selected = [
                line
                for line in lines
                if (everything or not line.is_noise)
                and (order_id is None or line.is_about(order_id))
            ]
            _print(selected, as_json)
            some = some or bool(selected)
    if not some:
        about = f" about {order_id}" if order_id else ""
        console.note(f"{name} has logged nothing{about} since {format_time(start)}.")


def _print(lines: Iterable[LogLine], as_json: bool) -> None:
    for line in sorted(lines, key=lambda line: line.at):
        if as_json:
            console.json_line(json_fields(line))
        else:
            for part in format_line(line):
                console.out().print(part)
    console.flush()


def json_fields(line: LogLine) -> dict[str, Any]:
    """The fields of a line; an unstructured line gets a timestamp and a message."""
    return {**line.fields} or {"timestamp": format_time(line.at), "message": line.text}


def format_line(line: LogLine) -> list[Text]:
    """A line for reading: time, level, message and fields, with stack traces below it."""
    text = Text.assemble(
        (format_time(line.at), "dim"),
        "  ",
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
