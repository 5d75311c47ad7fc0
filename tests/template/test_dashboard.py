"""The dashboard: it can be read, tells the flow from left to right, and misses nothing."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from support.dashboard import Metric, metrics_of, published_metrics

Resources = dict[str, dict[str, Any]]
WIDTH = 24


@pytest.fixture(scope="module")
def widgets(resources: Resources) -> list[dict[str, Any]]:
    """The widgets; a reference such as ``${OrderApi}`` stands as ``<OrderApi>``, a number as 1."""
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body = body.replace("${QueueAgeAlarmSeconds}", "1")
    found: list[dict[str, Any]] = json.loads(re.sub(r"\$\{([\w:.]+)\}", r"<\1>", body))["widgets"]
    return found


@pytest.fixture(scope="module")
def metrics(widgets: list[dict[str, Any]]) -> list[Metric]:
    return list(metrics_of(widgets))


def test_widgets_stand_side_by_side(widgets: list[dict[str, Any]]) -> None:
    for widget in widgets:
        assert widget["x"] + widget["width"] <= WIDTH
    for one, other in itertools.combinations(widgets, 2):
        apart = (
            one["x"] + one["width"] <= other["x"]
            or other["x"] + other["width"] <= one["x"]
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )
        assert apart, (one["properties"], other["properties"])


def test_it_tells_the_flow_from_left_to_right(widgets: list[dict[str, Any]]) -> None:
    titles = sorted((w for w in widgets if w["type"] == "text"), key=lambda w: int(w["x"]))
    stations = [re.findall(r"· (\w+)", title["properties"]["markdown"])[0] for title in titles]
    assert stations == ["API", "Bus", "Queues", "Functions", "Outcomes", "Ends"]


def test_it_shows_every_alarm(widgets: list[dict[str, Any]], resources: Resources) -> None:
    (shown,) = (w["properties"]["alarms"] for w in widgets if w["type"] == "alarm")
    alarms = [name for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"]
    assert sorted(shown) == sorted(f"<{name}.Arn>" for name in alarms)


def test_everything_it_names_is_in_the_template(
    metrics: list[Metric], template: dict[str, Any]
) -> None:
    known = template["Resources"].keys() | template["Parameters"].keys()
    for metric in metrics:
        for name in re.findall(r"<(\w+)[.>]", str(metric)):
            assert name in known, metric


@pytest.mark.parametrize(
    ("kind", "metric", "dimension"),
    [
        ("AWS::Lambda::Function", "Duration", "FunctionName"),
        ("AWS::Lambda::Function", "Errors", "FunctionName"),
        ("AWS::Lambda::Function", "Throttles", "FunctionName"),
    ],
)
def test_it_shows_every_function(
    metrics: list[Metric], resources: Resources, kind: str, metric: str, dimension: str
) -> None:
    shown = {m.dimension(dimension) for m in metrics if m.name == metric}
    assert shown == {f"<{name}>" for name, r in resources.items() if r["Type"] == kind}


def test_it_shows_every_queue_but_the_shops_own(
    metrics: list[Metric], resources: Resources
) -> None:
    shown = {
        m.dimension("QueueName") for m in metrics if m.name == "ApproximateNumberOfMessagesVisible"
    }
    queues = {name for name, r in resources.items() if r["Type"] == "AWS::SQS::Queue"}
    assert shown == {f"<{name}.QueueName>" for name in queues - {"OrderUpdatesQueue"}}


def test_it_shows_every_metric_that_the_functions_publish(metrics: list[Metric]) -> None:
    shown = {m.name for m in metrics if m.namespace == "OrderPipeline"}
    assert shown == set().union(*published_metrics().values())
