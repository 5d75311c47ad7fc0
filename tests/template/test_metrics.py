"""The filters that make metrics of the functions' log lines: one for each metric, in time."""

from __future__ import annotations

from typing import Any

from support.dashboard import published_metrics

Resources = dict[str, dict[str, Any]]
FUNCTIONS = "AWS::Lambda::Function"
FILTERS = "AWS::Logs::MetricFilter"


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: each for name, each in resources.items() if each["Type"] == kind}


def filters_of(resources: Resources, function: dict[str, Any]) -> Resources:
    """The filters of a function's log group, by metric, each with its ``LogicalId``."""
    group = function["Properties"]["LoggingConfig"]["LogGroup"]
    return {
        each["Properties"]["MetricTransformations"][0]["MetricName"]: each | {"LogicalId": name}
        for name, each in of_type(resources, FILTERS).items()
        if each["Properties"]["LogGroupName"] == group
    }


def test_each_metric_that_a_function_publishes_has_a_filter(resources: Resources) -> None:
    published = published_metrics()
    for name, function in of_type(resources, FUNCTIONS).items():
        module = function["Properties"]["Handler"].removesuffix(".handler")
        assert filters_of(resources, function).keys() == published.pop(module), name
    assert not published


def test_all_filters_are_alike(resources: Resources) -> None:
    """They match no line that has an embedded metric: such a line would count twice."""
    filters = of_type(resources, FILTERS)
    for name, each in filters.items():
        (made,) = each["Properties"]["MetricTransformations"]
        metric = made["MetricName"]
        assert each["Properties"]["FilterPattern"] == f'{{ $.metrics = "*" && $.{metric} = * }}'
        assert made == {
            "MetricNamespace": "OrderPipeline",
            "MetricName": metric,
            "MetricValue": f"$.{metric}",
            "Unit": "Count",
            "Dimensions": [{"Key": "service", "Value": "$.metrics"}],
        }
        assert name.endswith(f"{metric}Metric")


def test_a_function_changes_after_its_filters_were_made(resources: Resources) -> None:
    """Else an update would lose what is counted between the two."""
    for name, function in of_type(resources, FUNCTIONS).items():
        needed = {each["LogicalId"] for each in filters_of(resources, function).values()}
        assert needed <= set(function["DependsOn"]), name


def test_an_alarm_watches_a_metric_that_its_function_publishes(resources: Resources) -> None:
    watched = [
        alarm["Properties"]
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["Namespace"] == "OrderPipeline"
    ]
    assert watched
    for alarm in watched:
        (dimension,) = alarm["Dimensions"]
        assert dimension["Name"] == "service"
        function = resources[dimension["Value"]["Ref"]]
        assert alarm["MetricName"] in filters_of(resources, function)
