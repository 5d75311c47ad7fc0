"""Metrics in the lines of functions."""

import json
from datetime import UTC, datetime, timedelta

from .account import Account, wait_for

CODE = """
    import json

    def handler(event, context):
        directive = {
            "Namespace": "Tests",
            "Dimensions": [["service"]],
            "Metrics": [{"Name": "Charged", "Unit": "Count"}, {"Name": "Failed"}],
        }
        line = {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "service": event}
        print(json.dumps(line | {"Charged": [2.0, 1.0], "Failed": 4}))
        print(json.dumps(line | {"Charged": "many"}))
        print('{"_aws": 5}')
"""


def total(account: Account, metric: str, service: str) -> float | None:
    now = datetime.now(UTC)
    points = account.cloudwatch.get_metric_statistics(
        Namespace="Tests",
        MetricName=metric,
        Dimensions=[{"Name": "service", "Value": service}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points) if points else None


def test_become_metrics_under_their_dimensions(account: Account, name: str) -> None:
    arn = account.function(
        name, CODE, {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    )
    account.functions.invoke(FunctionName=arn, Payload=json.dumps(name).encode())
    assert wait_for(lambda: total(account, "Charged", name)) == 3
    assert total(account, "Failed", name) == 4
    assert total(account, "Charged", "another") is None
