"""`make soak`: orders through the local cloud while its functions are killed at random.

Nobody redrives anything. All orders must end, all queues must be empty, and the books must balance.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import psutil

from orderctl.deploying import package
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline.audit import audit
from orderctl.pipeline.order_files import Outgoing, prepare
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.sender import Result, Sender
from orderctl.pipeline.steps import CONSUMERS
from orderctl.waiting import wait_until

_SKU: Final = "soak-mug"
_CALLERS: Final = 16
_SECONDS_BETWEEN_KILLS: Final = 0.5
_PATIENCE_SECONDS: Final = 1800.0
_WORKER: Final = "ministack-lambda-"


class Disturber(Protocol):
    """Disturbs a local cloud while orders are sent."""

    def at_work(self) -> AbstractContextManager[None]:
        """Disturb it for as long as the block takes."""
        ...

    def told(self) -> str:
        """What it has done."""
        ...


@dataclass(slots=True)
class Killer:
    """Kills a running function now and then, as a lost machine would."""

    cloud: LocalCloud
    killed: Counter[str] = field(default_factory=Counter)
    """How often each function was killed."""
    _enough: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Kill for as long as the block takes."""
        thread = threading.Thread(target=self._kill)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def told(self) -> str:
        """What it has done."""
        return f"{sum(self.killed.values()):,} functions killed: {listed(self.killed)}"

    def _kill(self) -> None:
        while not self._enough.wait(random.uniform(0, 2 * _SECONDS_BETWEEN_KILLS)):  # noqa: S311
            workers = list(_workers(self.cloud.state.pid))
            if workers:
                name, process = random.choice(workers)  # noqa: S311
                with contextlib.suppress(psutil.Error):
                    process.kill()
                    self.killed[name] += 1


def _workers(server: int) -> Iterator[tuple[str, psutil.Process]]:
    """The running functions of a local cloud, by name."""
    for process in psutil.Process(server).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            for argument in process.cmdline():
                if _WORKER in argument:
                    yield (
                        argument.partition(_WORKER)[2].partition("/")[0].rpartition("-")[0],
                        process,
                    )


def _send(pipeline: Pipeline, count: int, rate: float) -> Result:
    """Place orders at a rate; what is not served is sent again."""
    result = Result(rate)
    line = {"sku": _SKU, "quantity": 1}

    def orders() -> Iterator[Outgoing]:
        for _ in range(count):
            yield prepare({"amount": 12.5, "items": [line]})

    def done() -> None:
        _say(f"{len(result.sent):,} of {count:,} orders sent")

    Sender(pipeline.api_client(_CALLERS).post, _CALLERS).send(orders(), result, done)
    return result


def _left(pipeline: Pipeline) -> dict[str, int]:
    """What has not come to its end: unfinished orders, waiting and parked messages."""
    unfinished, _ = pipeline.orders.count_unfinished()
    waiting = sum(pipeline.queue(step.queue).depth() for step in CONSUMERS.values())
    parked = sum(pipeline.dead_letters.depths().values())
    return {"unfinished": unfinished, "waiting": waiting, "parked": parked}


def wait_for_the_end(pipeline: Pipeline) -> tuple[dict[str, int], int]:
    """Wait until nothing is left; what is, and how many messages were parked at most."""
    most_parked = 0

    def left() -> dict[str, int]:
        nonlocal most_parked
        found = _left(pipeline)
        most_parked = max(most_parked, found["parked"])
        _say(", ".join(f"{count:,} {what}" for what, count in found.items()))
        return found

    last = wait_until(
        left,
        patience_seconds=_PATIENCE_SECONDS,
        poll_seconds=2.0,
        enough=lambda found: not any(found.values()),
    )
    return last, most_parked


def _say(text: str) -> None:
    """Show progress, on one line of a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")


def soak(orders: int, rate: float, disturb: Callable[[LocalCloud], Disturber]) -> int:
    """Run it, and print what came of it.

    Args:
        orders: how many.
        rate: orders a second.
        disturb: what disturbs the cloud meanwhile.

    Returns:
        The exit status: 0 if every order has ended and the books balance.
    """
    with LocalCloud() as cloud:
        cloud.deploy(package.build(package.Target.this_machine()))
        pipeline = Pipeline(cloud.session(), cloud.state.stack_name)
        pipeline.stock.put(_SKU, orders * 4 // 5)
        disturber = disturb(cloud)
        began = time.monotonic()
        with disturber.at_work():
            result = _send(pipeline, orders, rate)
        sent = time.monotonic() - began
        left, most_parked = wait_for_the_end(pipeline)
        seconds = time.monotonic() - began
        report = audit(pipeline)
        _say("")
        statuses = Counter(
            order["status"]
            for order in pipeline.orders.find([s.order.order_id for s in result.sent]).values()
        )
    print(f"orders       {result.taken:,} taken of {orders:,}, sent in {sent:.0f} s")
    print(f"ends         {', '.join(f'{n:,} {status}' for status, n in sorted(statuses.items()))}")
    print(f"disturbed    {disturber.told()}")
    print(f"parked       {most_parked:,} messages at most at a time; nobody redrove them")
    print(f"all ended    {seconds - sent:.0f} s after the last order was sent")
    print(f"left         {listed(left)}")
    print(f"audit        {len(report.findings)} findings, {report.in_flight} not judged")
    for finding in report.findings:
        print(f"  {finding.subject}: {finding.kind.value}")
    return int(any(left.values()) or bool(report.findings) or result.taken < orders)


def listed(counts: dict[str, int]) -> str:
    """Counts as one reads them."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))


def main(
    description: str | None, disturb: Callable[[LocalCloud], Disturber], *, orders: int
) -> None:
    """The command line.

    Args:
        description: what it does.
        disturb: what disturbs the cloud.
        orders: how many there are, unless an option says so.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--orders", type=int, default=orders)
    parser.add_argument("--rate", type=float, default=40, help="orders a second")
    options = parser.parse_args()
    sys.exit(soak(options.orders, options.rate, disturb))


if __name__ == "__main__":
    main(__doc__, Killer, orders=5000)
