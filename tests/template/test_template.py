"""The rules of AWS and of the design that cfn-lint does not know."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

Resources = dict[str, dict[str, Any]]
API_TYPES = (
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::Method",
)


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: r for name, r in resources.items() if r["Type"] == kind}


def properties(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in of_type(resources, kind).items()}


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["Statement"]
    return found


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - policies hold one thing or a list
    return value if isinstance(value, list) else [value]


def test_the_seeds_rule_has_its_exact_pattern_and_targets(resources: Resources) -> None:
    rule = resources["OrderRule"]["Properties"]
    assert rule["EventPattern"] == {
        "source": ["com.myapp.orders"],
        "detail-type": ["order.placed"],
    }
    assert {t["Id"]: t["Arn"]["Fn::GetAtt"][0] for t in rule["Targets"]} == {
        "payments": "PaymentsQueue",
        "inventory": "InventoryQueue",
        "notifications": "NotificationFunction",
    }


def test_every_rule_target_has_a_retry_policy_and_a_dead_letter_queue(resources: Resources) -> None:
    rules = properties(resources, "AWS::Events::Rule").values()
    for rule in (rule for rule in rules if "EventPattern" in rule):
        for target in rule["Targets"]:
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
            assert target["DeadLetterConfig"]["Arn"] == {
                "Fn::GetAtt": ["UndeliverableEventsDLQ", "Arn"]
            }


def test_every_event_of_the_bus_is_archived_for_a_replay(resources: Resources) -> None:
    (archive,) = properties(resources, "AWS::Events::Archive").values()
    assert archive["SourceArn"] == {"Fn::GetAtt": ["OrderEventBus", "Arn"]}
    assert archive["RetentionDays"] == {"Ref": "ArchiveRetentionDays"}
    assert "EventPattern" not in archive


def test_payments_are_parked_after_three_receives(resources: Resources) -> None:
    policy = resources["PaymentsQueue"]["Properties"]["RedrivePolicy"]
    assert policy["maxReceiveCount"] == 3
    assert policy["deadLetterTargetArn"] == {"Fn::GetAtt": ["PaymentsDLQ", "Arn"]}


def test_every_queue_is_encrypted_in_a_way_eventbridge_can_write_to(resources: Resources) -> None:
    for name, queue in properties(resources, "AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert "KmsMasterKeyId" not in queue, name


def test_a_dead_letter_queue_keeps_messages_longer_than_its_source(resources: Resources) -> None:
    queues = properties(resources, "AWS::SQS::Queue")
    for name, queue in queues.items():
        if "RedrivePolicy" in queue:
            parked = queues[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
            assert parked["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"], name


def test_every_queue_has_a_dead_letter_queue_or_is_one(resources: Resources) -> None:
    for name, queue in properties(resources, "AWS::SQS::Queue").items():
        assert name.endswith("DLQ") != ("RedrivePolicy" in queue), name


def test_every_dead_letter_queue_has_an_alarm_that_tells_people(resources: Resources) -> None:
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: alarm
        for alarm in properties(resources, "AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert set(watched) == {n for n in of_type(resources, "AWS::SQS::Queue") if n.endswith("DLQ")}
    for alarm in watched.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "PipelineAlarmsTopic"}]
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_a_message_stays_hidden_for_six_timeouts_by_default(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    hidden = parameters["VisibilityTimeoutSeconds"]["Default"]
    assert hidden >= 6 * parameters["ConsumerTimeoutSeconds"]["Default"]


def test_every_consumer_reports_single_messages_as_failed(resources: Resources) -> None:
    for name, source in properties(resources, "AWS::Lambda::EventSourceMapping").items():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name


def test_every_function_logs_to_a_group_with_a_retention(resources: Resources) -> None:
    groups = properties(resources, "AWS::Logs::LogGroup")
    for name, function in properties(resources, "AWS::Lambda::Function").items():
        group = groups[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_every_function_has_a_role_of_its_own(resources: Resources) -> None:
    roles = [
        function["Role"]["Fn::GetAtt"][0]
        for function in properties(resources, "AWS::Lambda::Function").values()
    ]
    assert sorted(roles) == sorted(of_type(resources, "AWS::IAM::Role"))


def test_every_table_is_on_demand_recoverable_encrypted_and_kept(resources: Resources) -> None:
    for name, table in of_type(resources, "AWS::DynamoDB::Table").items():
        assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST", name
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {
            "PointInTimeRecoveryEnabled": True
        }, name
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}, name
        assert table["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert table["UpdateReplacePolicy"] == "Retain", name


def test_no_role_may_do_more_than_named_actions_on_named_resources(resources: Resources) -> None:
    for name, role in properties(resources, "AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role, name
        for policy in role["Policies"]:
            for statement in statements(policy["PolicyDocument"]):
                for action in as_list(statement["Action"]):
                    assert "*" not in action, (name, action)
                for resource in as_list(statement["Resource"]):
                    if statement["Action"] == "cloudwatch:PutMetricData":
                        assert statement["Condition"]["StringEquals"] == {
                            "cloudwatch:namespace": "OrderPipeline"
                        }
                    else:
                        assert isinstance(resource, dict), (name, resource)


def test_only_a_named_source_may_send_to_a_queue(resources: Resources) -> None:
    for name, policy in properties(resources, "AWS::SQS::QueuePolicy").items():
        for statement in statements(policy["PolicyDocument"]):
            assert statement["Action"] == "sqs:SendMessage", name
            assert "aws:SourceArn" in statement["Condition"]["ArnEquals"], name


def test_the_api_is_closed_to_the_internet_by_default(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["ApiAuthorization"]["Default"] == "AWS_IAM"
    for name, method in properties(resources, "AWS::ApiGateway::Method").items():
        assert method["AuthorizationType"] == {"Ref": "ApiAuthorization"}, name


@pytest.mark.parametrize(
    ("kind", "name_property"),
    [
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::SNS::Topic", "TopicName"),
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::Lambda::Function", "FunctionName"),
        ("AWS::Events::EventBus", "Name"),
        ("AWS::Events::Rule", "Name"),
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::Logs::LogGroup", "LogGroupName"),
        ("AWS::ApiGateway::RestApi", "Name"),
    ],
)
def test_every_name_takes_the_prefix(resources: Resources, kind: str, name_property: str) -> None:
    found = properties(resources, kind)
    assert found
    for name, resource in found.items():
        assert "${NamePrefix}" in resource[name_property]["Fn::Sub"], name


def test_a_changed_api_gets_a_new_deployment(resources: Resources) -> None:
    api = {name: r for name, r in resources.items() if r["Type"] in API_TYPES}
    digest = hashlib.sha256(json.dumps(api, sort_keys=True).encode()).hexdigest()[:8]
    expected = {f"{kind}ApiDeployment{digest}" for kind in ("Closed", "Open")}
    found = set(of_type(resources, "AWS::ApiGateway::Deployment"))
    assert found == expected, (
        f"the API's resources changed: rename {found} to {expected} in template.yaml, "
        "or the change does not reach the stage"
    )
