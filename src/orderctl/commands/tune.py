"""`orderctl tune`: tries memory sizes on a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline.names import find_step
from orderctl.pipeline.steps import STEPS
from orderctl.pipeline.tuning import Trial, Tuner
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, Yes
from orderctl.terminal.results import Lines

# The functions that orders pass through.
_STEPS = tuple(step for step in STEPS if step.function and step.counts)
SMALLEST, LARGEST = 128, 10_240


class Tried(msgspec.Struct, kw_only=True):
    """The measurements at one memory size.

    Attributes:
        memory: The size, in MB.
        orders: How many orders were sent.
        invocations: How often the function was called.
        median_ms: How long a call took.
        slowest_ms: How long the slowest took.
        init_ms: The median of the cold starts; null when there was none.
        peak_memory: The most memory that was used, in MB; null when that is not known.
        dollars_per_million: Lambda's price of this function per million orders.
    """

    memory: int
    orders: int
    invocations: int
    median_ms: float
    slowest_ms: float
    init_ms: float | None
    peak_memory: int | None
    dollars_per_million: float


_JSON = Lines(Tried)


@app.command(
    group=OPERATING,
    help_epilogue="Example: orderctl tune payments --memory 128 --memory 256",
)
@_JSON.of_command
def tune(
    function: Annotated[str, Parameter(completer=lambda _context: [step.name for step in _STEPS])],
    /,
    *,
    memory: Annotated[
        tuple[int, ...],
        Parameter(metavar="MB", validator=validators.Number(gte=SMALLEST, lte=LARGEST)),
    ] = (128, 256, 512, 1024),
    orders: Annotated[
        int, Parameter(metavar="N", validator=validators.Number(gte=1, lte=10_000))
    ] = 50,
    yes: Yes = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Try memory sizes on a function, and show how long it takes and what it costs with each.

    It sends orders through the whole pipeline, so use a stack without customers. Afterwards the
    function gets its old size back. On the local cloud more memory makes nothing faster.

    Args:
        function: A step with a function, such as payments.
        memory: A size to try, in MB; repeatable.
        orders: How many orders to send with each size.
        yes: Do not ask.
        as_json: Print one JSON object per line.
        target: Which stack.

    Raises:
        OrderctlError: An order was not taken, has not ended, or nothing was logged.
    """
    with connect(target, changes=True) as pipeline:
        step = find_step(function, _STEPS, pipeline.stack, what="step")
        question = (
            f"Place {len(memory) * orders} orders in {pipeline.stack.name} and change the "
            f"memory of {step.function_name} meanwhile?"
        )
        if not yes and not console.confirm(question, on_stderr=True):
            raise OrderctlError("Nothing was changed.")
        tuner = Tuner(pipeline, pipeline.stack.physical_id(step.function))
        with tuner.restored():
            trials = [_run_trial(tuner, size, orders, as_json) for size in memory]
    if as_json:
        _JSON.show(msgspec.convert(trial, Tried, from_attributes=True) for trial in trials)
    else:
        _show(trials)


def _run_trial(tuner: Tuner, size: int, orders: int, as_json: bool) -> Trial:
    if as_json:
        return tuner.trial(size, orders)
    with console.step(f"Trying {size} MB", f"Tried {size} MB"):
        return tuner.trial(size, orders)


def _show(trials: Sequence[Trial]) -> None:
    console.out().print()
    console.table(
        (
            "memory",
            "invocations",
            "median",
            "slowest",
            "cold start",
            "peak memory",
            "$ per million",
        ),
        [
            (
                f"{trial.memory} MB",
                str(trial.invocations),
                f"{trial.median_ms:.0f} ms",
                f"{trial.slowest_ms:.0f} ms",
                "-" if trial.init_ms is None else f"{trial.init_ms:.0f} ms",
                f"{trial.peak_memory} MB" if trial.peak_memory else "-",
                f"{trial.dollars_per_million:.2f}",
            )
            for trial in trials
        ],
    )
    cheapest = min(trials, key=lambda trial: trial.dollars_per_million)
    fastest = min(trials, key=lambda trial: trial.median_ms)
    console.out().print(
        f"\nCheapest: {cheapest.memory} MB. Fastest: {fastest.memory} MB. "
        "Set MemorySize in template.yaml; docs/costs.md explains how its value was chosen."
    )
