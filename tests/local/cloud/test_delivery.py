import json
from datetime import UTC, datetime, timedelta

import pytest
from mypy_boto3_events.type_defs import TargetTypeDef
from mypy_boto3_sqs.type_defs import MessageTypeDef

from .account import ACCOUNT, REGION, Account, policy

EVENTS = {"Service": "events.amazonaws.com"}
SOURCE = "tests"


class Rule:
    """A rule on a bus of its own that matches every event of the tests."""

    def __init__(self, account: Account, name: str) -> None:
        self.account = account
        self.name = name
        account.events.create_event_bus(Name=name)
        self.arn = account.events.put_rule(
            Name=name, EventBusName=name, EventPattern=json.dumps({"source": [SOURCE]})
        )["RuleArn"]

    def deliver_to(self, target_arn: str, dead_letter_queue: str | None = None) -> None:
        """Add the target, and put one event."""
        target: TargetTypeDef = {"Id": "target", "Arn": target_arn}
        if dead_letter_queue:
            target["DeadLetterConfig"] = {"Arn": self.account.queue_arn(dead_letter_queue)}
        self.account.events.put_targets(
            Rule=self.name,
            EventBusName=self.name,
            Targets=[target],
        )
        put = self.account.events.put_events(
            Entries=[
                {
                    "EventBusName": self.name,
                    "Source": SOURCE,
                    "DetailType": "tested",
                    "Detail": json.dumps({"n": 1}),
                }
            ]
        )
        assert put["FailedEntryCount"] == 0

    def queue(self, name: str, rule_arn: str | None = None) -> str:
        """A queue that lets a rule in: this one, or another."""
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        statement = {
            "Principal": EVENTS,
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn or self.arn}},
        }
        return self.account.queue(name, Policy=policy(statement))


def attribute(message: MessageTypeDef, name: str) -> str:
    return message["MessageAttributes"][name]["StringValue"]


def test_delivers_to_a_queue_that_lets_the_rule_in(account: Account, name: str) -> None:
    rule = Rule(account, name)
    queue = rule.queue(name)
    rule.deliver_to(account.queue_arn(queue))
    (message,) = account.receive(queue)
    assert json.loads(message["Body"])["detail"] == {"n": 1}


@pytest.mark.parametrize("allowed", ["nobody", "another rule"])
def test_a_queue_that_does_not_is_passed_by_for_the_dead_letter_queue(
    account: Account, name: str, allowed: str
) -> None:
    rule = Rule(account, name)
    queue = (
        account.queue(name) if allowed == "nobody" else rule.queue(name, f"{rule.arn}-of-others")
    )
    dead_letters = rule.queue(f"{name}-dlq")
    rule.deliver_to(account.queue_arn(queue), dead_letters)
    (message,) = account.receive(dead_letters)
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert attribute(message, "RULE_ARN") == rule.arn
    assert attribute(message, "TARGET_ARN") == account.queue_arn(queue)
    assert attribute(message, "ERROR_CODE") == "NO_PERMISSIONS"
    assert "sqs:SendMessage" in attribute(message, "ERROR_MESSAGE")
    assert account.attribute(queue, "ApproximateNumberOfMessages") == "0"


@pytest.mark.parametrize("service", ["sqs", "lambda"])
def test_an_event_for_nobody_goes_to_the_dead_letter_queue(
    account: Account, name: str, service: str
) -> None:
    rule = Rule(account, name)
    dead_letters = rule.queue(f"{name}-dlq")
    resource = name if service == "sqs" else f"function:{name}"
    rule.deliver_to(f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}", dead_letters)
    (message,) = account.receive(dead_letters)
    assert attribute(message, "ERROR_CODE") == "NO_RESOURCE"


def test_a_dead_letter_queue_must_let_the_rule_in_too(account: Account, name: str) -> None:
    rule = Rule(account, name)
    dead_letters = account.queue(f"{name}-dlq")
    rule.deliver_to(account.queue_arn(account.queue(name)), dead_letters)
    assert not account.take(dead_letters)


def allow(account: Account, function: str, rule_arn: str) -> None:
    account.functions.add_permission(
        FunctionName=function,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule_arn,
    )


SEND = """
    import boto3, json, os

    def handler(event, context):
        sqs = boto3.client("sqs")
        url = sqs.get_queue_url(QueueName=context.function_name)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
"""
MAY_SEND = {"Action": ["sqs:SendMessage", "sqs:GetQueueUrl"], "Resource": "*"}


def test_invokes_a_function_that_lets_the_rule_in(account: Account, name: str) -> None:
    rule = Rule(account, name)
    function = account.function(name, SEND, MAY_SEND)
    allow(account, name, rule.arn)
    queue = account.queue(name)
    rule.deliver_to(function)
    (message,) = account.receive(queue)
    assert json.loads(message["Body"])["detail"] == {"n": 1}


def test_a_function_that_does_not_is_passed_by_for_the_dead_letter_queue(
    account: Account, name: str
) -> None:
    rule = Rule(account, name)
    function = account.function(name, SEND, MAY_SEND)
    allow(account, name, f"{rule.arn}-of-others")
    dead_letters = rule.queue(f"{name}-dlq")
    rule.deliver_to(function, dead_letters)
    (message,) = account.receive(dead_letters)
    assert attribute(message, "ERROR_CODE") == "NO_PERMISSIONS"
    assert "lambda:InvokeFunction" in attribute(message, "ERROR_MESSAGE")


def test_a_function_that_fails_is_tried_again_and_then_reported(
    account: Account, name: str
) -> None:
    """The whole chain as a template makes it: retries and destination from CloudFormation."""
    rule = Rule(account, name)
    failures = account.queue(f"{name}-failures")
    function = account.function(
        name,
        "def handler(event, context): raise ValueError('no')",
        {"Action": "sqs:SendMessage", "Resource": account.queue_arn(failures)},
    )
    allow(account, name, rule.arn)
    template = {
        "Resources": {
            "Config": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {
                    "FunctionName": name,
                    "Qualifier": "$LATEST",
                    "MaximumRetryAttempts": 1,
                    "DestinationConfig": {
                        "OnFailure": {"Destination": account.queue_arn(failures)}
                    },
                },
            }
        }
    }
    account.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    account.cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1}
    )

    rule.deliver_to(function)

    (message,) = account.receive(failures)
    record = json.loads(message["Body"])
    assert record["version"] == "1.0"
    assert record["timestamp"].endswith("Z")
    assert record["requestContext"]["requestId"]
    assert record["requestContext"]["functionArn"] == f"{function}:$LATEST"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"]["detail"] == {"n": 1}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == "no"


def counted(rule: Rule, **dimensions: str) -> dict[str, float]:
    """The sums of a rule's metrics; what was not published is left out."""
    names = {"RuleName": rule.name, **dimensions}
    sums = {}
    for metric in (
        "MatchedEvents",
        "TriggeredRules",
        "Invocations",
        "FailedInvocations",
        "InvocationsSentToDlq",
        "InvocationsFailedToBeSentToDlq",
    ):
        points = rule.account.cloudwatch.get_metric_statistics(
            Namespace="AWS/Events",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in names.items()],
            StartTime=datetime.now(UTC) - timedelta(minutes=5),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        if points:
            sums[metric] = sum(point["Sum"] for point in points)
    return sums


DELIVERED = {"MatchedEvents": 1, "TriggeredRules": 1, "Invocations": 1}


def test_a_delivery_is_counted_for_the_rule_and_its_bus(account: Account, name: str) -> None:
    rule = Rule(account, name)
    rule.deliver_to(account.queue_arn(rule.queue(name)))
    assert counted(rule, EventBusName=name) == DELIVERED
    assert not counted(rule), "the name of the rule alone is the default bus's"


def test_a_parked_event_is_a_failed_invocation(account: Account, name: str) -> None:
    rule = Rule(account, name)
    rule.deliver_to(account.queue_arn(account.queue(name)), rule.queue(f"{name}-dlq"))
    failed = {"FailedInvocations": 1, "InvocationsSentToDlq": 1}
    assert counted(rule, EventBusName=name) == DELIVERED | failed


def test_a_lost_event_is_counted_as_lost(account: Account, name: str) -> None:
    rule = Rule(account, name)
    rule.deliver_to(account.queue_arn(account.queue(name)), account.queue(f"{name}-dlq"))
    failed = {"FailedInvocations": 1, "InvocationsFailedToBeSentToDlq": 1}
    assert counted(rule, EventBusName=name) == DELIVERED | failed
