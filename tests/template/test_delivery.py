"""The role that GitHub deploys with: what it must be allowed, and what it must not."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from orderctl.deploying.template import parse

ROOT = Path(__file__).parents[2]
LOG_POLICY = (
    "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
)
# S3's actions that are not called like the operations ("Actions defined by Amazon S3", Service
# Authorization Reference).
ACTIONS = {
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
# The template makes the bucket, so that no environment's role can change it for the others.
MADE_BEFORE = {
    "s3:CreateBucket",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
}
# What CloudFormation's handlers ask for when they create, read, update and delete: "permissions"
# in the registry's schemas of these types, as of August 2026 (DescribeType, CloudFormation API
# reference). Left out is what they need for properties that the template does not use: KMS keys,
# VPCs, file systems, code signing, layers, published versions, runtime pins, replicas, imports
# and exports of tables, Kinesis, Firehose, user and group policies, resource policies.
HANDLERS = {
    "AWS::ApiGateway::Account": "apigateway: GET PATCH; iam: GetRole PassRole",
    "AWS::ApiGateway::Authorizer": "apigateway: DELETE GET PATCH POST",
    "AWS::ApiGateway::Deployment": "apigateway: DELETE GET PATCH POST PUT",
    "AWS::ApiGateway::Method": "apigateway: DELETE GET PUT",
    "AWS::ApiGateway::Resource": "apigateway: DELETE GET PATCH POST",
    "AWS::ApiGateway::RestApi": "apigateway: DELETE GET PATCH POST PUT",
    "AWS::ApiGateway::Stage": "apigateway: DELETE GET PATCH POST PUT",
    "AWS::CloudWatch::Alarm": "cloudwatch: DeleteAlarms DescribeAlarms ListTagsForResource "
    "PutMetricAlarm TagResource UntagResource",
    "AWS::CloudWatch::Dashboard": "cloudwatch: DeleteDashboards GetDashboard ListTagsForResource "
    "PutDashboard TagResource UntagResource",
    "AWS::DynamoDB::Table": "dynamodb: CreateTable DeleteTable DescribeContinuousBackups "
    "DescribeContributorInsights DescribeKinesisStreamingDestination DescribeTable "
    "DescribeTimeToLive GetResourcePolicy ListTagsOfResource TagResource UntagResource "
    "UpdateContinuousBackups UpdateTable UpdateTimeToLive",
    "AWS::Events::Archive": "events: CreateArchive DeleteArchive DescribeArchive UpdateArchive",
    "AWS::Events::EventBus": "events: CreateEventBus DeleteEventBus DescribeEventBus "
    "ListTagsForResource TagResource UntagResource UpdateEventBus",
    "AWS::Events::Rule": "events: DeleteRule DescribeRule ListTagsForResource ListTargetsByRule "
    "PutRule PutTargets RemoveTargets TagResource UntagResource",
    "AWS::IAM::Policy": "iam: DeleteRolePolicy GetRolePolicy PutRolePolicy",
    "AWS::IAM::Role": "iam: AttachRolePolicy CreateRole DeleteRole DeleteRolePolicy "
    "DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies "
    "PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole "
    "UpdateRoleDescription",
    "AWS::Lambda::EventInvokeConfig": "lambda: DeleteFunctionEventInvokeConfig "
    "GetFunctionEventInvokeConfig PutFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig",
    "AWS::Lambda::EventSourceMapping": "lambda: CreateEventSourceMapping DeleteEventSourceMapping "
    "GetEventSourceMapping ListTags TagResource UntagResource UpdateEventSourceMapping",
    "AWS::Lambda::Function": "lambda: CreateFunction DeleteFunction DeleteFunctionConcurrency "
    "GetFunction GetFunctionCodeSigningConfig GetFunctionRecursionConfig GetFunctionScalingConfig "
    "GetRuntimeManagementConfig PutFunctionConcurrency TagResource UntagResource "
    "UpdateFunctionCode UpdateFunctionConfiguration; iam: PassRole",
    "AWS::Lambda::Permission": "lambda: AddPermission GetPolicy RemovePermission",
    "AWS::Logs::LogGroup": "logs: CreateLogDelivery CreateLogGroup DeleteDataProtectionPolicy "
    "DeleteLogGroup DeleteRetentionPolicy DescribeIndexPolicies DescribeLogGroups "
    "DescribeResourcePolicies GetDataProtectionPolicy ListTagsForResource "
    "PutDataProtectionPolicy PutRetentionPolicy TagResource UntagResource",
    "AWS::Logs::MetricFilter": "logs: DeleteMetricFilter DescribeMetricFilters PutMetricFilter",
    "AWS::SNS::Subscription": "sns: GetSubscriptionAttributes SetSubscriptionAttributes "
    "Subscribe Unsubscribe",
    "AWS::SNS::Topic": "sns: CreateTopic DeleteTopic GetDataProtectionPolicy GetTopicAttributes "
    "ListSubscriptionsByTopic ListTagsForResource SetTopicAttributes Subscribe TagResource "
    "Unsubscribe UntagResource",
    "AWS::SNS::TopicPolicy": "sns: SetTopicAttributes",
    "AWS::SQS::Queue": "sqs: CreateQueue DeleteQueue GetQueueAttributes GetQueueUrl "
    "ListQueueTags SetQueueAttributes TagQueue UntagQueue",
    "AWS::SQS::QueuePolicy": "sqs: SetQueueAttributes",
    "AWS::WAFv2::WebACL": "wafv2: CreateWebACL DeleteWebACL GetWebACL ListTagsForResource "
    "TagResource UntagResource UpdateWebACL",
    "AWS::WAFv2::WebACLAssociation": "apigateway: SetWebACL; wafv2: AssociateWebACL "
    "DisassociateWebACL GetWebACL GetWebACLForResource",
    "AWS::XRay::SamplingRule": "xray: CreateSamplingRule DeleteSamplingRule GetSamplingRules "
    "ListTagsForResource TagResource UntagResource UpdateSamplingRule",
}
# The property with a resource's name, and the ARN that it gives.
ARNS = {
    "AWS::CloudWatch::Alarm": ("AlarmName", "arn:aws:cloudwatch:REGION:ACCOUNT:alarm:{}"),
    "AWS::CloudWatch::Dashboard": ("DashboardName", "arn:aws:cloudwatch::ACCOUNT:dashboard/{}"),
    "AWS::DynamoDB::Table": ("TableName", "arn:aws:dynamodb:REGION:ACCOUNT:table/{}"),
    "AWS::Events::Archive": ("ArchiveName", "arn:aws:events:REGION:ACCOUNT:archive/{}"),
    "AWS::Events::EventBus": ("Name", "arn:aws:events:REGION:ACCOUNT:event-bus/{}"),
    "AWS::Events::Rule": ("Name", "arn:aws:events:REGION:ACCOUNT:rule/{}"),
    "AWS::Lambda::Function": ("FunctionName", "arn:aws:lambda:REGION:ACCOUNT:function:{}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "arn:aws:logs:REGION:ACCOUNT:log-group:{}:*"),
    "AWS::SNS::Topic": ("TopicName", "arn:aws:sns:REGION:ACCOUNT:{}"),
    "AWS::SQS::Queue": ("QueueName", "arn:aws:sqs:REGION:ACCOUNT:{}"),
}
# For these AWS knows neither names nor tags, and they change something: docs/operations.md says
# what follows from it.
UNBOUND_CHANGES = {
    "apigateway:PATCH",  # of the account's settings
    "logs:CreateLogDelivery",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
    "wafv2:AssociateWebACL",
    "wafv2:DisassociateWebACL",
}


@pytest.fixture(scope="module")
def delivery() -> dict[str, dict[str, Any]]:
    template = parse((ROOT / "delivery/github-role.yaml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found


@pytest.fixture(scope="module")
def role(delivery: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties: dict[str, Any] = delivery["DeployRole"]["Properties"]
    return properties


@pytest.fixture(scope="module")
def statements(delivery: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All that the role is allowed, by its own policy and by those that are attached to it."""
    role = delivery["DeployRole"]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    documents += [
        delivery[attached["Ref"]]["Properties"]["PolicyDocument"]
        for attached in role["ManagedPolicyArns"]
    ]
    return {it["Sid"]: it for document in documents for it in document["Statement"]}


def called(service: str) -> set[str]:
    """The actions behind the calls that `orderctl deploy` and `destroy` make."""
    source = "".join(path.read_text() for path in (ROOT / "src/orderctl/deploying").glob("*.py"))
    operations = botocore.session.Session().get_service_model(service).operation_names
    return {
        f"{service}:{ACTIONS.get(name, name)}"
        for name in operations
        if re.search(rf'(\.|get_paginator\("){xform_name(name)}["(]', source)
    }


@pytest.mark.parametrize(
    ("service", "sid", "one"),
    [
        ("cloudformation", "TheStack", "cloudformation:DeleteStack"),
        ("s3", "TheArtifact", "s3:PutObject"),
    ],
)
def test_the_role_may_do_what_a_deployment_and_a_destruction_call(
    statements: dict[str, dict[str, Any]], service: str, sid: str, one: str
) -> None:
    needed = called(service) - MADE_BEFORE
    assert one in needed
    allowed = [
        set(cfn_list(it["Action"])) for it in statements.values() if it["Sid"].startswith(sid)
    ]
    assert needed <= set().union(*allowed, statements["Unnamed"]["Action"])


def test_the_role_may_attach_the_one_policy_of_aws_that_the_template_has(
    statements: dict[str, dict[str, Any]],
) -> None:
    statement = statements["TheLogPolicy"]
    assert statement["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    assert statement["Condition"]["ArnEquals"] == {"iam:PolicyARN": {"Fn::Sub": LOG_POLICY}}
    assert LOG_POLICY in (ROOT / "template.yaml").read_text()


@pytest.mark.parametrize("prefix", ["", "staging-", "deploy-", "delivery-"])
@pytest.mark.parametrize("others", ["", "staging-", "deploy-", "delivery-"])
def test_the_role_is_none_of_those_that_such_a_role_may_change(
    role: dict[str, Any], statements: dict[str, dict[str, Any]], prefix: str, others: str
) -> None:
    name = filled(role["RoleName"], prefix)
    arn = f"arn:aws:iam::123456789012:role{role.get('Path', '/')}{name}"
    values = {"AWS::Partition": "aws", "AWS::AccountId": "123456789012", "NamePrefix": others}
    patterns = [
        re.sub(r"\$\{([\w:]+)\}", lambda match: values[match[1]], it["Resource"]["Fn::Sub"])
        for it in statements.values()
        if any(action.startswith("iam:") for action in cfn_list(it["Action"]))
    ]
    assert patterns
    assert not [pattern for pattern in patterns if fnmatchcase(arn, pattern)]


def test_no_role_gets_permissions_but_within_the_boundary(
    statements: dict[str, dict[str, Any]],
) -> None:
    """Those that iam:PermissionsBoundary goes with ("AWS condition keys", IAM user guide)."""
    giving = {
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription",
    }
    allowed = set()
    for statement in statements.values():
        if found := giving & set(cfn_list(statement["Action"])):
            allowed |= found
            boundary = statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"]
            assert boundary == {"Ref": "Boundary"}
    assert allowed == giving
    actions = {action for it in statements.values() for action in cfn_list(it["Action"])}
    assert (
        not {"iam:*", "*", "iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion"} & actions
    )


def test_the_boundary_leaves_every_role_what_its_own_policy_allows(
    delivery: dict[str, dict[str, Any]], resources: dict[str, dict[str, Any]]
) -> None:
    within = {
        action
        for statement in delivery["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
        for action in cfn_list(statement["Action"])
    }
    roles = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::IAM::Role"]
    documents = [p["PolicyDocument"] for role in roles for p in role.get("Policies", [])]
    documents.append(resources["TracingPolicy"]["Properties"]["PolicyDocument"])
    needed = {
        action
        for document in documents
        for statement in document["Statement"]
        for action in cfn_list(statement["Action"])
    }
    assert needed <= within
    boundary = [
        "HasPermissionsBoundary",
        {"Ref": "PermissionsBoundaryArn"},
        {"Ref": "AWS::NoValue"},
    ]
    assert all(role["PermissionsBoundary"] == {"Fn::If": boundary} for role in roles)


def cfn_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def filled(value: str | dict[str, Any], prefix: str) -> str:
    """A text of the template, with a stack's prefix in it."""
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    for name, put in {
        "NamePrefix": prefix,
        "AWS::Partition": "aws",
        "AWS::Region": "REGION",
        "AWS::AccountId": "ACCOUNT",
    }.items():
        text = text.replace(f"${{{name}}}", put)
    return text


def asked_for(resource_type: str) -> set[str]:
    """The actions that CloudFormation's handlers of a type ask for."""
    services = (part.split(": ") for part in HANDLERS[resource_type].split("; "))
    return {f"{service}:{action}" for service, actions in services for action in actions.split()}


def arns(resources: dict[str, dict[str, Any]], prefix: str) -> dict[str, str]:
    """The ARN of each resource of a stack that has a name, by logical id."""
    found = {}
    for logical_id, resource in resources.items():
        if resource["Type"] in ARNS:
            name, pattern = ARNS[resource["Type"]]
            own = filled(resource["Properties"][name], prefix)
            if "EventBusName" in resource["Properties"]:
                own = f"{prefix}order-events/{own}"
            found[logical_id] = pattern.format(own)
    return found


def matching(
    statements: dict[str, dict[str, Any]], prefix: str, action: str, arn: str
) -> list[dict[str, Any]]:
    """The statements that allow an action on a resource, perhaps on a condition."""
    return [
        statement
        for statement in statements.values()
        if any(fnmatchcase(action, allowed) for allowed in cfn_list(statement["Action"]))
        and any(fnmatchcase(arn, filled(r, prefix)) for r in cfn_list(statement["Resource"]))
    ]


@pytest.mark.parametrize("prefix", ["", "prod-"])
def test_the_role_may_do_what_cloudformation_does_to_each_resource(
    resources: dict[str, dict[str, Any]], statements: dict[str, dict[str, Any]], prefix: str
) -> None:
    allowed = {action for it in statements.values() for action in cfn_list(it["Action"])}
    names = arns(resources, prefix)
    missing = set()
    for logical_id, resource in resources.items():
        for action in asked_for(resource["Type"]):
            own = action.split(":")[0] == resource["Type"].split("::")[1].lower()
            if logical_id in names and own:
                if not matching(statements, prefix, action, names[logical_id]):
                    missing.add((action, names[logical_id]))
            elif action not in allowed:
                missing.add((action, resource["Type"]))
    assert not missing


@pytest.mark.parametrize(
    ("prefix", "other"), [("prod-", "prod-eu-"), ("", "prod-"), ("prod-eu-", "prod-")]
)
def test_the_role_reaches_nothing_of_another_environment(
    resources: dict[str, dict[str, Any]],
    statements: dict[str, dict[str, Any]],
    delivery: dict[str, dict[str, Any]],
    prefix: str,
    other: str,
) -> None:
    bucket = "arn:aws:s3:::order-pipeline-artifacts-ACCOUNT-REGION"
    theirs = [
        *arns(resources, other).values(),
        f"arn:aws:cloudformation:REGION:ACCOUNT:stack/{other}order-pipeline/id",
        f"arn:aws:iam::ACCOUNT:role/{other}order-pipeline-PaymentsRole-1",
        f"{bucket}/{other}order-pipeline/functions/1.zip",
    ]
    boundary = {
        it["Sid"]: it for it in delivery["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    }
    named = [it for it in statements.values() if it["Resource"] != "*"] + [boundary["Orders"]]
    reached = {
        (it["Sid"], arn)
        for arn in theirs
        for it in named
        if any(fnmatchcase(arn, filled(r, prefix)) for r in cfn_list(it["Resource"]))
    }
    assert not reached


def test_what_knows_no_names_is_bound_to_the_stack_by_tags_or_functions(
    statements: dict[str, dict[str, Any]],
) -> None:
    reads = re.compile(r"\w+:(Get|List|Describe|GET)")
    unbound = {
        action
        for it in statements.values()
        if "Condition" not in it
        for resource in cfn_list(it["Resource"])
        if "${NamePrefix}" not in str(resource)
        for action in cfn_list(it["Action"])
        if not reads.match(action) and action != "execute-api:Invoke"
    }
    assert unbound == UNBOUND_CHANGES
    for sid in ("TheApi", "ToMakeTheApi", "ToTagTheApi", "ToTagMappings", "ToUntagMappings"):
        ((_, condition),) = statements[sid]["Condition"]["StringEquals"].items()
        assert condition == {"Fn::Sub": "${NamePrefix}order-pipeline"}
    functions = statements["TheMappings"]["Condition"]["ArnEquals"]["lambda:FunctionArn"]
    assert functions == statements["Functions"]["Resource"]
    linked = statements["RolesOfServices"]["Condition"]["StringEquals"]["iam:AWSServiceName"]
    assert linked == ["ops.apigateway.amazonaws.com", "replication.dynamodb.amazonaws.com"]


def test_the_role_cannot_change_the_bucket_for_other_environments(
    statements: dict[str, dict[str, Any]],
) -> None:
    actions = {a for it in statements.values() for a in cfn_list(it["Action"])}
    assert {a for a in actions if a.startswith("s3:")} == {
        *("s3:GetBucketPolicy", "s3:ListBucket"),
        *("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
    }


def test_githubs_token_opens_the_role_in_both_its_forms_and_no_other(role: dict[str, Any]) -> None:
    """As in "Immutable subject claims", OpenID Connect reference, GitHub docs."""
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert list(statement["Condition"]) == ["StringEquals"], "no wildcards"
    by_name, (condition, with_ids, without) = (
        it.get("Fn::Sub") or it["Fn::If"]
        for it in statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    )
    assert by_name == "repo:${Repository}:environment:${Environment}"
    assert (condition, without) == ("HasIds", {"Ref": "AWS::NoValue"})
    text, parts = with_ids["Fn::Sub"]
    assert text == (
        "repo:${Owner}@${RepositoryOwnerId}/${Name}@${RepositoryId}:environment:${Environment}"
    )
    split = {"Fn::Split": ["/", {"Ref": "Repository"}]}
    assert parts == {"Owner": {"Fn::Select": [0, split]}, "Name": {"Fn::Select": [1, split]}}


def test_what_other_environments_use_too_is_kept(delivery: dict[str, dict[str, Any]]) -> None:
    for shared in ("GitHubProvider", "ArtifactBucket", "ArtifactBucketPolicy"):
        assert delivery[shared]["DeletionPolicy"] == "Retain"
        assert delivery[shared]["UpdateReplacePolicy"] == "Retain"


def test_names_that_are_the_whole_accounts_carry_the_region(
    delivery: dict[str, dict[str, Any]],
) -> None:
    properties = [it["Properties"] for it in delivery.values() if "::IAM::" in it["Type"]]
    roles = [it["RoleName"] for it in properties if "RoleName" in it]
    policies = [it["ManagedPolicyName"] for it in properties if "ManagedPolicyName" in it]
    assert (len(roles), len(policies)) == (1, 5)
    assert all("${AWS::Region}" in name["Fn::Sub"] for name in roles + policies)
    assert len(filled(roles[0], "x" * 20).replace("REGION", "ap-southeast-2")) <= 64


def test_the_policies_are_not_too_long(delivery: dict[str, dict[str, Any]]) -> None:
    """10,240 characters for a role's own policies, 6,144 for one of its own ("IAM quotas")."""

    def length(document: dict[str, Any]) -> int:
        text = re.sub(
            r'\{"Fn::Sub":"([^"]*)"\}', r'"\1"', json.dumps(document, separators=(",", ":"))
        )
        text = filled(text, "x" * 20).replace("REGION", "ap-southeast-2")
        return len(text.replace("ACCOUNT", "1" * 12).replace("arn:aws:", "arn:aws-us-gov:"))

    role = delivery["DeployRole"]["Properties"]
    assert sum(length(policy["PolicyDocument"]) for policy in role["Policies"]) <= 10_240
    for logical_id, resource in delivery.items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            assert length(resource["Properties"]["PolicyDocument"]) <= 6_144, logical_id
