"""Warm invocations: CPU and time of an order, and all that is counted on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from bench.emulator import Aws
from bench.figures import Progress, spread
from bench.processes import Code, Worker, worker
from bench.setting import TIMED, Function
from bench.workload import Work, work

BATCHES: Final = (1, 10, 100)
LATENCIES_MS: Final = (0, 5)
"""How long AWS takes to answer."""
# Enough work for a sample of some ten milliseconds, also where it goes fast.
_INVOCATIONS: Final = {1: 24, 10: 8, 100: 2}


@dataclass(frozen=True, slots=True)
class _Pair:
    """The versions of a function, ready to be invoked."""

    function: Function
    workers: dict[str, Worker]
    aws: Aws
    latencies: Sequence[int]

    @property
    def batches(self) -> Sequence[int]:
        return BATCHES if self.function.in_batches else BATCHES[:1]

    def work(self, version: str, batch: int) -> Work:
        return work(self.function, version, _INVOCATIONS[batch], batch, self.aws.endpoint)


def measure(
    code: Code,
    aws: Aws,
    functions: Sequence[Function],
    repetitions: int,
    report_progress: Progress,
    *,
    versions: Sequence[str] = TIMED,
    latencies: Sequence[int] = LATENCIES_MS,
) -> dict[str, Any]:
    """Invoke each function with new orders, its versions in turn.

    Args:
        code: where the functions' code is.
        aws: what answers them.
        functions: which.
        repetitions: how many samples are taken of each.
        report_progress: called with how many samples are done, of how many.
        versions: which of them.
        latencies: how long AWS takes to answer, in ms; 0 must be among them.

    Returns:
        By function and version: what is counted, what an order takes, and who takes it.
    """
    found: dict[str, Any] = {}
    for number, function in enumerate(functions):
        with ExitStack() as running:
            workers = {
                version: running.enter_context(worker(code, function, version, aws.endpoint))
                for version in versions
            }
            pair = _Pair(function, workers, aws, latencies)
            _warm_up(pair)
            times: dict[Any, list[Any]] = defaultdict(list)
            for repetition in range(repetitions):
                _sample(pair, times)
                report_progress(number * repetitions + repetition + 1, len(functions) * repetitions)
            found[function.name] = {v: _summarize(pair, v, times) for v in versions}
    return found


def _warm_up(pair: _Pair) -> None:
    for version, invoked in pair.workers.items():
        for batch in pair.batches:
            invoked.invoke(pair.work(version, batch).events)


def _sample(pair: _Pair, times: dict[Any, list[Any]]) -> None:
    """Take one sample of everything."""
    for latency in pair.latencies:
        for batch in pair.batches:
            for version, invoked in pair.workers.items():
                pair.aws.reset()
                given = pair.work(version, batch)
                pair.aws.reset(latency=latency / 1000)
                used = invoked.invoke(given.events)
                times[version, latency, batch].append(
                    (used["cpu"] * 1e3 / given.orders, used["wall"] * 1e3 / given.orders)
                )
    pair.aws.reset()


def _summarize(pair: _Pair, version: str, times: dict[Any, list[Any]]) -> dict[str, Any]:
    return {
        "counts": {batch: _count(pair, version, batch) for batch in pair.batches},
        "per_order": [
            {
                "batch": batch,
                "latency_ms": latency,
                "cpu_ms": spread([cpu for cpu, _ in times[version, latency, batch]]),
                "wall_ms": spread([wall for _, wall in times[version, latency, batch]]),
            }
            for batch in pair.batches
            for latency in pair.latencies
        ],
        "client_share": _client_share(pair, version),
    }


def _count(pair: _Pair, version: str, batch: int) -> dict[str, Any]:
    """Count what orders take when they are new, and when the same events come again."""
    given = pair.work(version, batch)
    counted = {}
    for name in ("first", "again"):
        pair.aws.reset(counting=True)
        used = pair.workers[version].invoke(given.events)
        asked = pair.aws.reset()
        counted[name] = {
            "invocations": len(given.events) / given.orders,
            "calls": _each(asked["calls"], given.orders),
            "calls_per_invocation": sum(asked["calls"].values()) / len(given.events),
            "write_units": _each(asked["write_units"], given.orders),
            "read_units": _each(asked["read_units"], given.orders),
            "items": asked["items"] / given.orders,
            "events": asked["events"] / given.orders,
            "logged_bytes": used["logged"] / given.orders,
            "logged_lines": used["lines"] / given.orders,
            "peak_megabytes": round(used["peak_megabytes"], 1),
        }
    return counted


def _each(totals: dict[str, float], orders: float) -> dict[str, float]:
    return {name: total / orders for name, total in totals.items() if total}


def _client_share(pair: _Pair, version: str) -> float:
    """The share of the client's calls in the time of warm invocations, as the profiler sees it."""
    given = pair.work(version, pair.batches[-1])
    seen = pair.workers[version].invoke(given.events, profiled=True)
    return round(float(seen["client"] / seen["total"]), 3)
