"""`orderctl status` and `orderctl watch`: the whole pipeline on one screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators
from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.errors import UsageError
from orderctl.pipeline import health, reading
from orderctl.pipeline.health import Depth, Health, StepHealth
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.times import format_time
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, parse_moment
from orderctl.terminal.results import Document, Lines
from orders.circuit_breaker.decisions import Circuit

_NOTHING = "-"
_HEADER = ("step", "waiting", "at work", "oldest", "parked", "calls", "errors", "done")
_BAD = "bold red"
_ODD = "yellow"


class Breaker(msgspec.Struct, kw_only=True):
    """The circuit of a step.

    Attributes:
        state: Closed, open or half-open.
        since: Since when; null when that cannot be read.
        reason: Why it opened; null for a closed one.
        on_hold_since: Since when an operator has it paused; null when none has.
    """

    state: str
    since: str | None
    reason: str | None
    on_hold_since: str | None


class Filled(msgspec.Struct, kw_only=True):
    """How many messages are in a queue.

    Attributes:
        name: The queue's name.
        waiting: Messages that can be received now, or after a delay.
        at_work: Messages that were received but not deleted yet.
        oldest_seconds: The age of the oldest; null without any, or without a metric yet.
    """

    name: str
    waiting: int
    at_work: int
    oldest_seconds: int | None


class StepState(msgspec.Struct, kw_only=True):
    """The state of a step.

    Attributes:
        step: Its name.
        function: Its function's name; null without one.
        invocations: How often the function was called; null without a metric yet.
        errors: How often it failed.
        throttles: How often it was throttled.
        counts: What it has done, by what it is.
        queue: The queue that it consumes; null without one.
        parked: Its dead-letter queue; null without one.
        event_source: The state of its event source, such as Enabled; null without one.
        circuit: Its circuit; null without one.
    """

    step: str
    function: str | None
    invocations: int | None
    errors: int | None
    throttles: int | None
    counts: dict[str, int]
    queue: Filled | None
    parked: Filled | None
    event_source: str | None
    circuit: Breaker | None


class PipelineState(msgspec.Struct, kw_only=True):
    """The state of the pipeline.

    Attributes:
        at: When it was looked at.
        window_seconds: How far back the calls and counts go.
        steps: Each step.
        unfinished_orders: How many orders have not ended.
        oldest_unfinished_seconds: The age of the oldest of them.
        alarms: The state of each alarm, by its name.
        advice: What each alarm that is on means, and which section of the runbook says what to do.
        paused: The steps that take no messages.
    """

    at: str
    window_seconds: int
    steps: list[StepState]
    unfinished_orders: int
    oldest_unfinished_seconds: int | None
    alarms: dict[str, str]
    advice: dict[str, str]
    paused: list[str]


_ONE, _MANY = Document(PipelineState), Lines(PipelineState)

Window = Annotated[str, Parameter(name="--since", metavar="TIME")]


@app.command(group=OPERATING, help_epilogue="Example: orderctl status --since 1h")
@_ONE.of_command
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
        _ONE.show(facts(seen))
        return
    for line in screen(name, seen):
        console.out().print(line)


@app.command(group=OPERATING, help_epilogue="Example: orderctl watch --interval 5")
@_MANY.of_command
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
                lambda seen: _MANY.show([facts(seen)]),
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
        *(console.text(f"         {name}: {seen.advice[name]}") for name in _explained(seen)),
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


def _explained(seen: Health) -> list[str]:
    """The alarms that are on and say what they mean."""
    return [name for name in seen.ringing if seen.advice.get(name)]


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


def facts(seen: Health) -> PipelineState:
    """The pipeline's health for a script."""
    return PipelineState(
        at=format_time(seen.at),
        window_seconds=int(seen.window.total_seconds()),
        steps=[
            StepState(
                step=step.name,
                function=step.function,
                invocations=step.calls.get("Invocations"),
                errors=step.calls.get("Errors"),
                throttles=step.calls.get("Throttles"),
                counts=dict(step.counts),
                queue=_filled(step.queue),
                parked=_filled(step.parked),
                event_source=step.state,
                circuit=_breaker(step.circuit),
            )
            for step in seen.steps
        ],
        unfinished_orders=seen.unfinished,
        oldest_unfinished_seconds=_seconds(seen.oldest_unfinished),
        alarms=dict(seen.alarms),
        advice={name: seen.advice[name] for name in _explained(seen)},
        paused=seen.paused,
    )


def _breaker(circuit: Circuit | None) -> Breaker | None:
    if circuit is None:
        return None
    return Breaker(
        state=circuit.state,
        since=format_time(circuit.since) if circuit.since else None,
        reason=circuit.reason,
        on_hold_since=format_time(circuit.on_hold) if circuit.on_hold else None,
    )


def _filled(depth: Depth | None) -> Filled | None:
    if depth is None:
        return None
    return Filled(
        name=depth.queue,
        waiting=depth.waiting,
        at_work=depth.at_work,
        oldest_seconds=_seconds(depth.oldest),
    )


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else int(length.total_seconds())
