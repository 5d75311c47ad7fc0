"""`make burst`: a burst of orders in virtual time, at several numbers of executions a consumer.

A model of queues, and nothing else: orders come at an even rate, a consumer takes what waits, up to
its batch size, in up to so many executions at once, and each takes the time that the command
`orderctl capacity` reckons with: the CPU time and the calls that the bench has counted. No quota is
looked at, nothing fails, and Lambda has its executions at once. What it shows is how long a backlog
gets, and how long the last orders wait.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cyclopts import App

from bench.figures import percentile
from bench.processes import ROOT
from bench.timeline import Timeline
from orderctl.deploying import Template
from orderctl.pipeline.capacity import Bill, load_counted, prices
from orderctl.pipeline.capacity.bill import OURS
from orderctl.pipeline.capacity.fixed import memory_sizes
from orderctl.terminal import console

PAGE: Final = ROOT / "docs" / "scale.md"
_SECONDS_OF_THE_BUS: Final = 0.5
_EXECUTIONS: Final = (1, 10, 100)
_SETTINGS: Final = ((10, 0.0, 0.0), (100, 1.0, 0.0), (20, 1.0, 300.0))
"""Messages a batch, seconds of the window, and milliseconds of the card processor for an order."""
_OUTCOMES: Final = 2
"""How many outcomes the tracker waits for."""
_MINUTE: Final = 60


class Station:
    """A queue, and the executions of the function that reads it."""

    def __init__(
        self,
        timeline: Timeline,
        executions: int,
        batch_size: int,
        window: float,
        seconds: Callable[[int], float],
    ) -> None:
        """Begin with an empty queue.

        Args:
            timeline: the virtual time.
            executions: how many run at once.
            batch_size: how many messages one takes at most.
            window: how many seconds one waits for a full batch.
            seconds: how long one takes for a number of messages.
        """
        self.longest = 0
        """How many messages have waited at once, at most."""
        self.invocations = 0
        self.done: Callable[[int], None] = lambda _order: None
        """What becomes of each order that is done."""
        self._timeline = timeline
        self._free = executions
        self._batch_size = batch_size
        self._window = window
        self._seconds = seconds
        self._waiting: deque[tuple[float, int]] = deque()

    def send(self, order: int) -> None:
        """Take a message about an order."""
        self._waiting.append((self._timeline.seconds, order))
        self.longest = max(self.longest, len(self._waiting))
        if len(self._waiting) >= self._batch_size or not self._window:
            self._start()
        else:
            self._timeline.after(self._window, self._start)

    def _start(self) -> None:
        """Have executions take batches, as long as some are free and a batch is to be taken."""
        while self._free and self._waiting and self._is_collected():
            size = min(self._batch_size, len(self._waiting))
            batch = [self._waiting.popleft()[1] for _ in range(size)]
            self._free -= 1
            self.invocations += 1
            self._timeline.after(self._seconds(size), partial(self._end, batch))

    def _is_collected(self) -> bool:
        """Whether a batch is full, or its first message has waited for the window."""
        waited = self._timeline.seconds - self._waiting[0][0]
        return len(self._waiting) >= self._batch_size or waited >= self._window

    def _end(self, batch: Sequence[int]) -> None:
        self._free += 1
        for order in batch:
            self.done(order)
        self._start()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a burst."""

    longest: int
    """The most messages that waited on one queue."""
    ended: float
    """Seconds from the first order to the end of the last."""
    latencies: list[float]
    """Seconds of each order from its acceptance to its end, in rising order."""
    invocations: int
    """Of the consumers, for an order: a hundredth for full batches of a hundred."""


def play(
    orders: int,
    seconds: float,
    executions: int,
    *,
    batch_size: int,
    window: float,
    charge_ms: float,
) -> Result:
    """Let a burst of orders go through the consumers.

    Args:
        orders: how many.
        seconds: in what time they come.
        executions: how many of each consumer run at once.
        batch_size: how many messages a batch has at most.
        window: how many seconds an execution waits for a full batch.
        charge_ms: how long the card processor takes for an order.
    """
    timeline = Timeline()
    seconds_of = _service_times(charge_ms)
    payments, inventory, tracker = (
        Station(timeline, executions, batch_size, window, seconds_of[name])
        for name in ("payments-processor", "inventory-processor", "order-tracker")
    )
    placed = [number * seconds / orders for number in range(orders)]
    missing = [_OUTCOMES] * orders
    latencies: list[float] = []

    def report(order: int) -> None:
        timeline.after(_SECONDS_OF_THE_BUS, partial(tracker.send, order))

    def follow(order: int) -> None:
        missing[order] -= 1
        if not missing[order]:
            latencies.append(timeline.seconds - placed[order])

    payments.done = inventory.done = report
    tracker.done = follow
    for order, at in enumerate(placed):
        for station in (payments, inventory):
            timeline.after(at + _SECONDS_OF_THE_BUS, partial(station.send, order))
    timeline.run_until(lambda: len(latencies) == orders)
    stations = (payments, inventory, tracker)
    return Result(
        max(station.longest for station in stations),
        timeline.seconds,
        sorted(latencies),
        sum(station.invocations for station in stations),
    )


def _service_times(charge_ms: float) -> dict[str, Callable[[int], float]]:
    """How long an execution takes for a number of messages, in seconds, by function."""
    counted, memory = load_counted(), memory_sizes(Template.load().resources())
    bill = Bill(counted.functions, counted.warm, prices(), memory, 0.0)
    known: dict[tuple[str, int], float] = {}

    def seconds(name: str, size: int) -> float:
        if (name, size) not in known:
            (function,) = (f for f in counted.functions if f.name == name)
            charging = size * charge_ms if name == "payments-processor" else 0.0
            took = bill.duration_ms(function, OURS, size, memory[name]) + charging
            known[name, size] = took / 1000
        return known[name, size]

    return {f.name: partial(seconds, f.name) for f in counted.functions}


def rows(orders: int, seconds: float) -> Iterator[tuple[str, ...]]:
    """A burst at each number of executions and each setting, as a table."""
    yield (
        *("executions a consumer", "batches of", "card processor", "longest queue"),
        *("half the orders end within", "99 % within", "all within", "invocations"),
    )
    for batch_size, window, charge_ms in _SETTINGS:
        for executions in _EXECUTIONS:
            result = play(
                orders,
                seconds,
                executions,
                batch_size=batch_size,
                window=window,
                charge_ms=charge_ms,
            )
            yield (
                f"{executions}",
                f"{batch_size}, window {window:g} s",
                f"{charge_ms:g} ms",
                f"{result.longest:,}",
                _time(percentile(result.latencies, 0.5)),
                _time(percentile(result.latencies, 0.99)),
                _time(result.latencies[-1]),
                f"{result.invocations:,}",
            )


def _time(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, length in (("h", _MINUTE * _MINUTE), ("min", _MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def filled(text: str, table: Sequence[Sequence[str]]) -> str:
    """The page with the table between its marks ``<!-- burst -->``."""
    first, *others = table
    lines = [first, ["---:"] * len(first), *others]
    body = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return re.sub(
        r"(<!-- burst -->\n).*?(<!-- end -->)",
        lambda marks: marks[1] + body + marks[2],
        text,
        flags=re.DOTALL,
    )


app = App(name="python -m bench.burst")


@app.default
def run(*, orders: int = 100_000, seconds: float = 60, write: bool = False) -> None:
    """Say what becomes of a burst of orders.

    Args:
        orders: How many.
        seconds: In what time they come.
        write: Write the table into docs/scale.md.
    """
    table = list(rows(orders, seconds))
    console.table(table[0], table[1:])
    if write:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    app()
