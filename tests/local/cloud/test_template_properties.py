"""What a template says, as CloudFormation carries it out."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from orderctl.deploying import Template
from orderctl.deploying.template import SETTINGS_OF_CODE
from orderctl.errors import OrderctlError
from support.parameters import HOSTILE

from .account import Account

BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def deploy(account: Account, name: str, resources: dict[str, Any], **parameters: str) -> None:
    """Create or update a stack, and wait."""
    body = {
        "Parameters": {key: {"Type": "Number"} for key in parameters},
        "Resources": resources,
    }
    arguments: dict[str, Any] = {
        "StackName": name,
        "TemplateBody": json.dumps(body),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    }
    cloudformation = account.cloudformation
    known = {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]}
    if name in known:
        cloudformation.update_stack(**arguments)
        waiter: Any = cloudformation.get_waiter("stack_update_complete")
    else:
        cloudformation.create_stack(**arguments)
        waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1})


def table(name: str, **properties: object) -> dict[str, Any]:
    return {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                **properties,
            },
        }
    }


def recovery(account: Account, name: str) -> str:
    found = account.client("dynamodb").describe_continuous_backups(TableName=name)
    description = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return str(description["PointInTimeRecoveryStatus"])


def test_a_table_can_be_recovered_and_is_encrypted(account: Account, name: str) -> None:
    resources = table(
        name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        SSESpecification={"SSEEnabled": True},
    )
    deploy(account, name, resources)
    assert recovery(account, name) == "ENABLED"
    found = account.client("dynamodb").describe_table(TableName=name)["Table"]
    assert found["SSEDescription"]["Status"] == "ENABLED"
    deploy(account, name, table(name))
    assert recovery(account, name) == "DISABLED"


def test_a_protected_table_stays_when_its_stack_is_to_go(account: Account, name: str) -> None:
    deploy(account, name, table(name, DeletionProtectionEnabled=True))
    account.cloudformation.delete_stack(StackName=name)
    waiter = account.cloudformation.get_waiter("stack_delete_complete")
    with pytest.raises(WaiterError):
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1})
    assert account.client("dynamodb").describe_table(TableName=name)
    events = account.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("Disable deletion protection first" in reason for reason in reasons)


def test_the_numbers_of_a_mapping_may_come_from_parameters(account: Account, name: str) -> None:
    queue = account.queue(name)
    account.function(name, "def handler(event, context): pass", {"Action": "*", "Resource": "*"})
    mapping = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "EventSourceArn": account.queue_arn(queue),
            "FunctionName": name,
            "MaximumBatchingWindowInSeconds": {"Ref": "Window"},
            "ScalingConfig": {"MaximumConcurrency": {"Ref": "Limit"}},
        },
    }
    for window, limit in ((1, 5), (2, 7)):
        deploy(account, name, {"Mapping": mapping}, Window=str(window), Limit=str(limit))
        (found,) = account.functions.list_event_source_mappings(FunctionName=name)[
            "EventSourceMappings"
        ]
        assert found["MaximumBatchingWindowInSeconds"] == window
        assert found["ScalingConfig"] == {"MaximumConcurrency": limit}


def test_a_mapping_has_pollers_in_place_of_a_limit_and_a_window_for_large_batches(
    account: Account, name: str
) -> None:
    queue = account.queue(name)
    account.function(name, "def handler(event, context): pass", {"Action": "*", "Resource": "*"})
    source = {"EventSourceArn": account.queue_arn(queue), "FunctionName": name}
    limit = {"ScalingConfig": {"MaximumConcurrency": 5}}
    pollers = {"ProvisionedPollerConfig": {"MinimumPollers": "2", "MaximumPollers": "3"}}
    window = {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 1}

    def deploy_mapping(**properties: object) -> dict[str, Any]:
        mapping = {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {**source, **properties},
        }
        deploy(account, name, {"Mapping": mapping})
        (found,) = account.functions.list_event_source_mappings(FunctionName=name)[
            "EventSourceMappings"
        ]
        return dict(found)

    assert "ProvisionedPollerConfig" not in deploy_mapping(**limit)
    found = deploy_mapping(**pollers, **window)
    assert found["ProvisionedPollerConfig"] == {"MinimumPollers": 2, "MaximumPollers": 3}
    assert found["BatchSize"] == 100
    assert "ScalingConfig" not in found
    for refused in ({**limit, **pollers}, {"BatchSize": 11}):
        with pytest.raises(WaiterError):
            deploy_mapping(**refused)


def test_a_role_stays_within_its_boundary(account: Account, name: str) -> None:
    role: dict[str, Any] = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": name,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
        },
    }
    bounded = {**role, "Properties": {**role["Properties"], "PermissionsBoundary": BOUNDARY}}
    iam = account.client("iam")
    deploy(account, name, {"Role": bounded})
    found = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
    assert found["PermissionsBoundaryArn"] == BOUNDARY
    deploy(account, name, {"Role": role})
    assert "PermissionsBoundary" not in iam.get_role(RoleName=name)["Role"]
    bounded["Properties"]["PermissionsBoundary"] = f"{BOUNDARY}-that-is-not-there"
    with pytest.raises(WaiterError):
        deploy(account, name, {"Role": bounded})


def test_a_sampling_rule_is_accepted(account: Account, name: str) -> None:
    rule = {"Type": "AWS::XRay::SamplingRule", "Properties": {"SamplingRule": {"RuleName": name}}}
    deploy(account, name, {"Rule": rule})


def test_a_web_acl_is_accepted(account: Account, name: str) -> None:
    association = {
        "Type": "AWS::WAFv2::WebACLAssociation",
        "Properties": {
            "WebACLArn": f"arn:aws:wafv2:us-east-1:000000000000:regional/webacl/{name}/1",
            "ResourceArn": "arn:aws:apigateway:us-east-1::/restapis/a/stages/live",
        },
    }
    deploy(account, name, {"Association": association})


TEMPLATE = Template.load()


@pytest.mark.parametrize("parameter", sorted(set(TEMPLATE.parameters) - set(SETTINGS_OF_CODE)))
def test_what_the_tool_refuses_for_a_parameter_the_stack_refuses_too(
    account: Account, name: str, parameter: str
) -> None:
    """And the other way round: a value that is good for one is good for both."""
    alone = Template(TEMPLATE.body, {parameter: TEMPLATE.parameters[parameter]})
    body = {
        "Parameters": dict(alone.parameters),
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}},
    }
    # MiniStack repeats a value in its answer, where XML knows no control characters.
    for number, value in enumerate(filter(str.isprintable, HOSTILE)):
        wanted = f"{name}-{number}"
        given = [{"ParameterKey": parameter, "ParameterValue": value}]
        arguments: dict[str, Any] = {"TemplateBody": json.dumps(body), "Parameters": given}
        try:
            account.cloudformation.create_change_set(
                StackName=wanted, ChangeSetName="x", ChangeSetType="CREATE", **arguments
            )
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationError"
            with pytest.raises(OrderctlError):
                alone.check({parameter: value})
        else:
            account.cloudformation.delete_stack(StackName=wanted)
            alone.check({parameter: value})
