"""`orderctl tune`: which memory size suits a function, by trying some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from orderctl import console
from orderctl.commands.connection import connected, print_json
from orderctl.errors import OrderctlError
from orderctl.tuning import Trial, Tuner

FUNCTIONS = (
    "order-api",
    "payments-processor",
    "inventory-processor",
    "order-tracker",
    "notifications",
)
SMALLEST, LARGEST = 128, 10_240


class BadMemoryError(OrderctlError):
    """Lambda has no such memory size."""


class UnknownFunctionError(OrderctlError):
    """No order passes a function of this name."""


def tune(function: str, sizes: Sequence[int], orders: int, yes: bool, as_json: bool) -> None:
    """Send orders through the pipeline at each memory size, and show what the function took.

    Args:
        function: Its name, without the stack's prefix.
        sizes: The memory sizes to try, in MB.
        orders: How many orders are sent at each.
        yes: Whether not to ask first.
        as_json: Whether to print JSON.

    Raises:
        UnknownFunctionError: No order passes such a function.
        BadMemoryError: Lambda has no such memory size.
    """
    if function not in FUNCTIONS:
        raise UnknownFunctionError(
            f"No order passes a function {function}. Choose one of {', '.join(FUNCTIONS)}."
        )
    for size in sizes:
        if not SMALLEST <= size <= LARGEST:
            raise BadMemoryError(f"--memory {size}: Lambda has {SMALLEST} to {LARGEST} MB.")
    with connected() as pipeline:
        if not yes:
            console.confirm(
                f"Place {len(sizes) * orders} orders in {pipeline.stack_name} and change the "
                f"memory of {function} meanwhile?",
                abort=True,
                on_stderr=True,
            )
        tuner = Tuner(pipeline.session, pipeline, pipeline.name_prefix() + function)
        with tuner.restored():
            trials = [_shown(tuner, size, orders, as_json) for size in sizes]
    if as_json:
        print_json([asdict(trial) for trial in trials])
    else:
        _show(trials)


def _shown(tuner: Tuner, size: int, orders: int, as_json: bool) -> Trial:
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
        "Set MemorySize in template.yaml; docs/costs.md says how ours was chosen."
    )
