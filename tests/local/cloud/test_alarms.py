import json
import re
from typing import Any

from .account import Account, policy, wait_for

DLQ_ALARM: dict[str, Any] = {
    "Namespace": "AWS/SQS",
    "MetricName": "ApproximateNumberOfMessagesVisible",
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}


def state(account: Account, alarm: str) -> str:
    (found,) = account.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return found["StateValue"]


def becomes(account: Account, alarm: str, wanted: str, seconds: float = 10) -> None:
    wait_for(lambda: state(account, alarm) == wanted, seconds)


def put_alarm(account: Account, name: str, dimensions: dict[str, str], **changes: object) -> None:
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    account.cloudwatch.put_metric_alarm(
        **(DLQ_ALARM | {"AlarmName": name, "Dimensions": pairs} | changes)
    )


def test_rings_for_its_own_queue_and_is_quiet_again(account: Account, name: str) -> None:
    queue, other = account.queue(name), account.queue(f"{name}-other")
    put_alarm(account, name, {"QueueName": name})
    put_alarm(account, f"{name}-other", {"QueueName": f"{name}-other"})
    becomes(account, name, "OK")
    becomes(account, f"{name}-other", "OK")

    account.sqs.send_message(QueueUrl=queue, MessageBody="a")

    becomes(account, name, "ALARM", seconds=3)
    assert state(account, f"{name}-other") == "OK"
    account.receive(queue)
    becomes(account, name, "OK", seconds=6)
    assert not account.take(other)
    history = account.cloudwatch.describe_alarm_history(
        AlarmName=name, HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]
    changes = {item["HistorySummary"] for item in history}
    assert {"Alarm updated from OK to ALARM", "Alarm updated from ALARM to OK"} <= changes


def test_tells_a_topic_that_lets_cloudwatch_publish(account: Account, name: str) -> None:
    topic = account.sns.create_topic(Name=name)["TopicArn"]
    account.sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=policy(
            {
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
            }
        ),
    )
    inbox = subscribe(account, name, topic)
    ring(account, name, topic)
    messages = [json.loads(json.loads(m["Body"])["Message"]) for m in account.receive(inbox, 1)]
    assert (messages[0]["AlarmName"], messages[0]["NewStateValue"]) == (name, "ALARM")
    assert messages[0]["NewStateReason"].startswith("Threshold Crossed")


def test_cannot_tell_a_topic_that_does_not(account: Account, name: str) -> None:
    topic = account.sns.create_topic(Name=name)["TopicArn"]
    account.sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=policy(
            {
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
            }
        ),
    )
    inbox = subscribe(account, name, topic)
    ring(account, name, topic)
    assert not account.take(inbox)


def subscribe(account: Account, name: str, topic: str) -> str:
    inbox = account.queue(f"{name}-inbox")
    arn = account.queue_arn(inbox)
    account.sqs.set_queue_attributes(
        QueueUrl=inbox,
        Attributes={
            "Policy": policy(
                {
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                }
            )
        },
    )
    account.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return inbox


def ring(account: Account, name: str, topic: str) -> None:
    queue = account.queue(name)
    put_alarm(account, name, {"QueueName": name}, AlarmActions=[topic])
    account.sqs.send_message(QueueUrl=queue, MessageBody="a")
    becomes(account, name, "ALARM")


def test_counts_messages_in_flight_and_delayed_apart(account: Account, name: str) -> None:
    queue = account.queue(name)
    for metric in ("NotVisible", "Delayed", "Visible"):
        put_alarm(
            account,
            f"{name}-{metric}",
            {"QueueName": name},
            MetricName=f"ApproximateNumberOfMessages{metric}",
        )
    account.sqs.send_message(QueueUrl=queue, MessageBody="a")
    account.sqs.receive_message(QueueUrl=queue)
    becomes(account, f"{name}-NotVisible", "ALARM")
    account.sqs.send_message(QueueUrl=queue, MessageBody="b", DelaySeconds=60)
    becomes(account, f"{name}-Delayed", "ALARM")
    assert state(account, f"{name}-Visible") == "OK"


def test_rings_when_the_oldest_message_is_too_old(account: Account, name: str) -> None:
    queue = account.queue(name)
    put_alarm(
        account,
        name,
        {"QueueName": name},
        MetricName="ApproximateAgeOfOldestMessage",
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    account.sqs.send_message(QueueUrl=queue, MessageBody="a")
    becomes(account, name, "ALARM")


def test_missing_data_are_treated_as_told(account: Account, name: str) -> None:
    expected = {
        "missing": "INSUFFICIENT_DATA",
        "ignore": "INSUFFICIENT_DATA",
        "notBreaching": "OK",
        "breaching": "ALARM",
    }
    for treatment, wanted in expected.items():
        put_alarm(account, f"{name}-{treatment}", {"QueueName": "none"}, TreatMissingData=treatment)
        becomes(account, f"{name}-{treatment}", wanted)


def test_a_state_that_a_user_sets_does_not_last(account: Account, name: str) -> None:
    account.queue(name)
    put_alarm(account, name, {"QueueName": name})
    becomes(account, name, "OK")
    account.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    becomes(account, name, "OK", seconds=3)


def test_needs_datapoints_to_alarm_of_the_evaluation_periods(account: Account, name: str) -> None:
    """Two of three minutes: one breaching minute is not enough, two are."""
    queue = account.queue(name)
    put_alarm(account, name, {"QueueName": name}, EvaluationPeriods=3, DatapointsToAlarm=2)
    becomes(account, name, "OK")
    account.sqs.send_message(QueueUrl=queue, MessageBody="a")
    put_alarm(account, f"{name}-single", {"QueueName": name})
    becomes(account, f"{name}-single", "ALARM")
    assert state(account, name) == "OK"
    becomes(account, name, "ALARM")
    (found,) = account.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert re.fullmatch(
        r"Threshold Crossed: 2 out of the newest [23] datapoints \[.+\] \(Maximum of "
        r"ApproximateNumberOfMessagesVisible\) were greater than the threshold \(0.0\)\.",
        found["StateReason"],
    )


def test_rings_for_custom_metrics_with_exactly_its_dimensions(account: Account, name: str) -> None:
    common = {"Namespace": name, "MetricName": "Failures", "Statistic": "Sum"}
    put_alarm(account, name, {"Service": "a"}, **common)
    put_alarm(account, f"{name}-none", {}, **common)
    account.cloudwatch.put_metric_data(
        Namespace=name,
        MetricData=[
            {
                "MetricName": "Failures",
                "Value": 1,
                "Dimensions": [{"Name": "Service", "Value": "a"}],
            }
        ],
    )
    becomes(account, name, "ALARM")
    assert state(account, f"{name}-none") == "OK"
