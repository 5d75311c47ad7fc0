"""The role that GitHub deploys with: what it must be allowed, and what it must not."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import cfnlint.decode.cfn_yaml
import pytest
from botocore import xform_name

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


@pytest.fixture(scope="module")
def delivery() -> dict[str, dict[str, Any]]:
    template = cfnlint.decode.cfn_yaml.load(str(ROOT / "delivery/github-role.yaml"))
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found


@pytest.fixture(scope="module")
def role(delivery: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties: dict[str, Any] = delivery["DeployRole"]["Properties"]
    return properties


@pytest.fixture(scope="module")
def statements(role: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (policy,) = role["Policies"]
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


def called(service: str) -> set[str]:
    """The actions behind the calls that `orderctl deploy` and `destroy` make."""
    source = "".join(path.read_text() for path in (ROOT / "src/orderctl/stack").glob("*.py"))
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
        ("s3", "TheArtifacts", "s3:PutObject"),
    ],
)
def test_the_role_may_do_what_a_deployment_and_a_destruction_call(
    statements: dict[str, dict[str, Any]], service: str, sid: str, one: str
) -> None:
    needed = called(service)
    assert one in needed
    assert needed <= set(statements[sid]["Action"])


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
    name = role["RoleName"]["Fn::Sub"].replace("${NamePrefix}", prefix)
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
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
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
