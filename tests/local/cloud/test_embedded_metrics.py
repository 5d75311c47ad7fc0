import json
from datetime import UTC, datetime, timedelta

import pytest

from .account import Account, wait_for

LINE = {
    "_aws": {
        "Timestamp": 1,
        "CloudWatchMetrics": [
            {
                "Namespace": "Shop",
                "Dimensions": [["service"], ["service", "kind"]],
                "Metrics": [{"Name": "Sold", "Unit": "Count"}, {"Name": "Seconds"}],
            }
        ],
    },
    "kind": "tea",
    "Sold": [1, 2],
    "Seconds": 0.5,
}


def total(account: Account, metric: str, **dimensions: str) -> float:
    found = account.cloudwatch.get_metric_statistics(
        Namespace="Shop",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.now(UTC) - timedelta(minutes=5),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in found["Datapoints"])


def test_a_line_in_the_embedded_metric_format_makes_metrics(account: Account, name: str) -> None:
    line = json.dumps({**LINE, "service": name})
    account.function(name, f"def handler(event, context):\n    print({line!r})")
    account.functions.invoke(FunctionName=name)
    wait_for(lambda: total(account, "Sold", service=name) == 3)
    assert total(account, "Sold", service=name, kind="tea") == 3
    assert total(account, "Seconds", service=name) == 0.5


@pytest.mark.parametrize(
    "line",
    [
        '{"_aws"',
        '"_aws"',
        '{"_aws":{}}',
        '{"_aws":{"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[[]],"Metrics":[{}]}]}}',
    ],
)
def test_a_line_that_only_looks_like_it_stays_a_line(
    account: Account, name: str, line: str
) -> None:
    account.function(name, f"def handler(event, context):\n    print({line!r})")
    answer = account.functions.invoke(FunctionName=name)
    assert "FunctionError" not in answer


def test_a_schedule_runs_in_the_time_of_the_alarms(account: Account, name: str) -> None:
    line = json.dumps({**LINE, "service": name})
    account.function(name, f"def handler(event, context):\n    print({line!r})")
    rule = account.events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")["RuleArn"]
    arn = account.functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    account.functions.add_permission(
        FunctionName=name,
        StatementId="schedule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    account.events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": arn}])
    wait_for(lambda: total(account, "Sold", service=name) >= 6)
    account.events.remove_targets(Rule=name, Ids=["function"])
