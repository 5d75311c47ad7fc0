"""What is said about a template's parameters, and about a deployment that failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from orderctl.deploying import StackError, StackEvent, Template, deployment, failure
from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_cloudformation.type_defs import StackTypeDef

TEMPLATE = """
Parameters:
  CodeBucket: { Type: String }
  CodeKey: { Type: String }
  CodeVersion: { Type: String }
  Email: { Type: String }
  ChargeFailureRate: { Type: Number, Default: 0.1 }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-queue"
      Tags: !If [Big, [{ Key: size, Value: !GetAtt Topic.Name }], !Ref AWS::NoValue]
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return Template.load(path)


def test_known_parameters_pass(template: Template) -> None:
    template.check({"Email": "a@example.com", "ChargeFailureRate": "0"})


@pytest.mark.parametrize("name", ["chargefailurerate", "ChargeFailRate", "ChargeFailureRates"])
def test_misspelt_parameter_is_recognised(template: Template, name: str) -> None:
    with pytest.raises(OrderctlError) as caught:
        template.check({"Email": "a@example.com", name: "0"})
    assert f"no parameter {name}. Did you mean ChargeFailureRate?" in str(caught.value)


def test_unknown_parameter_is_answered_with_the_known_ones(template: Template) -> None:
    with pytest.raises(OrderctlError) as caught:
        template.check({"Email": "a@example.com", "Zzz": "0"})
    message = str(caught.value)
    assert "Did you mean" not in message
    assert message.endswith("Its parameters: ChargeFailureRate, Email.")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ChargeFailureRate", "1.1", "a number from 0 to 1"),
        ("ChargeFailureRate", "NaN", "a number from 0 to 1"),
        ("ChargeFailureRate", "", "a number from 0 to 1"),
        ("ApiAuthorization", "none", "AWS_IAM or JWT or NONE"),
        ("NamePrefix", "9-", "at most 20 letters"),
        ("LogRetentionDays", "2", "1 or 3 or 5"),
    ],
)
def test_value_out_of_its_bounds_is_answered_with_them(name: str, value: str, wanted: str) -> None:
    with pytest.raises(OrderctlError, match=f"The parameter {name} must be {wanted}"):
        Template.load().check({name: value})


def test_what_the_deployment_fills_in_cannot_be_given(template: Template) -> None:
    with pytest.raises(OrderctlError):
        template.check({"Email": "a@example.com", "CodeBucket": "mine"})


def test_parameter_without_a_default_must_be_given(template: Template) -> None:
    with pytest.raises(OrderctlError, match=r"Email has no default\. Give it with --param Email="):
        template.check({})


@pytest.mark.parametrize("content", ["- a list", "a: [", ""])
def test_what_is_no_template_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(StackError, match=r"broken\.yaml is not a template"):
        Template.load(path)


def test_missing_template_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"missing\.yaml: No such file"):
        Template.load(tmp_path / "missing.yaml")


def test_failure_shows_the_first_cause_and_not_the_cascade() -> None:
    events = [
        StackEvent("pipeline", "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS"),
        StackEvent("Topic", "AWS::SNS::Topic", "CREATE_FAILED", "Resource creation cancelled"),
        StackEvent("Queue", "AWS::SQS::Queue", "CREATE_FAILED", "Queue already exists"),
        StackEvent("Rule", "AWS::Events::Rule", "CREATE_FAILED", "No such bus"),
        StackEvent("pipeline", "AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE"),
    ]
    assert failure("pipeline", events) == (
        "Stack pipeline could not be deployed.\n"
        "  Queue (AWS::SQS::Queue): Queue already exists\n"
        "  1 more failed after it; see the stack's events.\n"
        "  It was rolled back (ROLLBACK_COMPLETE): nothing has changed."
    )


def test_failure_without_a_failed_resource_shows_how_the_stack_ended() -> None:
    events = [
        StackEvent("pipeline", "AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE", "A hook said no")
    ]
    assert "A hook said no" in failure("pipeline", events)


@pytest.mark.parametrize(("now", "given"), [("16", "8"), ("100", "99")])
def test_the_keys_of_the_index_are_never_lowered(now: str, given: str) -> None:
    with pytest.raises(StackError, match=f"can only be raised: it is {now}.*from {given} on"):
        deployment._check_index_keys({"UnfinishedOrderKeys": given}, stack(now))


@pytest.mark.parametrize("given", [{}, {"UnfinishedOrderKeys": "16"}, {"UnfinishedOrderKeys": "9"}])
def test_the_keys_of_the_index_may_stay_or_be_raised(given: dict[str, str]) -> None:
    deployment._check_index_keys(given, stack("9"))
    deployment._check_index_keys(given, {**stack("9"), "Parameters": []})  # from before they were


def stack(keys: str) -> StackTypeDef:
    return {
        "StackName": "order-pipeline",
        "CreationTime": datetime.now(UTC),
        "StackStatus": "UPDATE_COMPLETE",
        "Parameters": [{"ParameterKey": "UnfinishedOrderKeys", "ParameterValue": keys}],
    }
