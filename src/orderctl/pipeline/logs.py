"""Reads and follows the functions' logs in CloudWatch Logs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orderctl.pipeline import reading

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

_POLL_SECONDS = 1.0
_SECONDS_A_CALL = 0.4
# CloudWatch Logs may show lines of the same time one after the other, and in any order.
_ARRIVES_WITHIN = timedelta(seconds=30)
_OF_THE_PLATFORM = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START ")
_EVENT_OF_THE_PLATFORM = "platform."
_REPORT = "platform.report"
_METRICS = ("metrics", "_aws")  # embedded metrics are in older lines
_MILLISECONDS = 1000
_LONGEST_INVOCATION = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a function's log."""

    id: str
    at: datetime
    """When it was logged according to the line itself, else when CloudWatch received it."""
    function: str
    text: str
    fields: Mapping[str, Any]
    """The fields of a structured line; empty for any other."""
    stream: str = ""
    """The log stream: a function's environment, which runs one invocation at a time."""

    @property
    def is_noise(self) -> bool:
        """Whether it is one of Lambda's own lines, or a line of metrics."""
        if self._event_of_the_platform:
            return self._status in (None, "success")
        return self.text.startswith(_OF_THE_PLATFORM) or self._has_metrics

    @property
    def level(self) -> str:
        """The log level; empty for a line without one."""
        return str(self.fields.get("level", self.fields.get("log_level", "")))

    @property
    def message(self) -> str:
        """The message; the whole text of an unstructured line."""
        if self._has_metrics:
            return "metrics"
        if self._event_of_the_platform:
            return f"{self._event_of_the_platform} {reading.to_text(self._status or '')}".strip()
        return str(self.fields.get("message", self.fields.get("errorMessage", self.text)))

    @property
    def _has_metrics(self) -> bool:
        return any(name in self.fields for name in _METRICS)

    @property
    def _event_of_the_platform(self) -> str:
        """The type of an event that Lambda itself logs, such as platform.report; else empty."""
        kind = str(self.fields.get("type", ""))
        return kind if kind.startswith(_EVENT_OF_THE_PLATFORM) else ""

    @property
    def _status(self) -> object:
        """How an invocation ended, as such an event says."""
        record = self.fields.get("record")
        return record.get("status") if isinstance(record, Mapping) else None

    @property
    def facts(self) -> dict[str, Any]:
        """The fields other than time, level and message; the request id comes last."""
        known = ("timestamp", "level", "message", *_METRICS)
        facts = {name: value for name, value in self.fields.items() if name not in known}
        if "request_id" in facts:
            facts["request_id"] = facts.pop("request_id")  # it is long
        return facts

    def is_about(self, order_id: str) -> bool:
        """Whether it is about an order."""
        if self.fields:
            return self.fields.get("order_id") == order_id
        return bool(re.search(rf"(?<![\w.-]){re.escape(order_id)}(?![\w.-])", self.text))


@dataclass(frozen=True, slots=True)
class Ran:
    """When an invocation ran, as Lambda itself has logged it."""

    began_at: datetime
    ended_at: datetime


class FunctionLog:
    """The log of one function."""

    def __init__(self, logs: CloudWatchLogsClient, group: str, function: str) -> None:
        """Take the log group, and the function's name for display."""
        self._logs = logs
        self._group = group
        self._function = function

    def read(
        self, since: datetime, until: datetime | None = None, containing: str = ""
    ) -> Iterator[LogLine]:
        """The lines since a time, oldest first.

        Args:
            since: the earliest time at which CloudWatch received a line.
            until: the latest such time.
            containing: only lines that contain this text, which must have no quotes.
        """
        request: dict[str, Any] = {"logGroupName": self._group, "startTime": _epoch(since)}
        if until:
            request["endTime"] = _epoch(until)
        if containing:
            request["filterPattern"] = f'"{containing}"'
        for page in self._logs.get_paginator("filter_log_events").paginate(**request):
            for event in page["events"]:
                yield log_line(event, self._function)

    def ran(self, lines: Sequence[LogLine]) -> dict[str, Ran]:
        """When the invocations ran that have logged some lines, by the lines' ids.

        Lambda logs that with SystemLogLevel=INFO; what it has not logged is left out. It takes a
        call for each log stream.

        Args:
            lines: lines of this log.
        """
        found: dict[str, Ran] = {}
        for stream in dict.fromkeys(line.stream for line in lines):
            of_stream = [line for line in lines if line.stream == stream]
            reports = list(self._reports(stream, of_stream))
            for line in of_stream:
                # An environment runs one invocation at a time: the next report is the line's.
                if report := next((each for each in reports if line.at <= each.ended_at), None):
                    found[line.id] = report
        return found

    def _reports(self, stream: str, lines: Sequence[LogLine]) -> Iterator[Ran]:
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._group,
            logStreamNames=[stream],
            startTime=_epoch(min(line.at for line in lines)),
            endTime=_epoch(max(line.at for line in lines) + _LONGEST_INVOCATION),
            filterPattern=f'"{_REPORT}"',
        )
        for page in pages:
            for event in page["events"]:
                if ran := _ran(log_line(event, self._function)):
                    yield ran


def follow(
    logs: Sequence[FunctionLog], since: datetime, containing: str = ""
) -> Iterator[list[LogLine]]:
    """The lines of logs since a time, then, for ever, the new ones; each list is in order of time.

    A line that CloudWatch shows late comes late.

    Args:
        logs: The logs to follow. Each look costs a call for each: CloudWatch Logs takes ten
            FilterLogEvents a second in most regions, five in some ("CloudWatch Logs quotas").
        since: the earliest time at which CloudWatch received a line.
        containing: only lines that contain this text, which must have no quotes.
    """
    seen: dict[tuple[str, str], datetime] = {}
    while True:
        asked = datetime.now(UTC)
        new = [
            line for line in read(logs, since, containing) if (line.function, line.id) not in seen
        ]
        seen |= {(line.function, line.id): asked for line in new}
        yield new
        # Older lines are not read again, so they need not be remembered.
        since = max(since, asked - _ARRIVES_WITHIN)
        seen = {id_: at for id_, at in seen.items() if at >= since - _ARRIVES_WITHIN}
        time.sleep(max(_POLL_SECONDS, len(logs) * _SECONDS_A_CALL))


def read(logs: Sequence[FunctionLog], since: datetime, containing: str = "") -> list[LogLine]:
    """The lines of logs since a time, in order of time; the arguments are those of `follow`."""
    lines = [line for log in logs for line in log.read(since, None, containing)]
    return sorted(lines, key=lambda line: line.at)


def log_line(event: FilteredLogEventTypeDef, function: str) -> LogLine:
    """A line from an event of CloudWatch Logs."""
    text = event["message"].rstrip("\n")
    fields = reading.parse_json_object(text) if text.startswith("{") else {}
    at = reading.parse_time(fields.get("timestamp")) or reading.from_milliseconds(
        event["timestamp"]
    )
    return LogLine(event["eventId"], at, function, text, fields, event.get("logStreamName", ""))


def _ran(line: LogLine) -> Ran | None:
    """When the invocation ran of which this is Lambda's report; None for any other line."""
    for record in reading.maps([line.fields.get("record")]):
        for metrics in reading.maps([record.get("metrics")]):
            taken = metrics.get("durationMs")
            if line.fields.get("type") == _REPORT and isinstance(taken, int | float):
                milliseconds = min(max(taken, 0), _LONGEST_INVOCATION / timedelta(milliseconds=1))
                return Ran(line.at - timedelta(milliseconds=milliseconds), line.at)
    return None


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp() * _MILLISECONDS)
