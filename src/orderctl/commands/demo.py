"""`orderctl demo`: traffic like a shop's, until Ctrl-C."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators
from rich.text import Text

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.pipeline.traffic import Traffic
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, Yes
from orderctl.terminal.practice import check_may_practise
from orderctl.terminal.results import Lines

_NOT_IN_A_TERMINAL_EVERY_SECONDS = 10


class Day(msgspec.Struct, kw_only=True):
    """What has happened so far.

    Attributes:
        seconds: Since when.
        answers: How the API has answered, by status.
        ends: How the orders have ended, and how many so.
        open: How many orders have not ended yet.
        cancels: How many customers wanted to cancel.
        deliveries: How much was put into stock, by article.
    """

    seconds: int
    answers: dict[str, int]
    ends: dict[str, int]
    open: int
    cancels: int
    deliveries: dict[str, int]


_JSON = Lines(Day)


@app.command(group=OPERATING, help_epilogue="Example: orderctl demo --rate 5")
@_JSON.of_command
def demo(
    *,
    rate: Annotated[
        float, Parameter(metavar="R", validator=validators.Number(gte=0.1, lte=200))
    ] = 3,
    seconds: Annotated[
        float | None, Parameter(metavar="N", validator=validators.Number(gte=1))
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Have customers order as in a shop, until Ctrl-C: to see the pipeline live, and to practise.

    Orders come in waves, sometimes in a rush; they have one to three of four articles. Some
    customers cancel. The shop puts articles in stock when they run out, a little too late. Cards
    are declined and charges fail as the stack's ChargeDeclineRate and ChargeFailureRate say. See
    also `orderctl incident`. On AWS it asks, and works only on a stack whose name says that it is
    for tests: with test, staging, dev or demo as one of its words.

    Args:
        rate: Orders per second, on average.
        seconds: End after N seconds. [default: at Ctrl-C]
        yes: Do not ask.
        as_json: Print one JSON object per second.
        target: Which stack.

    Raises:
        OrderctlError: The stack is not for tests, it was not confirmed, or a call failed.
    """
    check_may_practise(target, "send made-up orders", yes=yes)
    with connect(target, changes=True) as pipeline:
        traffic = Traffic(pipeline, rate)
        began = time.monotonic()

        def day() -> Day:
            return _day(traffic, time.monotonic() - began)

        try:
            with _shown(day, as_json) as look:
                traffic.run(look, seconds or math.inf)
        finally:  # after Ctrl-C, too
            traffic.finish()
            if as_json:
                _JSON.show([day()])
            else:
                _sum_up(day())


def _day(traffic: Traffic, seconds: float) -> Day:
    return Day(
        seconds=round(seconds),
        answers=dict(traffic.answers),
        ends=dict(traffic.endings.counts()),
        open=len(traffic.endings.open),
        cancels=traffic.cancels,
        deliveries=dict(traffic.deliveries),
    )


@contextmanager
def _shown(day: Callable[[], Day], as_json: bool) -> Iterator[Callable[[], None]]:
    """Show a line that changes: in place in a terminal, every ten seconds elsewhere."""
    if as_json:
        yield lambda: _JSON.show([day()])
    elif console.out().is_terminal and not console.out().is_dumb_terminal:
        with console.live() as show:
            yield lambda: show(line(day()))
    else:
        looks = iter(range(1_000_000_000))

        def print_some() -> None:
            if next(looks) % _NOT_IN_A_TERMINAL_EVERY_SECONDS == 0:
                console.out().print(line(day()))

        yield print_some


def line(day: Day) -> Text:
    """What has happened so far, in a line."""
    ends: Counter[str] = Counter()
    for end, count in day.ends.items():
        ends[end.partition(":")[0]] += count
    accepted = day.answers.get("202", 0)
    others = sum(day.answers.values()) - accepted
    return Text.assemble(
        (f"{console.duration(timedelta(seconds=day.seconds)):>8}", "dim"),
        f"   {accepted} orders   ",
        (f"{ends['confirmed']} confirmed", "green"),
        f"   {ends['cancelled']} cancelled   {day.open} open",
        (f"   {others} not accepted" if others else "", "bold red"),
    )


def _sum_up(day: Day) -> None:
    console.out().print(line(day))
    rows = [(str(count), end) for end, count in day.ends.items()]
    if day.open:
        rows.append((str(day.open), "not ended yet"))
    if rows:
        console.out().print()
        console.table(("orders", "end"), rows)
    delivered = ", ".join(f"{count} {sku}" for sku, count in day.deliveries.items()) or "nothing"
    console.out().print(
        Text(
            f"\nCustomers who wanted to cancel: {day.cancels}. Put in stock: {delivered}.",
            style="dim",
        )
    )
    if day.open:
        console.note(f"To see what they wait for: {paths.orderctl()} orders")
