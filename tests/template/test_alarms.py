"""What is watched, and that somebody is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Resources = dict[str, dict[str, Any]]
RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
TOPIC = [{"Ref": "PipelineAlarmsTopic"}]


def properties(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


@pytest.fixture(scope="module")
def alarms(resources: Resources) -> dict[str, dict[str, Any]]:
    return properties(resources, "AWS::CloudWatch::Alarm")


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {d["Name"]: d["Value"] for d in alarm["Dimensions"]}


def watching(
    alarms: dict[str, dict[str, Any]], namespace: str, metric: str
) -> Iterator[dict[str, Any]]:
    """The alarms on a metric."""
    for alarm in alarms.values():
        if (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric):
            yield alarm


def test_every_alarm_tells_people_when_it_rings_and_when_it_stops(
    alarms: dict[str, dict[str, Any]],
) -> None:
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == TOPIC, name
        assert alarm.get("ActionsEnabled", True), name


def test_every_alarm_may_publish_to_the_topic(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    policy = resources["PipelineAlarmsTopicPolicy"]["Properties"]["PolicyDocument"]
    statement = next(s for s in policy["Statement"] if s["Effect"] == "Allow")
    allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert sorted(arn["Fn::GetAtt"][0] for arn in allowed) == sorted(alarms)


def test_every_alarm_says_what_is_wrong_and_where_to_read_on(
    alarms: dict[str, dict[str, Any]],
) -> None:
    headings = re.findall(r"^## (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    # As GitHub makes the anchor of a heading.
    anchors = {
        name: h.replace(",", "").replace(" ", "-") for h in headings for name in h.split(", ")
    }
    for alarm in alarms.values():
        name = alarm["AlarmName"]["Fn::Sub"].removeprefix("${NamePrefix}")
        said = re.fullmatch(
            r"[A-Z].+\. What to do: docs/operations\.md#(.+)", alarm["AlarmDescription"]
        )
        assert said, name
        assert name in anchors, f"the runbook has no section for {name}"
        assert said[1] == anchors[name], name


def test_no_data_is_no_alarm(alarms: dict[str, dict[str, Any]]) -> None:
    """Most of these metrics are only published when something happens.

    A dead-letter queue's stop while a message lies in it untouched, and then its alarm must stay.
    """
    for name, alarm in alarms.items():
        is_parked = alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert alarm["TreatMissingData"] == ("ignore" if is_parked else "notBreaching"), name


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_an_alarm_on_its_errors_and_one_on_its_throttles(
    alarms: dict[str, dict[str, Any]], resources: Resources, metric: str
) -> None:
    watched = [dimensions(alarm) for alarm in watching(alarms, "AWS/Lambda", metric)]
    functions = properties(resources, "AWS::Lambda::Function")
    assert len(watched) == len(functions)
    for name in functions:
        assert {"FunctionName": {"Ref": name}} in watched


def test_every_queue_that_a_function_reads_has_an_alarm_on_its_age(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    watched = [
        dimensions(alarm)["QueueName"]["Fn::GetAtt"][0]
        for alarm in watching(alarms, "AWS/SQS", "ApproximateAgeOfOldestMessage")
    ]
    read = [
        mapping["EventSourceArn"]["Fn::GetAtt"][0]
        for mapping in properties(resources, "AWS::Lambda::EventSourceMapping").values()
    ]
    assert sorted(watched) == sorted(read)


def test_an_old_queue_rings_before_an_order_counts_as_stuck(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    stuck = int(parameters["StuckAfterMinutes"]["Default"]) * 60
    evaluation = 3 * 60
    assert int(parameters["QueueAgeAlarmSeconds"]["Default"]) + evaluation < stuck


def test_what_the_caretaker_can_put_right_rings_only_when_it_stays(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    """It looks once a minute; whoever comes late to a queue's measure is a minute later."""
    variables = resources["CaretakerFunction"]["Properties"]["Environment"]["Variables"]
    looked_after = {value["Ref"] for name, value in variables.items() if name.endswith("_DLQ_URL")}
    assert len(looked_after) == 3
    for alarm in watching(alarms, "AWS/SQS", "ApproximateNumberOfMessagesVisible"):
        queue = dimensions(alarm)["QueueName"]["Fn::GetAtt"][0]
        assert alarm["EvaluationPeriods"] == (5 if queue in looked_after else 1), queue


def test_an_order_is_repeated_before_it_is_stuck_and_stuck_before_its_deadline(
    template: dict[str, Any],
) -> None:
    defaults = {name: p.get("Default") for name, p in template["Parameters"].items()}
    repeated = int(defaults["RepublishAfterSeconds"])
    assert repeated < 60 * int(defaults["StuckAfterMinutes"])
    assert int(defaults["StuckAfterMinutes"]) < int(defaults["OrderDeadlineMinutes"])


def test_every_rule_has_an_alarm_on_its_failed_deliveries(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    """Its dimensions are the names of the rule and, but for the default bus, of the bus."""
    watched = list(watching(alarms, "AWS/Events", "FailedInvocations"))
    rules = properties(resources, "AWS::Events::Rule")
    assert len(watched) == len(rules)
    for name, rule in rules.items():
        expected = [{"RuleName": rule["Name"]}, {"RuleName": {"Ref": name}}]
        if bus := rule.get("EventBusName"):
            expected = [{"EventBusName": bus, **names} for names in expected]
        assert any(dimensions(alarm) in expected for alarm in watched), name


def test_every_rule_with_a_dead_letter_queue_has_an_alarm_on_lost_events(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    watched = [
        dimensions(alarm)
        for alarm in watching(alarms, "AWS/Events", "InvocationsFailedToBeSentToDlq")
    ]
    parking = [
        rule
        for rule in properties(resources, "AWS::Events::Rule").values()
        if any("DeadLetterConfig" in target for target in rule["Targets"])
    ]
    assert len(watched) == len(parking)
    for rule in parking:
        assert {"EventBusName": rule["EventBusName"], "RuleName": rule["Name"]} in watched


def test_every_on_failure_destination_has_an_alarm_on_what_it_does_not_take(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    watched = [
        dimensions(alarm)["FunctionName"]
        for alarm in watching(alarms, "AWS/Lambda", "DestinationDeliveryFailures")
    ]
    configured = properties(resources, "AWS::Lambda::EventInvokeConfig").values()
    assert watched == [config["FunctionName"] for config in configured]


def test_what_lambda_drops_or_is_late_with_rings(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    """Of a function that is invoked asynchronously; an age is in milliseconds.

    The two retries are a minute and two minutes late: that alone must not ring.
    """
    configured = properties(resources, "AWS::Lambda::EventInvokeConfig").values()
    asynchronous = [{"FunctionName": config["FunctionName"]} for config in configured]
    dropped = list(watching(alarms, "AWS/Lambda", "AsyncEventsDropped"))
    assert [dimensions(alarm) for alarm in dropped] == asynchronous
    assert {(alarm["Statistic"], alarm["Threshold"]) for alarm in dropped} == {("Sum", 0)}
    late = list(watching(alarms, "AWS/Lambda", "AsyncEventAge"))
    assert [dimensions(alarm) for alarm in late] == asynchronous
    for alarm in late:
        assert alarm["Statistic"] == "Maximum"
        assert alarm["Threshold"] > (60 + 120) * 1000


def test_the_api_has_an_alarm_on_its_failures(
    alarms: dict[str, dict[str, Any]], resources: Resources
) -> None:
    (alarm,) = watching(alarms, "AWS/ApiGateway", "5XXError")
    name = resources["OrderApi"]["Properties"]["Name"]
    assert dimensions(alarm) == {"ApiName": name, "Stage": {"Ref": "ApiStage"}}
