"""What the template says of memory, and of what is watched at a price by the month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Resources = Mapping[str, Mapping[str, Any]]
"""The template's, by logical id."""


def memory_sizes(resources: Resources) -> dict[str, int]:
    """The memory of each function in MB, as the template sets it, by the function's name."""
    functions = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    names = [function["FunctionName"]["Fn::Sub"] for function in functions]
    return {
        name.removeprefix("${NamePrefix}"): int(function["MemorySize"])
        for name, function in zip(names, functions, strict=True)
    }


def count_resources(resources: Resources, kind: str) -> int:
    """How many resources of a type, such as AWS::CloudWatch::Alarm, the template has."""
    return sum(resource["Type"] == kind for resource in resources.values())


def watching_month(table: Mapping[str, Any], resources: Resources) -> float:
    """Dollars a month for custom metrics, alarms and dashboards, whatever the load."""
    priced = table["cloudwatch"]
    return float(
        count_resources(resources, "AWS::Logs::MetricFilter") * priced["metric_month"]
        + count_resources(resources, "AWS::CloudWatch::Alarm") * priced["alarm_month"]
        + count_resources(resources, "AWS::CloudWatch::Dashboard") * priced["dashboard_month"]
    )


def is_reported(parameters: Mapping[str, str]) -> bool:
    """Whether Lambda itself logs each invocation, by the parameters' values."""
    return parameters["SystemLogLevel"] == "INFO"


def lists_ended(parameters: Mapping[str, str]) -> bool:
    """Whether an index has each order that has ended, by the parameters' values."""
    return parameters["OrdersIndex"] == "true"


def provisioned_rate(parameters: Mapping[str, str]) -> float:
    """For how many orders a second the tables are provisioned, by the parameters' values."""
    return float(parameters["ProvisionedOrdersPerSecond"])
