"""The dashboard on the local cloud: what it shows is there once orders flow."""

from __future__ import annotations

import json

from support.dashboard import Metric, metrics_of
from support.pipeline import PipelineUnderTest, eventually

# Published only when there is something to tell.
ONLY_IN_TROUBLE = {"FailedInvocations", "InvocationsFailedToBeSentToDlq"}
# Called by a schedule, or only in trouble, and not by an order.
BESIDE = {
    ("FunctionName", "caretaker"),
    ("FunctionName", "circuit-breaker"),
    ("FunctionName", "auditor"),
    ("RuleName", "payments-failing"),
}


def test_every_metric_of_aws_on_it_has_data_once_orders_flow(pipeline: PipelineUnderTest) -> None:
    confirmed, cancelled = pipeline.ids(2)
    assert pipeline.api.place({"order_id": confirmed, "amount": 1}).status == 202
    pipeline.publish_events([("order.cancelled", {"order_id": cancelled, "reason": "test"})])
    cloudwatch = pipeline.cloud.session().client("cloudwatch")
    name = pipeline.stack.outputs["DashboardName"]
    widgets = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]
    shown = {
        metric
        for metric in metrics_of(widgets)
        if metric.namespace.startswith("AWS/")
        and metric.name not in ONLY_IN_TROUBLE
        and BESIDE.isdisjoint(metric.dimensions)
    }

    def published() -> set[Metric]:
        return {
            Metric(
                found["Namespace"],
                found["MetricName"],
                frozenset((pair["Name"], pair["Value"]) for pair in found["Dimensions"]),
            )
            for page in cloudwatch.get_paginator("list_metrics").paginate()
            for found in page["Metrics"]
        }

    assert len(shown) > 30
    eventually(lambda: shown <= published())
