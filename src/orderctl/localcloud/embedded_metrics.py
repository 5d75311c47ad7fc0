"""Metrics that functions write into their logs.

MiniStack 1.5.33 keeps such lines as lines. AWS ("Specification: Embedded metric format",
CloudWatch user guide) makes metrics of a line with `_aws`: for each directive and each of its
sets of dimensions, the values that stand in the line under the metrics' names.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs

from orderctl.localcloud import seams

_MARK = '"_aws"'


def install() -> None:
    """Make metrics of such lines where log events are stored."""
    append = seams.original(cloudwatch_logs, "_append_log_events")

    def append_and_measure(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        for event in events:
            if _MARK in event["message"]:
                for metric in metrics_in(event["message"]):
                    cloudwatch.record_metric(*metric)

    seams.replace(cloudwatch_logs, "_append_log_events", append_and_measure)


def metrics_in(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """Namespace, name, value, unit and dimensions of every metric in a line; none of a bad one."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        fields = json.loads(line)
        for directive in fields["_aws"]["CloudWatchMetrics"]:
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: str(fields[name]) for name in names}
                for metric in directive["Metrics"]:
                    values = fields[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        yield (
                            directive["Namespace"],
                            metric["Name"],
                            float(value),
                            metric.get("Unit", "None"),
                            dimensions,
                        )
