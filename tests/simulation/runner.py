"""Many seeds, on all cores, up to the first that fails."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from simulation.rooms import Rooms, Sabotage, load
from simulation.simulation import Result, run
from simulation.template import topology

_CHUNK: Final = 25


@dataclass(slots=True)
class Tally:
    """What a number of runs came to."""

    seeds: int = 0
    orders: int = 0
    invocations: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault struck."""
    failure: Result | None = None
    """The first run in which something did not hold."""

    def add(self, result: Result) -> None:
        """Take a run into account."""
        self.seeds += 1
        self.orders += result.orders
        self.invocations += result.invocations
        self.struck += result.struck
        if result.violation and self.failure is None:
            self.failure = result

    def merge(self, other: Tally) -> None:
        """Take other runs into account; they come after those so far."""
        self.seeds += other.seeds
        self.orders += other.orders
        self.invocations += other.invocations
        self.struck += other.struck
        self.failure = self.failure or other.failure


@cache
def rooms() -> Rooms:
    """The handlers as they are, loaded once a process."""
    return load(topology())


def replay(seed: int, *sabotages: Sabotage) -> Result:
    """Run one seed, with the handlers as they are or broken."""
    return run(seed, topology(), load(topology(), *sabotages) if sabotages else rooms())


def notice(sabotage: Sabotage, seeds: range) -> Result | None:
    """Run seeds with broken handlers; returns the first run that breaks a rule."""
    return search(seeds, load(topology(), sabotage)).failure


def search(seeds: Iterable[int], handlers: Rooms) -> Tally:
    """Run seeds in this process, one after the other, up to the first that fails."""
    tally = Tally()
    for seed in seeds:
        tally.add(run(seed, topology(), handlers))
        if tally.failure:
            break
    return tally


def search_on_all_cores(seeds: range, jobs: int) -> Iterator[Tally]:
    """Run seeds in several processes; yields what every few of them came to, in their order.

    Ends with the chunk in which the first seed fails.
    """
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    # Not forked: the threads of this process would be missing in the copies.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(max_workers=min(jobs, len(chunks)), mp_context=context)
    try:
        for tally in executor.map(_search_here, chunks):
            yield tally
            if tally.failure:
                return
    finally:
        executor.shutdown(cancel_futures=True)


def notice_on_all_cores(
    sabotages: Sequence[Sabotage], seeds: range, jobs: int
) -> Iterator[tuple[Sabotage, int | None]]:
    """Run each sabotage; yields the first seed that notices it, if any does."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context) as executor:
        noticed = executor.map(_notice_here, sabotages, [seeds] * len(sabotages))
        yield from zip(sabotages, noticed, strict=True)


def _search_here(seeds: range) -> Tally:
    return search(seeds, rooms())


def _notice_here(sabotage: Sabotage, seeds: range) -> int | None:
    failure = notice(sabotage, seeds)
    return failure.seed if failure else None
