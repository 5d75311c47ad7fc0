import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_logs import CloudWatchLogsClient

from .account import Account, wait_for

PATTERN = '{ $.metrics = "*" && $.Sold = * }'
NAMESPACE = "Shop"
SOLD: dict[str, Any] = {
    "metricNamespace": NAMESPACE,
    "metricName": "Sold",
    "metricValue": "$.Sold",
    "unit": "Count",
    "dimensions": {"service": "$.metrics"},
}
Filters = Callable[..., None]


@pytest.fixture
def logs(account: Account) -> CloudWatchLogsClient:
    client: CloudWatchLogsClient = account.client("logs")
    return client


@pytest.fixture
def put_filter(logs: CloudWatchLogsClient, name: str) -> Filters:
    """Makes the log group of a function, and filters of it."""
    group = f"/aws/lambda/{name}"
    logs.create_log_group(logGroupName=group)

    def put(pattern: str = PATTERN, /, filter_name: str = "sold", **changes: object) -> None:
        made = {key: value for key, value in (SOLD | changes).items() if value is not None}
        logs.put_metric_filter(
            logGroupName=group,
            filterName=filter_name,
            filterPattern=pattern,
            metricTransformations=[made],  # type: ignore[list-item]
        )

    return put


def prints(account: Account, name: str, *lines: object) -> None:
    """A function that logs these lines whenever it is invoked."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    account.function(name, f"def handler(event, context):\n    print('\\n'.join({texts!r}))")


def test_a_line_that_a_filter_matches_makes_a_metric(
    account: Account, name: str, put_filter: Filters
) -> None:
    put_filter()
    # What the filter does not match: a line of the embedded metric format from before, and others.
    others = [{"_aws": {}, "service": name, "Sold": 1}, {"metrics": name}, '{"Sold', "[1]", "Sold"]
    deep = '{"metrics": ' + "[" * 5_000
    lists = [{"metrics": name, "Sold": [1]}, {"metrics": {"of": name}, "Sold": 1}]
    text = {"metrics": name, "Sold": "many"}
    prints(account, name, *others, deep, *lists, text, {"metrics": name, "Sold": 2})
    account.functions.invoke(FunctionName=name)
    account.functions.invoke(FunctionName=name)
    wait_for(lambda: account.total(NAMESPACE, "Sold", service=name) == 4)


def test_a_filter_is_of_its_log_group_alone(
    account: Account, name: str, put_filter: Filters, logs: CloudWatchLogsClient
) -> None:
    put_filter()
    other = f"{name}-other"
    for group in (other, f"/aws/lambda/{name}"):
        if group == other:
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="stream")
        now = int(datetime.now(UTC).timestamp() * 1000)
        message = json.dumps({"metrics": name, "Sold": 3})
        logs.put_log_events(
            logGroupName=group,
            logStreamName="stream",
            logEvents=[{"timestamp": now, "message": message}],
        )
    assert account.total(NAMESPACE, "Sold", service=name) == 3


def test_every_matching_line_can_count_as_one(
    account: Account, name: str, put_filter: Filters
) -> None:
    metric = f"{name}Lost"
    put_filter("{ $.what = lost }", metricName=metric, metricValue="1", dimensions=None)
    prints(account, name, {"what": "lost"}, {"what": "found"}, {"what": "lost"})
    account.functions.invoke(FunctionName=name)
    wait_for(lambda: account.total(NAMESPACE, metric) == 2)


def test_a_line_that_does_not_match_makes_the_default_value(
    account: Account, name: str, put_filter: Filters
) -> None:
    metric = f"{name}Stuck"
    put_filter(
        '{ $.what = "stuck" }',
        metricName=metric,
        metricValue="100",
        dimensions=None,
        defaultValue=1,
    )
    prints(account, name, {"what": "fine"}, {"what": "stuck"})
    account.functions.invoke(FunctionName=name)
    wait_for(lambda: account.total(NAMESPACE, metric) > 100)


def test_a_deleted_filter_makes_no_metric(
    account: Account, name: str, put_filter: Filters, logs: CloudWatchLogsClient
) -> None:
    put_filter()
    put_filter(filter_name="kept", metricName="Kept")
    logs.delete_metric_filter(logGroupName=f"/aws/lambda/{name}", filterName="sold")
    prints(account, name, {"metrics": name, "Sold": 1})
    account.functions.invoke(FunctionName=name)
    wait_for(lambda: account.total(NAMESPACE, "Kept", service=name) == 1)
    assert account.total(NAMESPACE, "Sold", service=name) == 0


@pytest.mark.parametrize(
    ("pattern", "changes", "says"),
    [
        ("ERROR", {}, "does not know this filter pattern"),
        ("{ $.metrics NOT EXISTS }", {}, "does not know this filter pattern"),
        ('{ $.metrics = "a*" && $.Sold = * }', {}, "does not know this filter pattern"),
        ("{ $.Sold = * }", {}, "$.metrics is no field of the filter pattern"),
        ('{ $.metrics = "*" }', {}, "$.Sold is no field of the filter pattern"),
        (PATTERN, {"dimensions": {"service": "payments"}}, "payments is no field"),
        (PATTERN, {"defaultValue": 0}, "has no default value"),
        (PATTERN, {"dimensions": dict.fromkeys("abcd", "$.metrics")}, "at most 3 dimensions"),
    ],
)
def test_a_filter_that_is_not_as_aws_has_it_is_refused(
    put_filter: Filters, pattern: str, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ClientError, match="InvalidParameterException") as refused:
        put_filter(pattern, **changes)
    assert says in str(refused.value)


def test_a_log_group_has_a_hundred_filters_at_most(put_filter: Filters) -> None:
    for number in range(100):
        put_filter(filter_name=f"f{number}")
    put_filter(filter_name="f0")
    with pytest.raises(ClientError, match="LimitExceededException"):
        put_filter(filter_name="f100")


def test_a_schedule_runs_in_the_time_of_the_alarms(
    account: Account, name: str, put_filter: Filters
) -> None:
    put_filter()
    prints(account, name, {"metrics": name, "Sold": 3})
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
    wait_for(lambda: account.total(NAMESPACE, "Sold", service=name) >= 6)
    account.events.remove_targets(Rule=name, Ids=["function"])
