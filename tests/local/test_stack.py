"""Deployment by change set, against the local cloud."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from orderctl import deploying
from orderctl.deploying import Deployment, Destruction, StackError, StackEvent, Template
from orderctl.deploying.package import Artifact
from orderctl.localcloud.lifecycle import NAME_HELD, LocalCloud

TEMPLATE = """
Parameters:
  CodeBucket: {{ Type: String }}
  CodeKey: {{ Type: String }}
  CodeVersion: {{ Type: String }}
  Suffix: {{ Type: String, Default: usual, AllowedPattern: "[a-z]+" }}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "{name}-${{Suffix}}"
      Tags: [{{ Key: code, Value: !Ref CodeVersion }}]
{more}
Outputs:
  QueueUrl: {{ Value: !Ref Queue }}
  Code: {{ Value: !Sub "${{CodeBucket}}/${{CodeKey}}?${{CodeVersion}}" }}
"""
TOPIC = """
  Topic:
    Type: AWS::SNS::Topic
"""
BROKEN = """
  Broken:
    Type: AWS::SQS::Queue
    DependsOn: Queue
    Properties: { VisibilityTimeout: 99999 }
"""


ARCHIVED = """
  Bus:
    Type: AWS::Events::EventBus
    Properties: { Name: archived }
  Archive:
    Type: AWS::Events::Archive
    Properties: { SourceArn: !GetAtt Bus.Arn, RetentionDays: 1 }
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return Artifact(tmp_path / "functions.zip", b"content")


class Stack:
    """One stack of the shared local cloud."""

    def __init__(self, cloud: LocalCloud, artifact: Artifact, name: str) -> None:
        self.name = name
        self.session = cloud.session()
        self.events: list[StackEvent] = []
        self.resources = 0
        self._artifact = artifact

    def planned(self, resources: int) -> None:
        self.resources = resources

    def happened(self, event: StackEvent) -> None:
        self.events.append(event)

    def deploy(self, more: str = "", **parameters: str) -> Deployment:
        body = TEMPLATE.format(name=self.name, more=more)
        names = ("CodeBucket", "CodeKey", "CodeVersion", "Suffix")
        return deploying.deploy(
            self.session,
            self._artifact,
            template=Template(body, {name: {"Default": ""} for name in names}),
            parameters=parameters,
            stack_name=self.name,
            observer=self,
            poll_seconds=0.02,
            name_held=NAME_HELD,
        )


@pytest.fixture
def one(cloud: LocalCloud, artifact: Artifact, request: pytest.FixtureRequest) -> Stack:
    return Stack(cloud, artifact, request.node.name.removeprefix("test_").replace("_", "-"))


def test_creates(one: Stack) -> None:
    deployment = one.deploy()
    assert deployment.changed
    assert deployment.outputs["QueueUrl"].endswith(f"/{one.name}-usual")
    assert one.resources == 1
    assert [(event.logical_id, event.status) for event in one.events] == [
        (one.name, "CREATE_IN_PROGRESS"),
        ("Queue", "CREATE_IN_PROGRESS"),
        ("Queue", "CREATE_COMPLETE"),
        (one.name, "CREATE_COMPLETE"),
    ]


def test_updates_and_keeps_the_parameters_not_given(one: Stack) -> None:
    one.deploy(Suffix="mine")
    one.events.clear()
    deployment = one.deploy(TOPIC)
    assert deployment.outputs["QueueUrl"].endswith("-mine")
    assert "Topic" in {event.logical_id for event in one.events}
    assert one.events[-1].status == "UPDATE_COMPLETE"


def test_what_a_stack_has_is_tagged_with_its_name_beside_its_own_tags(one: Stack) -> None:
    url = one.deploy().outputs["QueueUrl"]
    cloudformation = one.session.client("cloudformation")
    cloudformation.update_stack(
        StackName=one.name,
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": name, "UsePreviousValue": True}
            for name in ("CodeBucket", "CodeKey", "CodeVersion")
        ],
        Tags=[{"Key": "team", "Value": "shop"}],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=one.name)
    one.deploy(TOPIC)
    tags = cloudformation.describe_stacks(StackName=one.name)["Stacks"][0]["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "team": "shop",
        "order-pipeline:stack": one.name,
    }
    queue = one.session.client("sqs").list_queue_tags(QueueUrl=url)["Tags"]
    assert queue["order-pipeline:stack"] == one.name


def test_nothing_to_change_is_no_error(one: Stack) -> None:
    before = one.deploy()
    after = one.deploy()
    assert not after.changed
    assert after.outputs == before.outputs


@pytest.mark.long
def test_failure_names_its_first_cause_and_can_be_mended(one: Stack) -> None:
    with pytest.raises(StackError) as caught:
        one.deploy(BROKEN)
    assert "Broken (AWS::SQS::Queue): Invalid value for the parameter VisibilityTimeout" in str(
        caught.value
    )
    assert one.deploy().changed


def test_a_stack_that_only_has_a_change_set_is_created(one: Stack) -> None:
    cloudformation = one.session.client("cloudformation")
    cloudformation.create_change_set(
        StackName=one.name,
        ChangeSetName="left",
        ChangeSetType="CREATE",
        TemplateBody="Resources: { Topic: { Type: AWS::SNS::Topic } }",
    )
    assert one.deploy().outputs["QueueUrl"].endswith(f"/{one.name}-usual")


def test_what_fails_early_validation_is_told_with_its_cause(one: Stack) -> None:
    one.session.client("sqs").create_queue(QueueName=f"{one.name}-usual")
    with pytest.raises(StackError) as caught:
        one.deploy()
    told = str(caught.value)
    assert "Queue (AWS::SQS::Queue): Resource of type 'AWS::SQS::Queue' with identifier" in told
    assert "already exists" in told
    assert "DescribeEvents" not in told
    cloudformation = one.session.client("cloudformation")
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stacks(StackName=one.name)


def test_a_bus_whose_archive_is_just_gone_is_deleted_a_little_later(one: Stack) -> None:
    one.deploy(ARCHIVED)
    Destruction(one.session, one.name, 0.1).execute(one)
    failed = [event for event in one.events if event.failed and not event.is_of_stack]
    assert {(event.logical_id, event.reason) for event in failed} == {
        ("Bus", "EventBus can't be deleted since it has rules.")
    }
    assert one.events[-1].status == "DELETE_COMPLETE"


def test_value_the_template_does_not_allow_is_refused(one: Stack) -> None:
    with pytest.raises(StackError, match="Suffix"):
        one.deploy(Suffix="123")


def test_code_is_kept_privately_under_its_stack_and_the_hash_of_its_content(
    one: Stack, artifact: Artifact
) -> None:
    bucket, key, version = code_of(one.deploy())
    s3 = one.session.client("s3")
    assert key == f"{one.name}/functions/{artifact.sha256}.zip"
    stored = s3.get_object(Bucket=bucket, Key=key, VersionId=version)
    assert stored["Body"].read() == b"content"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]


def test_code_that_was_replaced_under_its_name_is_not_used(one: Stack) -> None:
    bucket, key, version = code_of(one.deploy())
    s3 = one.session.client("s3")
    foreign = s3.put_object(Bucket=bucket, Key=key, Body=b"foreign")["VersionId"]
    again = code_of(one.deploy())
    assert again[:2] == (bucket, key)
    assert again[2] not in (version, foreign)
    stored = s3.get_object(Bucket=bucket, Key=key, VersionId=again[2])
    assert stored["Body"].read() == b"content"


def code_of(deployment: Deployment) -> tuple[str, str, str]:
    """Bucket, key and version of the code that a stack was deployed with."""
    bucket, _, rest = deployment.outputs["Code"].partition("/")
    key, _, version = rest.partition("?")
    return bucket, key, version


def test_large_template_goes_by_way_of_the_bucket(one: Stack) -> None:
    comments = "  # nothing\n" * 6000
    assert one.deploy(comments).changed
