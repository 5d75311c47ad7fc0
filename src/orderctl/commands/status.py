"""`orderctl status` and `orderctl watch`: the whole pipeline on one screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from rich.text import Text

from orderctl import console, health, paths, reading
from orderctl.commands.connection import connected, print_json
from orderctl.health import Depth, Health, StepHealth
from orderctl.pipeline import Pipeline

_NOTHING = "-"
_HEADER = ("step", "waiting", "at work", "oldest", "parked", "calls", "errors", "done")
_BAD = "bold red"
_ODD = "yellow"


def status(window: timedelta, as_json: bool) -> None:
    """Show how the pipeline is.

    Args:
        window: how far back to count.
        as_json: whether to print JSON.
    """
    with connected() as pipeline:
        seen = _look(pipeline, window)
        name = pipeline.stack_name
    if as_json:
        print_json(health.facts(seen))
        return
    for line in screen(name, seen):
        console.out().print(line)


def watch(window: timedelta, every_seconds: float, as_json: bool) -> None:
    """Show how the pipeline is, again and again until Ctrl-C.

    Args:
        window: how far back to count.
        every_seconds: how long to wait between two looks.
        as_json: whether to print JSON, an object a line.
    """
    with connected() as pipeline:
        if as_json:
            _repeat(
                pipeline,
                window,
                every_seconds,
                lambda seen: console.json_line(health.facts(seen)),
            )
        elif console.out().is_terminal and not console.out().is_dumb_terminal:
            with console.live() as show:

                def update(seen: Health) -> None:
                    show(Text("\n").join(screen(pipeline.stack_name, seen)))

                _repeat(pipeline, window, every_seconds, update)
        else:

            def append(seen: Health) -> None:
                for line in (*screen(pipeline.stack_name, seen), Text()):
                    console.out().print(line)

            _repeat(pipeline, window, every_seconds, append)


def _look(pipeline: Pipeline, window: timedelta) -> Health:
    return health.look(pipeline, datetime.now(UTC), window)


def _repeat(
    pipeline: Pipeline, window: timedelta, every_seconds: float, show: Callable[[Health], None]
) -> None:
    while True:
        began = time.monotonic()
        show(_look(pipeline, window))
        time.sleep(max(began + every_seconds - time.monotonic(), 0))


def screen(name: str, seen: Health) -> list[Text]:
    """The one screen, line by line.

    Args:
        name: the stack's.
        seen: how it is.
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
        return Text(f"orders   {seen.unfinished} unfinished, since when is {reading.UNREADABLE}")
    age = console.duration(seen.oldest_unfinished)
    return Text(f"orders   {seen.unfinished} unfinished, the oldest for {age}")


def _alarms(seen: Health) -> Text:
    silent = health.names(seen.alarms, "INSUFFICIENT_DATA")
    without = f"; {len(silent)} without data" if silent else ""
    if not seen.ringing:
        return Text.assemble("alarms   ", (f"none of {len(seen.alarms)} on", "green"), without)
    return Text.assemble("alarms   ", (f"on: {', '.join(seen.ringing)}", _BAD), without)


def _paused(step: StepHealth) -> Text:
    return Text(
        f"paused   {step.name} ({step.state}); to go on: {paths.orderctl()} resume {step.name}",
        style=_ODD,
    )
