"""The archive of the bus, and replays from it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from orderctl.pipeline.names import find
from orderctl.pipeline.steps import RULES

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import DescribeReplayResponseTypeDef

    from orderctl.pipeline.stack import Stack

_ARCHIVE = "OrderEventArchive"
PER_SECOND = 50
"""How many events are replayed a second, unless that is chosen."""
_SLICE = timedelta(minutes=5)
# How long CloudWatch keeps datapoints of a minute and of five ("Amazon CloudWatch concepts").
_PERIODS = ((timedelta(days=15), 60), (timedelta(days=63), 300))
_LONGEST_PERIOD = 3600
_ENDED = ("COMPLETED", "CANCELLED", "FAILED")


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a replay."""

    state: str
    last_replayed: datetime | None
    """The time of the last event that was replayed."""
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether the replay has ended."""
        return self.state in _ENDED

    def share(self, start: datetime, end: datetime) -> float:
        """Which share of the time span is done, from 0 to 1."""
        if self.state == "COMPLETED":
            return 1
        if self.last_replayed is None:
            return 0
        return min(max((self.last_replayed - start) / (end - start), 0), 1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much a replay would deliver, by what EventBridge has counted at the time."""

    by_rule: Mapping[str, int]
    """How many events fitted each rule."""
    over_time: Sequence[tuple[datetime, int]]
    """The same of all rules: the beginning of each period with events, and how many."""

    @property
    def events(self) -> int:
        """How many deliveries: an event that fits two rules counts twice."""
        return sum(self.by_rule.values())

    def lasts(self, per_second: int) -> timedelta:
        """How long a replay takes at least, at a pace."""
        return timedelta(seconds=self.events / per_second)


def slices(
    estimate: Estimate, start: datetime, end: datetime, per_second: int
) -> list[tuple[datetime, datetime, int]]:
    """Divide a span of time into replays, so that each has at most what five minutes may bring.

    Unless one period has more: EventBridge cannot be told to go slower, so what comes at once comes
    at once.

    Returns:
        The beginning and the end of each, and how many events it has.
    """
    most = round(per_second * _SLICE.total_seconds())
    cut: list[tuple[datetime, datetime, int]] = []
    begin, events = start, 0
    for at, count in estimate.over_time:
        if events and events + count > most and at > begin:
            cut.append((begin, at, events))
            begin, events = at, 0
        events += count
    return [*cut, (begin, end, events)]


class Archive:
    """The archive of the bus."""

    def __init__(self, session: boto3.Session, stack: Stack) -> None:
        """Find the archive of a stack."""
        self._events: EventBridgeClient = session.client("events")
        self._cloudwatch: CloudWatchClient = session.client("cloudwatch")
        self._bus = stack.outputs["EventBusName"]
        self._prefix = stack.prefix
        found = self._events.describe_archive(ArchiveName=stack.physical_id(_ARCHIVE))
        self._arn = found["ArchiveArn"]
        self.retention_days = found.get("RetentionDays", 0)
        """How long events are kept; 0 means for ever."""
        # On AWS the physical id of a rule on a custom bus is BUS|RULE.
        self._rules = {
            rule: stack.physical_id(rule.logical_id).rsplit("|", 1)[-1] for rule in RULES
        }

    def rules(self, typed: Sequence[str]) -> list[str]:
        """The full names of the rules that were typed; the default ones when none was.

        Raises:
            OrderctlError: the pipeline has no such rule.
        """
        if not typed:
            return [name for rule, name in self._rules.items() if rule.is_replayed]
        known = list(self._rules.values())
        return [find(name, known, self._prefix, what="rule") for name in typed]

    def estimate(
        self, start: datetime, end: datetime, rules: Sequence[str], now: datetime
    ) -> Estimate:
        """Estimate what a replay would deliver.

        Args:
            start: the time of the first events.
            end: the time before which events are replayed.
            rules: the names of the rules that get the events.
            now: the present time; what is older is counted in longer periods.
        """
        period = next((p for kept, p in _PERIODS if now - start < kept), _LONGEST_PERIOD)
        first = start - timedelta(seconds=start.timestamp() % period)
        pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[
                _matched(number, self._bus, rule, period) for number, rule in enumerate(rules)
            ],
            StartTime=first,
            EndTime=end,
        )
        by_rule, over_time = dict.fromkeys(rules, 0), Counter[datetime]()
        for page in pages:
            for result in page["MetricDataResults"]:
                rule = rules[int(result["Id"][1:])]
                for at, count in zip(result["Timestamps"], result["Values"], strict=True):
                    by_rule[rule] += round(count)
                    over_time[max(at, start)] += round(count)
        return Estimate(by_rule, sorted(over_time.items()))

    def replay(self, start: datetime, end: datetime, rules: Sequence[str]) -> str:
        """Start a replay, and return its name.

        Args:
            start: the time of the first events.
            end: the time before which events are replayed.
            rules: the names of the rules that get the events.
        """
        bus = self._events.describe_event_bus(Name=self._bus)["Arn"]
        name = f"{self._prefix}replay-{end:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self._events.start_replay(
            ReplayName=name,
            Description="orderctl replay",
            EventSourceArn=self._arn,
            EventStartTime=start,
            EventEndTime=end,
            Destination={"Arn": bus, "FilterArns": self._rule_arns(rules)},
        )
        return name

    def progress(self, replay: str) -> Progress:
        """The progress of a replay, by its name."""
        found: DescribeReplayResponseTypeDef = self._events.describe_replay(ReplayName=replay)
        return Progress(
            found["State"], found.get("EventLastReplayedTime"), found.get("StateReason", "")
        )

    def cancel(self, replay: str) -> None:
        """Stop a replay; events that were replayed already stay replayed."""
        self._events.cancel_replay(ReplayName=replay)

    def _rule_arns(self, names: Sequence[str]) -> list[str]:
        pages = self._events.get_paginator("list_rules").paginate(EventBusName=self._bus)
        arns: Mapping[str, str] = {
            rule["Name"]: rule["Arn"] for page in pages for rule in page["Rules"]
        }
        return [arns[name] for name in dict.fromkeys(names)]


def _matched(number: int, bus: str, rule: str, period: int) -> MetricDataQueryTypeDef:
    """The query for how many events fitted a rule."""
    return {
        "Id": f"r{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Events",
                "MetricName": "MatchedEvents",
                "Dimensions": [
                    {"Name": "EventBusName", "Value": bus},
                    {"Name": "RuleName", "Value": rule},
                ],
            },
            "Period": period,
            "Stat": "Sum",
        },
    }


def too_old(start: datetime, now: datetime, retention: timedelta) -> bool:
    """Whether a replay starts before the oldest event that the archive keeps."""
    return bool(retention) and start < now - retention
