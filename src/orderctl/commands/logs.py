"""`orderctl logs`: what a function has logged, readable."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, get_args

import msgspec
from rich.text import Text

from orderctl import console
from orderctl.commands.connection import connected
from orderctl.errors import OrderctlError
from orderctl.logs import LogLine
from orderctl.moments import shown
from orderctl.names import find
from orders.events import OrderId

_LEVEL_STYLES = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}
_LEVEL_WIDTH = 7
_BLOCKS = ("exception", "stack_trace")
_PLAIN = re.compile(r"[^\s\"=]+")


class NotAnOrderIdError(OrderctlError):
    """What was typed cannot be an order's id."""


def logs(
    function: str,
    since: datetime,
    *,
    order_id: str | None,
    follow: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Print a function's log.

    Args:
        function: its name, with or without the stack's prefix.
        since: from when on.
        order_id: only lines about this order.
        follow: whether to wait for more.
        everything: whether to print Lambda's own lines and those of metrics, too.
        as_json: whether to print each line as it is.

    Raises:
        UnknownNameError: there is no such function.
    """
    if order_id is not None:
        check_order_id(order_id)
    some = False
    with connected() as pipeline:
        name = find(function, pipeline.functions(), pipeline.name_prefix(), what="function")
        log = pipeline.function_log(name)
        batches = (
            log.follow(since, order_id or "") if follow else [log.read(since, None, order_id or "")]
        )
        for lines in batches:
            wanted = [
                line
                for line in lines
                if (everything or not line.is_noise)
                and (order_id is None or line.is_about(order_id))
            ]
            _print(wanted, as_json)
            some = some or bool(wanted)
    if not some:
        about = f" about {order_id}" if order_id else ""
        console.note(f"{name} has logged nothing{about} since {shown(since)}.")


def check_order_id(order_id: str) -> None:
    """Refuse what cannot be an order's id.

    Raises:
        NotAnOrderIdError: it cannot.
    """
    try:
        msgspec.convert(order_id, OrderId)
    except msgspec.ValidationError:
        raise NotAnOrderIdError(
            f"{order_id!r} is no order id: it must be {get_args(OrderId)[1].description}."
        ) from None


def _print(lines: Iterable[LogLine], as_json: bool) -> None:
    for line in sorted(lines, key=lambda line: line.at):
        if as_json:
            console.json_line(raw(line))
        else:
            for part in readable(line):
                console.out().print(part)
    sys.stdout.flush()


def raw(line: LogLine) -> dict[str, Any]:
    """A line as one JSON object; what is not structured is put into one."""
    return {**line.fields} or {"timestamp": shown(line.at), "message": line.text}


def readable(line: LogLine) -> list[Text]:
    """A line for a person: time, level, message and facts; below it what takes lines itself."""
    text = Text.assemble(
        (shown(line.at), "dim"),
        "  ",
        (f"{console.clean(line.level):<{_LEVEL_WIDTH}}", _LEVEL_STYLES.get(line.level, "")),
        "  ",
        *_assembled(line),
    )
    text.rstrip()
    blocks = [str(line.fields[name]) for name in _BLOCKS if name in line.fields]
    return [text, *(_indented(row) for block in blocks for row in block.splitlines())]


def _assembled(line: LogLine) -> list[Text]:
    message = console.text(line.message.replace("\n", " ").replace("\t", "  "))
    message.stylize("bold" if line.fields else "")
    return [message, *(_fact(n, v) for n, v in line.facts.items() if n not in _BLOCKS)]


def _fact(name: str, value: object) -> Text:
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    quoted = plain if _PLAIN.fullmatch(plain) else json.dumps(plain, ensure_ascii=False)
    return Text.assemble("  ", (f"{console.clean(name)}=", "dim"), console.text(quoted))


def _indented(row: str) -> Text:
    return Text.assemble("    ", console.text(row.replace("\t", "    ")))
