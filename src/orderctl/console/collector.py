"""Reads the pipeline for all who look at it, at a bounded rate, and only while somebody does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import LifoQueue
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from orderctl import deploying
from orderctl.console import flow
from orderctl.console.flow import Flow
from orderctl.console.watching import AFTER_A_FAILURE_SECONDS, Watching
from orderctl.deploying.template import parse
from orderctl.errors import OrderctlError
from orderctl.pipeline import Pipeline, health
from orderctl.pipeline.health import Health, Metrics

Open = Callable[[], Pipeline]
"""Opens the pipeline, with a session of its own: boto3's are not for several threads."""

WINDOW = timedelta(minutes=5)
"""How far back rates are counted."""
_MOST_AT_ONCE = 4
_IDLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """How much the collector may ask of the pipeline."""

    calls_per_second: float
    metrics_seconds: float
    """How long metrics are used: on AWS each that is read costs money, and is new once a minute."""
    stories_seconds: float
    """How long to rest between two looks at the newest orders; each takes some 25 calls."""


ON_AWS = Pace(calls_per_second=4, metrics_seconds=60, stories_seconds=10)
ON_LOCAL_CLOUD = Pace(calls_per_second=12, metrics_seconds=0, stories_seconds=3)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the collector has seen last."""

    number: int = 0
    flow: Flow | None = None
    health: Health | None = None
    ringing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the alarms that ring, by step; those of no step under an empty name."""
    failure: str = ""
    """Why the pipeline could not be read; the rest is from before."""


class Pipelines:
    """Lends the pipeline to one user at a time; a few at once."""

    def __init__(self, open_pipeline: Open) -> None:
        """Take what opens the pipeline."""
        self._open = open_pipeline
        self._free: LifoQueue[Pipeline | None] = LifoQueue()
        for _ in range(_MOST_AT_ONCE):
            self._free.put(None)

    @contextmanager
    def borrow(self) -> Iterator[Pipeline]:
        """Lend it for the block; waits while too many have it. It is opened anew after a failure.

        Raises:
            OrderctlError: a call to AWS failed, or the pipeline cannot be opened.
        """
        pipeline = self._free.get()
        good: Pipeline | None = None
        try:
            with explained():
                pipeline = pipeline or self._open()
                yield pipeline
            good = pipeline
        finally:
            self._free.put(good)


@contextmanager
def explained() -> Iterator[None]:
    """Turn a failed call to AWS into an error that says what to do.

    Raises:
        OrderctlError: a call failed.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise OrderctlError(deploying.explain(error)) from error


class Collector(Watching):
    """A thread that looks at the pipeline again and again, and tells what it sees."""

    def __init__(self, open_pipeline: Open, pace: Pace, tell: Callable[[Snapshot], None]) -> None:
        """Take what opens the pipeline, the pace, and who is told each snapshot, in the thread."""
        super().__init__("collector")
        self._open = open_pipeline
        self._pace = pace
        self._tell = tell
        self._seen = Snapshot()
        self._calls = 0
        self._pipeline: Pipeline | None = None
        self._metrics: Metrics | None = None
        self._metrics_at = 0.0

    def _work(self) -> None:
        self._stopped.wait(self._look())

    def _look(self) -> float:
        """Look once, and return how many seconds to rest."""
        before, started = self._calls, time.monotonic()
        try:
            with explained():
                self._seen = self._snapshot(self._opened())
        except OrderctlError as error:
            self._pipeline = None
            self._seen = _failed(self._seen, str(error))
            self._tell(self._seen)
            return AFTER_A_FAILURE_SECONDS
        self._tell(self._seen)
        due = (self._calls - before) / self._pace.calls_per_second
        return max(due - (time.monotonic() - started), _IDLE_SECONDS)

    def _opened(self) -> Pipeline:
        if self._pipeline is None:
            self._pipeline = self._open()
            self._pipeline.session.events.register("before-call", self._count)
            self._metrics = None
        return self._pipeline

    def _snapshot(self, pipeline: Pipeline) -> Snapshot:
        wiring = self._seen.flow or flow.read(parse(pipeline.stack.template())["Resources"])
        now = datetime.now(UTC)
        if not self._metrics or time.monotonic() - self._metrics_at >= self._pace.metrics_seconds:
            self._metrics = health.read_metrics(pipeline, now, WINDOW)
            self._metrics_at = time.monotonic()
        seen = health.look(pipeline, now, WINDOW, self._metrics)
        return Snapshot(
            number=self._seen.number + 1,
            flow=wiring,
            health=seen,
            ringing=_ringing(pipeline, wiring, seen),
        )

    def _count(self, **_call: Any) -> None:  # noqa: ANN401 - botocore's
        self._calls += 1


def _ringing(pipeline: Pipeline, wiring: Flow, seen: Health) -> dict[str, tuple[str, ...]]:
    resources = pipeline.stack.resources
    step_of = {
        resources[logical_id].physical_id: step
        for logical_id, step in wiring.alarms.items()
        if logical_id in resources
    }
    found: dict[str, tuple[str, ...]] = {}
    for alarm in seen.ringing:
        step = step_of.get(alarm, "")
        found[step] = (*found.get(step, ()), alarm)
    return found


def _failed(seen: Snapshot, why: str) -> Snapshot:
    return Snapshot(seen.number + 1, seen.flow, seen.health, seen.ringing, why)
