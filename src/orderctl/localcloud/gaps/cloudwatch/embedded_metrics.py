"""Metrics that functions write into their log lines.

MiniStack 1.5.33 keeps such lines as lines. AWS ("Specification: Embedded metric format", CloudWatch
user guide) takes every log event that is a JSON object with a member `_aws` as one that also
carries metrics: `CloudWatchMetrics` names, for each namespace, the members that are metrics and
the sets of members that are their dimensions; each set makes a metric of its own.

A value may be a number or a list of numbers; what does not fit the format makes no metric.
"""

import json
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs

from orderctl.localcloud import seams


def install() -> None:
    """Take the metrics out of log events where they are stored."""
    append = seams.original(cloudwatch_logs, "_append_log_events")

    def append_with_metrics(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        for event in events:
            for metric in metrics_in(event["message"]):
                cloudwatch.record_metric(*metric)

    seams.replace(cloudwatch_logs, "_append_log_events", append_with_metrics)


def metrics_in(message: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """The metrics in a log event: namespace, name, value, unit and dimensions of each datapoint.

    Args:
        message: The log event's text.
    """
    if '"_aws"' not in message:
        return
    try:
        line = json.loads(message)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: str(line[name]) for name in names}
                for metric in directive["Metrics"]:
                    value = line[metric["Name"]]
                    for datapoint in value if isinstance(value, list) else [value]:
                        yield (
                            directive["Namespace"],
                            metric["Name"],
                            float(datapoint),
                            metric.get("Unit", "None"),
                            dimensions,
                        )
    except (ValueError, KeyError, TypeError):
        return
