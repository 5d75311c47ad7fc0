"""`orderctl deploy` and `destroy`, typed against a local cloud of their own."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from botocore.exceptions import WaiterError

from orderctl import deploying, paths
from orderctl.contexts import Context, Contexts
from orderctl.deploying import StackError, Template, package
from orderctl.deploying.package import Target
from orderctl.deploying.template import parse
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline.pipeline import Pipeline
from support.command_line import PATIENCE_SECONDS, PROGRAM, Orderctl
from support.pipeline import PipelineUnderTest, eventually

# As a stack on AWS is named, where every call goes to the local cloud.
AT_AWS = ("--context", "aws")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def cloud(directory: Path) -> Iterator[LocalCloud]:
    with LocalCloud(StateDirectory(directory)) as cloud:
        cloud.deploy(package.build(Target.this_machine()))
        yield cloud


@pytest.fixture
def orderctl(cloud: LocalCloud, directory: Path) -> Orderctl:
    """Types a command, with what a terminal would have answered if there is an answer."""
    place = Context(name="aws", stack="order-pipeline", endpoint=cloud.endpoint)
    settings = directory / "orderctl" / "contexts.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_bytes(msgspec.json.encode(Contexts(stacks=(place,))))
    aws = {
        "XDG_CONFIG_HOME": str(directory),
        "AWS_ACCESS_KEY_ID": cloud.state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.state.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def run(*arguments: str, answer: str | None = None) -> subprocess.CompletedProcess[str]:
        terminal, end = pty.openpty()
        if answer is not None:
            os.write(terminal, f"{answer}\n".encode())
        result = subprocess.run(
            [PROGRAM, *arguments],
            env=os.environ | aws | {"ORDERCTL_STATE_DIR": str(directory)},
            stdin=subprocess.DEVNULL if answer is None else end,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        os.close(terminal)
        os.close(end)
        assert "Traceback" not in result.stderr
        return result

    return run


def test_what_would_change_is_shown_before_anything_does(orderctl: Orderctl) -> None:
    shown = orderctl("deploy", "--local", "--plan", "--param", "ChargeFailureRate=0.5")
    assert shown.returncode == 0
    assert re.search(r"ChargeFailureRate +0\.1 +0\.5", shown.stdout)
    assert re.search(r"change +PaymentsFunction +AWS::Lambda::Function +Environment", shown.stdout)
    assert "Nothing was changed" in shown.stdout
    traced = orderctl("deploy", "--local", "--plan", "--param", "TracingRate=0.5", "--json")
    changes = json.loads(traced.stdout)["changes"]
    assert [c["logical_id"] for c in changes if c["action"] == "add"] == ["ApiSamplingRule"]
    again = json.loads(orderctl("deploy", "--local", "--plan", "--json").stdout)
    assert (again["changed"], again["changes"]) == (False, [])


@pytest.mark.parametrize(
    ("arguments", "answer", "told"),
    [
        ([], None, "Add --yes"),
        (["--param", "ChargeFailureRate=0.5"], "n", "Nothing was changed"),
        (["--param", "ChargeFailRate=1", "--yes"], None, "Did you mean ChargeFailureRate?"),
        (["--param", "ChargeFailureRate=2", "--yes"], None, "a number from 0 to 1"),
        (["--prefix", "9-", "--yes"], None, "NamePrefix must be at most 20 letters"),
    ],
)
def test_what_is_not_confirmed_or_not_right_changes_nothing(
    cloud: LocalCloud, orderctl: Orderctl, arguments: list[str], answer: str | None, told: str
) -> None:
    before = stack(cloud)
    refused = orderctl("deploy", "--local", *arguments, answer=answer)
    assert refused.returncode == 1
    assert told in refused.stderr
    assert stack(cloud) == before


def stack(cloud: LocalCloud) -> dict[str, Any]:
    """The stack of the pipeline, with its parameters and the time of its last change."""
    client = cloud.session().client("cloudformation")
    return dict(client.describe_stacks(StackName=cloud.state.stack_name)["Stacks"][0])


def boundary(cloud: LocalCloud, prefix: str) -> str:
    """What bounds the roles of the stack that GitHub may deploy."""
    client = cloud.session().client("cloudformation")
    given = {
        "Repository": "example/order-pipeline",
        "Environment": "staging",
        "NamePrefix": prefix,
        "RepositoryOwnerId": "123",
        "RepositoryId": "456",
        "OidcProviderArn": "arn:aws:iam::000000000000:oidc-provider/token",
        "MakeArtifactBucket": "false",
    }
    client.create_stack(
        StackName="delivery",
        TemplateBody=(paths.ROOT / "delivery" / "github-role.yaml").read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
    )
    client.get_waiter("stack_create_complete").wait(StackName="delivery", WaiterConfig={"Delay": 1})
    outputs = deploying.outputs_of(client, "delivery")
    role = outputs["RoleArn"].rpartition("/")[2]
    trust = cloud.session().client("iam").get_role(RoleName=role)["Role"]
    assert subjects(trust["AssumeRolePolicyDocument"]) == [
        "repo:example/order-pipeline:environment:staging",
        "repo:example@123/order-pipeline@456:environment:staging",
    ]
    return outputs["BoundaryArn"]


def subjects(trust: Any) -> list[str]:  # noqa: ANN401 - the stubs take it for text
    (statement,) = trust["Statement"]
    found: list[str] = statement["Condition"]["StringEquals"][
        "token.actions.githubusercontent.com:sub"
    ]
    return found


def tables_in(said: str) -> set[str]:
    """The tables that are said to stay or to be deleted."""
    listed = re.search(r"the tables (.+?) with all their data", said)
    assert listed, said
    return set(listed[1].split(", "))


@pytest.mark.long
def test_a_second_stack_lives_beside_the_first_and_the_way_to_aws_is_the_same(
    cloud: LocalCloud, orderctl: Orderctl
) -> None:
    """Used as on AWS, with nothing but credentials in the environment and an endpoint."""
    closed = ("--prefix", "second-", "--param", "ApiAuthorization=AWS_IAM")
    bounded = ("--param", f"PermissionsBoundaryArn={boundary(cloud, 'second-')}")
    shared = ("--param", "ApiGatewayAccountRole=true")
    deployed = orderctl("deploy", "--local", *closed, *bounded, "--yes", "--json")
    assert deployed.returncode == 0, deployed.stderr
    outputs = json.loads(deployed.stdout)["outputs"]
    assert outputs["EventBusName"] == "second-order-events"
    name = "second-order-pipeline"
    second = Pipeline(cloud.session(), name)
    assert second.stack.parameter("ApiAuthorization") == "AWS_IAM"
    assert second.api.place({"order_id": "signed", "amount": 1}).status == 202
    # Its roles may do all they have to within the boundary.
    eventually(lambda: second.orders.find(["signed"])["signed"]["status"] == "confirmed")
    assert "signed" in orderctl("order", *AT_AWS, "--stack", name, "signed").stdout
    assert orderctl("order", "signed").returncode == 1, "it is not in the first stack"

    names = ("audit", "circuits", "orders", "payments", "reservations", "stock")
    wrong = orderctl("destroy", *AT_AWS, "--stack", name, answer="order-pipeline")
    assert wrong.returncode == 1
    assert tables_in(wrong.stdout) == {f"second-{table}" for table in names}
    assert orderctl("destroy", *AT_AWS, "--stack", name, answer=name).returncode == 0
    gone = orderctl("orders", *AT_AWS, "--stack", name)
    assert f"no stack {name}" in gone.stderr

    # As if the tables were from before this index.
    dynamodb = cloud.session().client("dynamodb")
    dynamodb.update_table(
        TableName="second-orders", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ended"}}]
    )
    unnamed = orderctl("deploy", "--local", *closed, *shared, "--yes")
    assert unnamed.returncode == 1
    assert "add --adopt" in unnamed.stderr
    assert f"no stack {name}" in orderctl("orders", *AT_AWS, "--stack", name).stderr
    back = orderctl("deploy", "--local", *closed, *shared, "--yes", "--adopt")
    assert back.returncode == 0, back.stderr
    assert "Imported the tables" in back.stdout
    table = dynamodb.describe_table(TableName="second-orders")["Table"]
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    assert indexes == {"unfinished", "ended"}
    assert "signed" in orderctl("order", *AT_AWS, "--stack", name, "signed").stdout
    ended = orderctl("destroy", *AT_AWS, "--stack", name, "--delete-tables", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert tables_in(ended.stdout) == {f"second-{table}" for table in names}
    assert re.search(r"Kept +ApiGatewayAccountLogRole, ApiGatewayAccount \(other", ended.stdout)
    roles = cloud.session().client("iam").list_roles()["Roles"]
    assert [role for role in roles if "second-order-pipeline-ApiGatewayAcc" in role["RoleName"]]
    left = cloud.session().client("dynamodb").list_tables()["TableNames"]
    assert sorted(left) == sorted(names)


BROKEN = """
Resources:
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: NAME } }
  Broken: { Type: AWS::SQS::Queue, DependsOn: Queue, Properties: { VisibilityTimeout: 99999 } }
"""


def failed_stack(
    cloud: LocalCloud, prefix: str, on_failure: Literal["ROLLBACK", "DO_NOTHING"]
) -> str:
    cloudformation = cloud.session().client("cloudformation")
    name = f"{prefix}order-pipeline"
    body = BROKEN.replace("NAME", f"{prefix}queue")
    cloudformation.create_stack(StackName=name, TemplateBody=body, OnFailure=on_failure)
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1}
        )
    return name


def status(cloud: LocalCloud, name: str) -> str:
    stacks = cloud.session().client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return stacks[0]["StackStatus"]


def test_a_deployment_that_fails_halfway_is_rolled_back_and_orders_flow(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    """Half-way: the functions have their new code and environment when a permission fails."""
    functions = cloud.session().client("lambda")

    def deployed() -> tuple[str, dict[str, str]]:
        found = functions.get_function_configuration(FunctionName="payments-processor")
        return found["CodeSha256"], found["Environment"]["Variables"]

    before = deployed()
    pipeline = PipelineUnderTest(cloud.session(), cloud.state.stack_name, cloud)
    pipeline.set_stock({"mug": 10})
    new = tmp_path / "orders"
    shutil.copytree(paths.FUNCTIONS, new)
    (new / "payments" / "handler.py").write_text("raise SystemExit('broken')")
    with pytest.raises(StackError, match="Function not found: nobody") as failed:
        cloud.deploy(
            package.build(Target.this_machine(), functions=new),
            template=with_permission_for_nobody(),
            parameters={"ChargeDeclineRate": "1"},
        )
    assert "PermissionForNobody" in str(failed.value)
    assert status(cloud, cloud.state.stack_name) == "UPDATE_ROLLBACK_COMPLETE"
    changes = (
        cloud.session()
        .client("cloudformation")
        .describe_stack_events(StackName=cloud.state.stack_name)["StackEvents"]
    )
    updates = [c["ResourceStatus"] for c in changes if c["LogicalResourceId"] == "PaymentsFunction"]
    assert updates.count("UPDATE_COMPLETE") == 2, "it was updated, and put back"
    assert deployed() == before
    (order,) = pipeline.ids(1)
    pipeline.publish({"order_id": order, "amount": 5, "items": [{"sku": "mug", "quantity": 1}]})
    eventually(lambda: pipeline.statuses([order]) == {order: "confirmed"})


def with_permission_for_nobody() -> Template:
    """The template with a permission that AWS refuses, once the payments function is updated."""
    template = Template.load()
    body: dict[str, Any] = json.loads(json.dumps(parse(template.body)))
    body["Resources"]["PermissionForNobody"] = {
        "Type": "AWS::Lambda::Permission",
        "DependsOn": "PaymentsEventSource",
        "Properties": {
            "FunctionName": "nobody",
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
        },
    }
    return replace(template, body=json.dumps(body))


def test_a_stack_that_was_rolled_back_is_cleared_away_once_that_is_confirmed(
    cloud: LocalCloud, orderctl: Orderctl
) -> None:
    name = failed_stack(cloud, "fourth-", "ROLLBACK")
    plan = orderctl("deploy", "--local", "--prefix", "fourth-", "--plan")
    assert plan.returncode == 0, plan.stderr
    assert "it must be deleted first" in plan.stderr
    assert "Nothing was changed" in plan.stdout
    shown = orderctl("deploy", "--local", "--prefix", "fourth-", "--plan", "--json")
    assert json.loads(shown.stdout)["changes"] is None
    refused = orderctl("deploy", "--local", "--prefix", "fourth-", answer="n")
    assert refused.returncode == 1
    assert status(cloud, name) == "ROLLBACK_COMPLETE"

    refused = orderctl("deploy", "--local", "--prefix", "fourth-", answer="y\nn")
    assert refused.returncode == 1
    assert "Nothing more was changed" in refused.stderr
    assert f"no stack {name}" in orderctl("orders", *AT_AWS, "--stack", name).stderr


def test_a_stack_that_failed_and_was_not_rolled_back_is_not_deleted(
    cloud: LocalCloud, orderctl: Orderctl
) -> None:
    name = failed_stack(cloud, "fifth-", "DO_NOTHING")
    refused = orderctl("deploy", "--local", "--prefix", "fifth-", "--yes")
    assert refused.returncode == 1
    assert f"destroy --stack {name}" in refused.stderr
    assert status(cloud, name) == "CREATE_FAILED"
    assert cloud.session().client("sqs").get_queue_url(QueueName="fifth-queue")["QueueUrl"]


def test_a_stack_that_only_has_a_change_set_can_be_destroyed(
    cloud: LocalCloud, orderctl: Orderctl
) -> None:
    cloudformation = cloud.session().client("cloudformation")
    name = "sixth-order-pipeline"
    cloudformation.create_change_set(
        StackName=name, ChangeSetName="left", ChangeSetType="CREATE", TemplateBody=BROKEN
    )
    assert status(cloud, name) == "REVIEW_IN_PROGRESS"
    ended = orderctl("destroy", *AT_AWS, "--stack", name, "--yes")
    assert ended.returncode == 0, ended.stderr
    assert f"no stack {name}" in orderctl("orders", *AT_AWS, "--stack", name).stderr


def test_a_table_of_somebody_else_is_never_taken_in(cloud: LocalCloud, orderctl: Orderctl) -> None:
    dynamodb = cloud.session().client("dynamodb")
    dynamodb.create_table(
        TableName="third-stock",
        KeySchema=[{"AttributeName": "product", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "product", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        refused = orderctl("deploy", "--local", "--prefix", "third-", "--yes", "--adopt")
        assert refused.returncode == 1
        assert "table third-stock exists already" in refused.stderr
        assert "KeySchema: product HASH instead of sku HASH" in refused.stderr
        assert "Use another --prefix" in refused.stderr
    finally:
        dynamodb.delete_table(TableName="third-stock")
    assert (
        "no stack third-" in orderctl("orders", *AT_AWS, "--stack", "third-order-pipeline").stderr
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([*AT_AWS, "--stack", "nobody"], "There is no stack nobody in us-east-1"),
        (["--stack", "nobody"], "AWS_ACCESS_KEY_ID is the local cloud's"),
        (["--stack", "nobody", "--profile", "nobody"], "The config profile (nobody)"),
        (["--local", "--stack", "nobody"], "deploy --local --stack nobody"),
    ],
)
def test_a_stack_that_is_not_there_is_said_to_be_so(
    orderctl: Orderctl, arguments: list[str], told: str
) -> None:
    refused = orderctl("orders", *arguments)
    assert refused.returncode == 1
    assert told in refused.stderr
