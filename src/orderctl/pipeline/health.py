"""The state of the whole pipeline: each step's counts and queues, alarms, paused consumers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orderctl.pipeline.steps import STEPS, Step
from orders.aws.items import UnreadableRecordError
from orders.circuit_breaker.decisions import Circuit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from orderctl.pipeline.pipeline import Pipeline

_PERIOD_SECONDS = 60
# A queue's metrics can be some minutes late.
_AGE_WINDOW = timedelta(minutes=10)
_AT_ONCE = 500  # the most queries in one GetMetricData
_NAMESPACE = "OrderPipeline"
_TOTALS = ("Invocations", "Errors", "Throttles")


def is_paused(state: str | None) -> bool:
    """Whether a consumer whose event source mapping is in this state takes no messages."""
    return state in ("Disabled", "Disabling")


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages are in a queue, and since when."""

    queue: str
    waiting: int
    """Messages that can be received now, or after a delay."""
    at_work: int
    """Messages that were received but not deleted yet."""
    oldest: timedelta | None
    """The age of the oldest; None without messages, or while CloudWatch has no metric."""


@dataclass(frozen=True, slots=True)
class StepHealth:
    """The state of one step."""

    name: str
    function: str | None
    calls: Mapping[str, int]
    """Invocations, Errors and Throttles of its function."""
    counts: Mapping[str, int]
    """What it has done, by label; empty while CloudWatch has no metric."""
    queue: Depth | None
    parked: Depth | None
    state: str | None
    """The state of its event source mapping, such as Enabled or Disabled."""
    circuit: Circuit | None = None
    """Whether the circuit breaker lets it take messages; None if it has no circuit."""

    @property
    def is_paused(self) -> bool:
        """Whether its consumer takes no messages."""
        return is_paused(self.state)

    @property
    def is_cut_off(self) -> bool:
        """Whether its circuit is open."""
        return self.circuit is not None and not self.circuit.is_closed


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the pipeline."""

    at: datetime
    window: timedelta
    """How far back the counts go."""
    steps: tuple[StepHealth, ...]
    unfinished: int
    oldest_unfinished: timedelta | None
    alarms: Mapping[str, str]
    """The state of each, by its name."""
    advice: Mapping[str, str] = field(default_factory=dict)
    """What each means, and which section of docs/operations.md says what to do."""

    @property
    def ringing(self) -> list[str]:
        """The alarms that are in state ALARM."""
        return sorted(name for name, state in self.alarms.items() if state == "ALARM")

    @property
    def paused(self) -> list[str]:
        """The consumers that take no messages."""
        return [step.name for step in self.steps if step.is_paused]


@dataclass(slots=True)
class Metrics:
    """Metrics that are fetched together: a call takes the same time for one and for hundreds."""

    queries: list[tuple[str, str, tuple[str, str], str]] = field(default_factory=list)
    values: dict[tuple[str, str], list[tuple[datetime, float]]] = field(default_factory=dict)
    """Times and values, by the dimension's value and the metric's name."""

    def add(self, namespace: str, metric: str, dimension: tuple[str, str], stat: str) -> None:
        """Have a metric fetched, with one of its statistics."""
        self.queries.append((namespace, metric, dimension, stat))

    def fetch(self, cloudwatch: CloudWatchClient, start: datetime, end: datetime) -> None:
        """Read the metrics of a span of time."""
        pages = cloudwatch.get_paginator("get_metric_data")
        for first in range(0, len(self.queries), _AT_ONCE):
            some = self.queries[first : first + _AT_ONCE]
            for page in pages.paginate(
                MetricDataQueries=[_query(n, *each) for n, each in enumerate(some)],
                StartTime=start,
                EndTime=end,
            ):
                for result in page["MetricDataResults"]:
                    _, metric, (_, value), _ = some[int(result["Id"][1:])]
                    found = zip(result["Timestamps"], result["Values"], strict=True)
                    self.values.setdefault((value, metric), []).extend(found)

    def total(self, of: str, metric: str) -> int | None:
        """The sum; None when there is no datapoint."""
        values = self.values.get((of, metric))
        return round(sum(value for _, value in values)) if values else None

    def newest(self, of: str, metric: str, since: datetime) -> float | None:
        """The newest value since a time; None when there is none."""
        values = [each for each in self.values.get((of, metric), ()) if each[0] >= since]
        return max(values)[1] if values else None


def _query(
    number: int, namespace: str, metric: str, dimension: tuple[str, str], stat: str
) -> MetricDataQueryTypeDef:
    name, value = dimension
    return {
        "Id": f"q{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value}],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": stat,
        },
    }


def read_metrics(pipeline: Pipeline, now: datetime, window: timedelta) -> Metrics:
    """Read the metrics of all steps; on AWS each of them costs money.

    Args:
        pipeline: the pipeline.
        now: the present time.
        window: how far back to count.
    """
    metrics = Metrics()
    functions = _functions(pipeline)
    for step in STEPS:
        for queue in _queues(pipeline, step):
            metrics.add("AWS/SQS", "ApproximateAgeOfOldestMessage", ("QueueName", queue), "Maximum")
        if step.function:
            name = functions[step.name]
            for metric in _TOTALS:
                metrics.add("AWS/Lambda", metric, ("FunctionName", name), "Sum")
            for metric, _ in step.counts:
                metrics.add(_NAMESPACE, metric, ("service", name), "Sum")
    metrics.fetch(pipeline.session.client("cloudwatch"), now - max(window, _AGE_WINDOW), now)
    return metrics


def look(
    pipeline: Pipeline, now: datetime, window: timedelta, metrics: Metrics | None = None
) -> Health:
    """Read the state of the pipeline.

    Args:
        pipeline: the pipeline.
        now: the present time.
        window: how far back to count.
        metrics: what `read_metrics` has read before; read now by default.
    """
    metrics = metrics or read_metrics(pipeline, now, window)
    functions = _functions(pipeline)
    alarms = pipeline.alarms.all()
    unfinished, oldest = pipeline.orders.count_unfinished()
    return Health(
        at=now,
        window=window,
        steps=tuple(
            _step(pipeline, step, functions.get(step.name), metrics, now) for step in STEPS
        ),
        unfinished=unfinished,
        oldest_unfinished=now - oldest if oldest else None,
        alarms={name: alarm.state for name, alarm in alarms.items()},
        advice={name: alarm.description for name, alarm in alarms.items()},
    )


def _functions(pipeline: Pipeline) -> dict[str, str]:
    """The name of each step's function."""
    return {step.name: pipeline.stack.physical_id(step.function) for step in STEPS if step.function}


def _step(
    pipeline: Pipeline, step: Step, function: str | None, metrics: Metrics, now: datetime
) -> StepHealth:
    totals = {metric: metrics.total(function or "", metric) for metric in _TOTALS}
    counts = {label: metrics.total(function or "", metric) for metric, label in step.counts}
    return StepHealth(
        name=step.name,
        function=function,
        calls={m: total for m, total in totals.items() if total is not None} if function else {},
        counts={label: total for label, total in counts.items() if total},
        queue=_depth(pipeline, step.queue, metrics, now),
        parked=_depth(pipeline, step.dead_letter_queue, metrics, now),
        state=pipeline.consumer(step.name).state() if step.event_source else None,
        circuit=_circuit(pipeline, step),
    )


def _circuit(pipeline: Pipeline, step: Step) -> Circuit | None:
    """A step's circuit; None if it has none, or a damaged record, of which an alarm tells."""
    if not step.has_circuit or not pipeline.circuits:
        return None
    try:
        return pipeline.circuits.get(step.name)
    except UnreadableRecordError:
        return None


def _depth(pipeline: Pipeline, logical_id: str, metrics: Metrics, now: datetime) -> Depth | None:
    if not logical_id:
        return None
    queue = pipeline.queue(logical_id)
    waiting, at_work = queue.counts()
    seconds = metrics.newest(queue.name, "ApproximateAgeOfOldestMessage", now - _AGE_WINDOW)
    known = seconds is not None and waiting + at_work > 0
    return Depth(queue.name, waiting, at_work, timedelta(seconds=seconds or 0) if known else None)


def _queues(pipeline: Pipeline, step: Step) -> Iterator[str]:
    for logical_id in (step.queue, step.dead_letter_queue):
        if logical_id:
            yield pipeline.queue(logical_id).name


def names(alarms: Mapping[str, str], state: str) -> Sequence[str]:
    """The alarms that are in a state."""
    return sorted(name for name, current in alarms.items() if current == state)
