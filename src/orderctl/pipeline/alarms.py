"""The pipeline's alarms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm."""

    state: str
    """OK, ALARM or INSUFFICIENT_DATA."""
    description: str
    """What it means, and which section of docs/operations.md says what to do."""


class Alarms:
    """The alarms of one stack: those that notify the stack's topic."""

    def __init__(self, cloudwatch: CloudWatchClient, topic_arn: str) -> None:
        """Take the topic."""
        self._cloudwatch = cloudwatch
        self._topic_arn = topic_arn

    def all(self) -> dict[str, Alarm]:
        """The alarms, by their names."""
        return {
            alarm["AlarmName"]: Alarm(alarm["StateValue"], alarm.get("AlarmDescription", ""))
            for alarm in self._alarms()
        }

    def states(self) -> dict[str, str]:
        """The state of each alarm, by its name."""
        return {name: alarm.state for name, alarm in self.all().items()}

    def of_queues(self) -> dict[str, str]:
        """The state of the alarm on each dead-letter queue, by the queue's name."""
        return {
            dimension["Value"]: alarm["StateValue"]
            for alarm in self._alarms()
            for dimension in alarm.get("Dimensions", [])
            if dimension["Name"] == "QueueName"
        }

    def _alarms(self) -> Iterator[MetricAlarmTypeDef]:
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate()
        return (
            alarm
            for page in pages
            for alarm in page["MetricAlarms"]
            if self._topic_arn in alarm["AlarmActions"]
        )
