"""`orderctl status` and `orderctl watch`: the whole pipeline on one screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter, validators
from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.errors import UsageError
from orderctl.pipeline import health, reading
from orderctl.pipeline.health import Depth, Health, StepHealth
from orderctl.pipeline.pipeline import Pipeline
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, parse_moment
from orders.circuit_breaker.decisions import Circuit

_NOTHING = "-"
_HEADER = ("step", "waiting", "at work", "oldest", "parked", "calls", "errors", "done")
_BAD = "bold red"
_ODD = "yellow"


Window = Annotated[str, Parameter(name="--since", metavar="TIME")]


@app.command(group=OPERATING, help_epilogue="Example: orderctl status --since 1h")
def status(*, since: Window = "10m", as_json: Json = False, target: Target = Target()) -> None:
    """Show the whole pipeline on one screen, with a line for each step.

    Each line has the messages waiting in the step's queue, those being worked on (or waiting for a
    retry), the age of the oldest, and those parked; how often its function was called and failed;
    and what it has done. Below are the unfinished orders, the alarms, an open circuit and the
    paused consumers. On AWS the numbers from CloudWatch are some minutes old.

    Args:
        since: How far back to count: 10m, 1h, 1d, or an ISO 8601 time (UTC).
        as_json: Print JSON instead.
        target: Which stack.
    """
    window = _window(since)
    with connect(target) as pipeline:
        seen = health.look(pipeline, datetime.now(UTC), window)
        name = pipeline.stack.name
    if as_json:
        console.json_document(health.facts(seen))
        return
    for line in screen(name, seen):
        console.out().print(line)


@app.command(group=OPERATING, help_epilogue="Example: orderctl watch --interval 5")
def watch(
    *,
    interval: Annotated[
        float, Parameter(metavar="SECONDS", validator=validators.Number(gte=0.5, lte=3600))
    ] = 2,
    since: Window = "10m",
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Show the same as `status`, updated live until Ctrl-C.

    Not in a terminal, one screen is printed below the other. On AWS each update makes some twenty
    calls, and CloudWatch bills the metrics that are read.

    Args:
        interval: The time between two updates, in seconds.
        since: How far back to count: 10m, 1h, 1d, or an ISO 8601 time (UTC).
        as_json: Print one JSON object per line.
        target: Which stack.
    """
    window = _window(since)
    with connect(target) as pipeline:
        if as_json:
            _repeat(
                pipeline,
                window,
                interval,
                lambda seen: console.json_line(health.facts(seen)),
            )
        elif console.out().is_terminal and not console.out().is_dumb_terminal:
            with console.live() as show:

                def update(seen: Health) -> None:
                    show(Text("\n").join(screen(pipeline.stack.name, seen)))

                _repeat(pipeline, window, interval, update)
        else:

            def append(seen: Health) -> None:
                for line in (*screen(pipeline.stack.name, seen), Text()):
                    console.out().print(line)

            _repeat(pipeline, window, interval, append)


def _window(since: str) -> timedelta:
    window = datetime.now(UTC) - parse_moment(since, "--since")
    window = timedelta(seconds=round(window.total_seconds()))
    if not timedelta(minutes=1) <= window <= timedelta(days=15):
        raise UsageError("--since must be from one minute to 15 days ago.")
    return window


def _repeat(
    pipeline: Pipeline, window: timedelta, every_seconds: float, show: Callable[[Health], None]
) -> None:
    while True:
        began = time.monotonic()
        show(health.look(pipeline, datetime.now(UTC), window))
        time.sleep(max(began + every_seconds - time.monotonic(), 0))


def screen(name: str, seen: Health) -> list[Text]:
    """The screen, line by line.

    Args:
        name: the stack's name.
        seen: the pipeline's health.
    """
    title = Text.assemble(
        (name, "bold"),
        f"   {seen.at:%Y-%m-%d %H:%M:%S} UTC   ",
        (f"calls, errors, done: the last {console.duration(seen.window)}", "dim"),
    )
    return [
        title,
        Text(),
        *console.table_lines(_HEADER, [_row(step) for step in seen.steps]),
        Text(),
        _orders(seen),
        _alarms(seen),
        *(_circuit(it.name, it.circuit) for it in seen.steps if it.circuit and it.is_cut_off),
        *(_paused(step) for step in seen.steps if step.is_paused),
    ]


def _row(step: StepHealth) -> Sequence[Text]:
    errors = step.calls.get("Errors", 0)
    throttles = step.calls.get("Throttles", 0)
    failed = f"{errors}" + (f" +{throttles} throttled" if throttles else "")
    return (
        Text(step.name, style=_ODD if step.is_paused else ""),
        _count(step.queue.waiting if step.queue else None),
        _count(step.queue.at_work if step.queue else None),
        Text(_age(step.queue)),
        _parked(step.parked),
        Text(str(step.calls.get("Invocations", 0)) if step.function else _NOTHING),
        Text(failed if step.function else _NOTHING, style=_ODD if errors or throttles else ""),
        Text(", ".join(f"{count} {what}" for what, count in step.counts.items())),
    )


def _count(number: int | None) -> Text:
    return Text(_NOTHING if number is None else str(number), style="bold" if number else "")


def _parked(depth: Depth | None) -> Text:
    if depth is None:
        return Text(_NOTHING)
    number = depth.waiting + depth.at_work
    age = f" ({_age(depth)})" if depth.oldest is not None else ""
    return Text(f"{number}{age}", style=_BAD if number else "")


def _age(depth: Depth | None) -> str:
    return _NOTHING if depth is None or depth.oldest is None else console.duration(depth.oldest)


def _orders(seen: Health) -> Text:
    if not seen.unfinished:
        return Text("orders   all finished")
    if seen.oldest_unfinished is None:
        return Text(f"orders   {seen.unfinished} unfinished, the oldest {reading.UNREADABLE}")
    age = console.duration(seen.oldest_unfinished)
    return Text(f"orders   {seen.unfinished} unfinished, the oldest for {age}")


def _alarms(seen: Health) -> Text:
    silent = health.names(seen.alarms, "INSUFFICIENT_DATA")
    without = f"; {len(silent)} without data" if silent else ""
    if not seen.ringing:
        return Text.assemble("alarms   ", (f"none of {len(seen.alarms)} on", "green"), without)
    return Text.assemble("alarms   ", (f"on: {', '.join(seen.ringing)}", _BAD), without)


def _circuit(step: str, circuit: Circuit) -> Text:
    """Why the circuit breaker has paused a step."""
    since = f"{circuit.since:%Y-%m-%d %H:%M:%S} UTC" if circuit.since else reading.UNREADABLE
    return Text(f"circuit  {step} is {circuit.state} since {since}: {circuit.reason}", style=_BAD)


def _paused(step: StepHealth) -> Text:
    if step.is_cut_off and step.circuit and not step.circuit.on_hold:
        return Text(
            f"paused   {step.name} ({step.state}) by the circuit breaker, until a few orders "
            "succeed that it tries",
            style=_ODD,
        )
    return Text(
        f"paused   {step.name} ({step.state}); to resume it: {paths.orderctl()} resume {step.name}",
        style=_ODD,
    )
