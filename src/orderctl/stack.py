"""Deployment of a CloudFormation template, to AWS or to the local cloud.

The code goes to an artifact bucket under the hash of its content, then a change set creates or
updates the stack.
"""

import base64
import difflib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from orderctl import paths
from orderctl.errors import OrderctlError
from orderctl.package import Artifact

if TYPE_CHECKING:
    import boto3
    from botocore.exceptions import ClientError
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import (
        DescribeChangeSetOutputTypeDef,
        ParameterTypeDef,
        StackTypeDef,
    )
    from mypy_boto3_s3 import S3Client

DEFAULT_NAME = "order-pipeline"

# The deployment itself fills these in.
_CODE_BUCKET = "CodeBucket"
_CODE_KEY = "CodeKey"

_LARGEST_INLINE_TEMPLATE_BYTES = 51_200
_STACK_TYPE = "AWS::CloudFormation::Stack"
_DEPLOYED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
# Such a stack never came to be: it has no resources, and cannot be updated.
_NEVER_CREATED = "ROLLBACK_COMPLETE"
_NOTHING_TO_CHANGE = ("didn't contain changes", "No updates are to be performed")


class StackError(OrderctlError):
    """The stack could not be deployed."""


class ParameterError(OrderctlError):
    """A parameter is not one of the template's, or one of its own is missing."""


@dataclass(frozen=True, slots=True)
class StackEvent:
    """What happened to one resource."""

    logical_id: str
    resource_type: str
    status: str
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether the resource could not be created, changed or deleted."""
        return self.status.endswith("_FAILED")

    @property
    def is_of_stack(self) -> bool:
        """Whether it is about a stack rather than one of its resources."""
        return self.resource_type == _STACK_TYPE

    @property
    def is_consequence(self) -> bool:
        """Whether it failed only because something else had."""
        return "cancelled" in self.reason.lower()


class Observer(Protocol):
    """Who wants to know how a deployment goes."""

    def planned(self, resources: int) -> None:
        """So many resources will be created, changed or removed."""

    def happened(self, event: StackEvent) -> None:
        """Something happened to one of them, or to the stack."""


class Silent:
    """An observer that wants to know nothing."""

    def planned(self, resources: int) -> None:
        """Do nothing."""

    def happened(self, event: StackEvent) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack as it stands.

    Attributes:
        changed: False when the stack was like that already.
        outputs: The stack's outputs.
    """

    changed: bool
    outputs: Mapping[str, str]


class _TemplateLoader(yaml.CSafeLoader):
    """Reads a template's structure; what stands behind a short-form function does not matter."""


_TemplateLoader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@dataclass(frozen=True, slots=True)
class Template:
    """A CloudFormation template in YAML.

    Attributes:
        body: Its text.
        parameters: Its parameters' declarations, by name.
    """

    body: str
    parameters: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path = paths.TEMPLATE) -> "Template":
        """Read a template.

        Raises:
            StackError: It cannot be read, or is no YAML.
        """
        try:
            body = path.read_text(encoding="utf-8")
            # A subclass of the safe loader, which makes nothing but plain values.
            parameters = yaml.load(body, _TemplateLoader).get("Parameters", {})  # noqa: S506
        except OSError as error:
            raise StackError(f"{paths.shown(path)}: {error.strerror}.") from error
        except (yaml.YAMLError, AttributeError) as error:
            raise StackError(f"{paths.shown(path)} is not a template: {error}") from error
        return cls(body, parameters)

    def check(self, given: Mapping[str, str]) -> None:
        """Check that the parameters are the template's, before anything is started.

        Raises:
            ParameterError: One is unknown, or one without a default is not given.
        """
        known = [name for name in self.parameters if name not in (_CODE_BUCKET, _CODE_KEY)]
        for name in given:
            if name not in known:
                raise ParameterError(_unknown_parameter(name, known))
        for name in known:
            if name not in given and "Default" not in self.parameters[name]:
                raise ParameterError(
                    f"The parameter {name} has no default: give it with --param {name}=…"
                )


def _unknown_parameter(name: str, known: list[str]) -> str:
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    hint = f" Did you mean {by_lower_case[close[0]]}?" if close else ""
    return (
        f"The template has no parameter {name}.{hint}\n"
        f"Its parameters: {', '.join(sorted(known)) or 'none'}."
    )


def deploy(
    session: "boto3.Session",
    artifact: Artifact,
    *,
    template: Template,
    parameters: Mapping[str, str],
    stack_name: str = DEFAULT_NAME,
    observer: Observer | None = None,
    poll_seconds: float = 2.0,
) -> Deployment:
    """Create or update a stack and wait until it stands.

    Args:
        session: The account and region it goes to.
        artifact: The functions' package.
        template: What to deploy.
        parameters: The template's parameters; those of an existing stack stay as they are.
        stack_name: The stack's name.
        observer: Is told what happens.
        poll_seconds: How often to ask how it goes.

    Raises:
        ParameterError: The parameters do not fit the template.
        StackError: It could not be deployed; the message has the first cause.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    template.check(parameters)
    try:
        bucket = _ensure_bucket(session)
        _upload(session, bucket, artifact)
        change = _ChangeSet(session.client("cloudformation"), stack_name, poll_seconds)
        code = {_CODE_BUCKET: bucket, _CODE_KEY: artifact.key}
        where = _template_arguments(session, bucket, template)
        return change.deploy(where, template, {**parameters, **code}, observer or Silent())
    except ClientError as error:
        reason = error.response["Error"].get("Message") or str(error)
        raise StackError(f"Stack {stack_name} could not be deployed: {reason}") from error
    except BotoCoreError as error:
        raise StackError(f"Stack {stack_name} could not be deployed: {error}") from error


class _ChangeSet:
    """One change of one stack."""

    def __init__(self, client: "CloudFormationClient", stack_name: str, poll: float) -> None:
        self._client = client
        self._stack = stack_name
        self._poll = poll
        # Names the change set, and marks the events that come of it.
        self._token = f"orderctl-{uuid.uuid4().hex}"

    def deploy(
        self,
        where: Mapping[str, str],
        template: Template,
        values: Mapping[str, str],
        observer: Observer,
    ) -> Deployment:
        """Make the change set, carry it out, and wait."""
        existing = self._changeable_stack()
        described = self._create(where, _parameters(template, values, existing), existing)
        if described is None:
            return Deployment(changed=False, outputs=self._outputs())
        observer.planned(len(described["Changes"]))
        self._execute(observer)
        return Deployment(changed=True, outputs=self._outputs())

    def _changeable_stack(self) -> "StackTypeDef | None":
        """The stack as it stands; None when it is to be created."""
        stack = self._describe()
        if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        status = stack["StackStatus"]
        if status == _NEVER_CREATED:
            self._client.delete_stack(StackName=self._stack)
            waiter = self._client.get_waiter("stack_delete_complete")
            waiter.wait(StackName=stack["StackId"], WaiterConfig={"Delay": 2})
            return None
        if status.endswith("_IN_PROGRESS"):
            raise StackError(
                f"Stack {self._stack} is being changed already ({status}). "
                "Wait until that is done, then try again."
            )
        return stack

    def _describe(self) -> "StackTypeDef | None":
        try:
            return self._client.describe_stacks(StackName=self._stack)["Stacks"][0]
        except self._client.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def _create(
        self,
        where: Mapping[str, str],
        parameters: "list[ParameterTypeDef]",
        existing: "StackTypeDef | None",
    ) -> "DescribeChangeSetOutputTypeDef | None":
        """Make the change set; None when there is nothing to change."""
        self._client.create_change_set(
            StackName=self._stack,
            ChangeSetName=self._token,
            ChangeSetType="UPDATE" if existing else "CREATE",
            Parameters=parameters,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **where,  # type: ignore[arg-type]
        )
        described = self._wait_until_created()
        if described["Status"] != "FAILED":
            return described
        self._client.delete_change_set(StackName=self._stack, ChangeSetName=self._token)
        reason = described.get("StatusReason", "no reason given")
        if any(phrase in reason for phrase in _NOTHING_TO_CHANGE):
            return None
        raise StackError(f"Stack {self._stack} cannot be changed like this: {reason}")

    def _wait_until_created(self) -> "DescribeChangeSetOutputTypeDef":
        """Wait until the change set is ready, or has failed; its changes are all in the answer."""
        while True:
            pages = self._client.get_paginator("describe_change_set").paginate(
                StackName=self._stack, ChangeSetName=self._token
            )
            first, *others = list(pages)
            if first["Status"] in ("CREATE_COMPLETE", "FAILED"):
                for page in others:
                    first["Changes"].extend(page["Changes"])
                return first
            time.sleep(self._poll)

    def _execute(self, observer: Observer) -> None:
        """Carry the change set out and report until the stack has come to rest."""
        self._client.execute_change_set(
            StackName=self._stack, ChangeSetName=self._token, ClientRequestToken=self._token
        )
        events: list[StackEvent] = []
        for event in self._events():
            events.append(event)
            observer.happened(event)
        if events[-1].status not in _DEPLOYED:
            raise StackError(failure(self._stack, events))

    def _events(self) -> Iterator[StackEvent]:
        """The events of this change as they come, up to the one that ends it."""
        seen: set[str] = set()
        while True:
            for event_id, event in self._recorded_events():
                if event_id in seen:
                    continue
                seen.add(event_id)
                yield event
                if self._ends(event):
                    return
            time.sleep(self._poll)

    def _recorded_events(self) -> list[tuple[str, StackEvent]]:
        """This change's events so far, oldest first, with their ids."""
        found: list[tuple[str, StackEvent]] = []
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=self._stack)
        for page in pages:
            ours = [e for e in page["StackEvents"] if e.get("ClientRequestToken") == self._token]
            found += [
                (
                    event["EventId"],
                    StackEvent(
                        event.get("LogicalResourceId", ""),
                        event.get("ResourceType", ""),
                        event.get("ResourceStatus", ""),
                        event.get("ResourceStatusReason", ""),
                    ),
                )
                for event in ours
            ]
            if len(ours) < len(page["StackEvents"]):
                break  # the rest is older than this change
        return found[::-1]

    def _ends(self, event: StackEvent) -> bool:
        """Whether the stack has come to rest with this event."""
        of_this_stack = event.is_of_stack and event.logical_id == self._stack
        return of_this_stack and not event.status.endswith("_IN_PROGRESS")

    def _outputs(self) -> dict[str, str]:
        stack = self._describe()
        outputs = stack.get("Outputs", []) if stack else []
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def failure(stack_name: str, events: list[StackEvent]) -> str:
    """Say why a deployment failed: its first real cause, not what followed from it.

    Args:
        stack_name: The stack.
        events: What happened, oldest first.
    """
    failed = [event for event in events if event.failed]
    causes = [event for event in failed if not event.is_consequence] or failed or events[-1:]
    cause = causes[0]
    message = (
        f"Stack {stack_name} could not be deployed.\n"
        f"  {cause.logical_id} ({cause.resource_type}): {cause.reason or cause.status}"
    )
    others = sum(not event.is_of_stack for event in causes[1:])
    if others:
        message += f"\n  {others} more failed after it; the stack's events have them."
    return message


def _parameters(
    template: Template, values: Mapping[str, str], existing: "StackTypeDef | None"
) -> "list[ParameterTypeDef]":
    """The values given, and for what is not given what the existing stack has."""
    before = {p["ParameterKey"] for p in existing.get("Parameters", [])} if existing else set()
    given: list[ParameterTypeDef] = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in values.items()
        if name in template.parameters
    ]
    kept: list[ParameterTypeDef] = [
        {"ParameterKey": name, "UsePreviousValue": True}
        for name in template.parameters
        if name in before and name not in values
    ]
    return given + kept


def _template_arguments(
    session: "boto3.Session", bucket: str, template: Template
) -> dict[str, str]:
    """The template itself, or where it is when it is too large to be sent along."""
    body = template.body.encode()
    if len(body) <= _LARGEST_INLINE_TEMPLATE_BYTES:
        return {"TemplateBody": template.body}
    s3 = session.client("s3")
    key = f"templates/{hashlib.sha256(body).hexdigest()}.yaml"
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{bucket}/{key}"}


def _upload(session: "boto3.Session", bucket: str, artifact: Artifact) -> None:
    """Put the package where Lambda fetches it, unless it is there."""
    s3 = session.client("s3")
    try:
        s3.head_object(Bucket=bucket, Key=artifact.key)
    except s3.exceptions.ClientError as error:
        if not _is_missing(error):
            raise
        digest = base64.b64encode(bytes.fromhex(artifact.sha256)).decode()
        s3.put_object(
            Bucket=bucket,
            Key=artifact.key,
            Body=artifact.path.read_bytes(),
            ChecksumSHA256=digest,
        )


def _ensure_bucket(session: "boto3.Session") -> str:
    """The artifact bucket's name; the bucket is made if the account has none in this region."""
    account = session.client("sts").get_caller_identity()["Account"]
    region = session.region_name
    bucket = f"{DEFAULT_NAME}-artifacts-{account}-{region}"
    s3 = session.client("s3")
    try:
        # Bucket names are everybody's: the owner is checked, so that ours is not another's.
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except s3.exceptions.ClientError as error:
        if not _is_missing(error):
            raise
        _create_bucket(s3, bucket, region)
    return bucket


def _create_bucket(s3: "S3Client", bucket: str, region: str) -> None:
    """Make a bucket that is private, versioned, encrypted, and reached over TLS only."""
    if region == "us-east-1":  # the one region that must not be named
        s3.create_bucket(Bucket=bucket)
    else:
        s3.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        )
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(bucket)))


def _tls_only(bucket: str) -> dict[str, object]:
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _is_missing(error: "ClientError") -> bool:
    return error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND
