"""Deployment by change set: first the plan, then its execution."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, cast

from botocore.exceptions import BotoCoreError, ClientError

from orderctl import paths
from orderctl.deploying import artifacts, change_sets
from orderctl.deploying.errors import StackError, explain
from orderctl.deploying.events import Observer, StackEvent
from orderctl.deploying.package import Artifact
from orderctl.deploying.template import SETTINGS_OF_CODE, Template

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import (
        DescribeChangeSetOutputTypeDef,
        ParameterTypeDef,
        ResourceChangeTypeDef,
        StackTypeDef,
        TagTypeDef,
    )

DEFAULT_NAME = "order-pipeline"

Action = Literal["add", "import", "change", "replace", "remove"]

# The stack's creation was rolled back: nothing in it works, and it can only be deleted. A stack in
# CREATE_FAILED was not rolled back and still has its resources, so it is never deleted unasked.
_ROLLED_BACK = "ROLLBACK_COMPLETE"
_GONE = "DELETE_COMPLETE"
# The stack has a change set at most, and no resources.
_REVIEWED = "REVIEW_IN_PROGRESS"
_QUEUE = "AWS::SQS::Queue"
_STACK_TAG = "order-pipeline:stack"
NAME_HELD = timedelta(seconds=65)
"""How long SQS refuses the name of a deleted queue: a minute, plus some for differing clocks."""
_NOTHING_TO_CHANGE = ("didn't contain changes", "No updates are to be performed")
_JWT = "JWT"
_INDEX_KEYS = "UnfinishedOrderKeys"
_OF_TOKENS = ("UserPoolArn", "ApiScope")


class _NullObserver:
    """An observer that does nothing."""

    def planned(self, resources: int) -> None:
        """Do nothing."""

    def happened(self, event: StackEvent) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The result of a deployment.

    Attributes:
        changed: False when there was nothing to change.
        outputs: The stack's outputs.
    """

    changed: bool
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to one resource.

    Attributes:
        action: What happens; `replace` creates a new resource and deletes the old one.
        logical_id: Its name in the template.
        resource_type: Such as `AWS::SQS::Queue`.
        properties: The properties that change.
        perhaps: Whether it is replaced only if a value that is not known yet changes.
    """

    action: Action
    logical_id: str
    resource_type: str
    properties: tuple[str, ...] = ()
    perhaps: bool = False


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter of the stack that gets another value.

    Attributes:
        name: Its name.
        before: Its value until now; None for a new parameter.
        now: Its new value.
    """

    name: str
    before: str | None
    now: str


class Plan:
    """A change set: what would happen to the stack.

    Used in a `with` block, it is discarded at the end unless it was executed.
    """

    def __init__(
        self,
        client: CloudFormationClient,
        stack_name: str,
        described: DescribeChangeSetOutputTypeDef,
        existing: StackTypeDef | None,
        poll_seconds: float,
    ) -> None:
        """Take a described change set."""
        self.stack_name = stack_name
        self.is_new_stack = existing is None
        self.changes = [
            _change(change["ResourceChange"])
            for change in described["Changes"]
            if "ResourceChange" in change
        ]
        self.parameters = _parameter_changes(described, existing)
        self._client = client
        self._described = described
        self._poll = poll_seconds
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._open:
            self.discard()

    def seconds_until(self, names_free_at: datetime | None) -> float:
        """How long to wait before executing it, until the names of deleted queues are free."""
        creates = any(
            change.resource_type == _QUEUE and change.action in ("add", "replace")
            for change in self.changes
        )
        if names_free_at is None or not creates:
            return 0
        return max(0, (names_free_at - datetime.now(UTC)).total_seconds())

    def execute(self, observer: Observer) -> Deployment:
        """Execute it, and report events until the stack has settled.

        Raises:
            StackError: It failed; the message names the first cause.
        """
        self._open = False
        with explain_errors(self.stack_name, "deployed"):
            change_sets.execute(self._client, self._described, observer, self._poll)
            return Deployment(changed=True, outputs=outputs_of(self._client, self.stack_name))

    def discard(self) -> None:
        """Delete the change set, and the empty stack that it made if the stack is new."""
        self._open = False
        with explain_errors(self.stack_name, "cleaned up"):
            self._client.delete_change_set(
                StackName=self.stack_name, ChangeSetName=self._described["ChangeSetName"]
            )
            if self.is_new_stack:
                self._client.delete_stack(StackName=self.stack_name)


def prepare(
    session: boto3.Session,
    artifact: Artifact,
    *,
    template: Template,
    parameters: Mapping[str, str],
    first_parameters: Mapping[str, str] | None = None,
    stack_name: str = DEFAULT_NAME,
    poll_seconds: float = 2.0,
) -> Plan | None:
    """Upload the code and find out what would change in the stack.

    Args:
        session: The account and region it goes to.
        artifact: The functions' package.
        template: What to deploy.
        parameters: Values of the template's parameters; an existing stack keeps its other values.
        first_parameters: Defaults for a new stack, for parameters that are not given.
        stack_name: The stack's name.
        poll_seconds: The pause between two looks.

    Returns:
        The plan; None when there is nothing to change.

    Raises:
        OrderctlError: The parameters do not fit the template.
        StackError: The stack cannot be changed like this, or not now. One whose creation was
            rolled back must be deleted first.
    """
    template.check(parameters)
    with explain_errors(stack_name, "deployed"):
        client = session.client("cloudformation")
        existing = _changeable(client, stack_name)
        if existing is None:
            parameters = {**(first_parameters or {}), **parameters}
        else:
            _check_tokens(parameters, existing)
            _check_index_keys(parameters, existing)
        bucket = artifacts.ensure_bucket(session)
        code = artifacts.upload(session, bucket, stack_name, artifact)
        arguments = {
            "Parameters": _parameters(template, {**parameters, **code}, existing),
            "Tags": _tags(stack_name, existing),
            **artifacts.template_arguments(session, bucket, stack_name, template.body),
        }
        kind: Literal["UPDATE", "CREATE"] = "UPDATE" if existing else "CREATE"
        described = change_sets.create(client, stack_name, kind, arguments, poll_seconds)
        plan = Plan(client, stack_name, described, existing, poll_seconds)
        if described["Status"] != "FAILED":
            return plan
        said = described.get("StatusReason", "")
        is_needless = any(phrase in said for phrase in _NOTHING_TO_CHANGE)
        reason = "" if is_needless else change_sets.failure_reason(client, described)
        plan.discard()
        if is_needless:
            return None
        raise StackError(f"Stack {stack_name} cannot be changed like this: {reason}")


def deploy(
    session: boto3.Session,
    artifact: Artifact,
    *,
    template: Template,
    parameters: Mapping[str, str],
    first_parameters: Mapping[str, str] | None = None,
    stack_name: str = DEFAULT_NAME,
    observer: Observer | None = None,
    poll_seconds: float = 2.0,
    name_held: timedelta = NAME_HELD,
) -> Deployment:
    """Create or update a stack without asking, and wait until that is done.

    A stack whose creation was rolled back is deleted first. The arguments and errors are those of
    `prepare`; `observer` gets the events.
    """
    if is_rolled_back(session, stack_name):
        clear_away(session, stack_name, poll_seconds)
    free_at = queue_names_free_at(session, stack_name, name_held)
    plan = prepare(
        session,
        artifact,
        template=template,
        parameters=parameters,
        first_parameters=first_parameters,
        stack_name=stack_name,
        poll_seconds=poll_seconds,
    )
    if plan is None:
        client = session.client("cloudformation")
        return Deployment(changed=False, outputs=outputs_of(client, stack_name))
    time.sleep(plan.seconds_until(free_at))
    return plan.execute(observer or _NullObserver())


def is_rolled_back(session: boto3.Session, stack_name: str) -> bool:
    """Whether the stack's creation failed and was rolled back, so that it must be deleted first.

    Raises:
        StackError: A call to AWS failed.
    """
    with explain_errors(stack_name, "read"):
        stack = describe(session.client("cloudformation"), stack_name)
    return stack is not None and stack["StackStatus"] == _ROLLED_BACK


def queue_names_free_at(
    session: boto3.Session, stack_name: str, name_held: timedelta = NAME_HELD
) -> datetime | None:
    """When SQS takes the names of queues again that were deleted with, or in, this stack.

    It refuses a deleted queue's name for 60 seconds (QueueDeletedRecently, CreateQueue, SQS API
    reference). Call this before a new stack takes the place of the deleted one.

    Args:
        session: the account and region.
        stack_name: the stack's name.
        name_held: how long a name is refused.

    Returns:
        None when no queue was deleted in that time.

    Raises:
        StackError: A call to AWS failed.
    """
    with explain_errors(stack_name, "read"):
        client = session.client("cloudformation")
        pages = client.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
        deleted = [
            (stack["CreationTime"], stack["StackId"])
            for page in pages
            for stack in page["StackSummaries"]
            if stack["StackName"] == stack_name
        ]
        stacks = [max(deleted)[1]] if deleted else []
        if describe(client, stack_name):
            stacks.append(stack_name)
        moments = [
            moment for stack in stacks if (moment := _queue_deleted_at(client, stack, name_held))
        ]
    return max(moments) + name_held if moments else None


def _queue_deleted_at(
    client: CloudFormationClient, stack: str, name_held: timedelta
) -> datetime | None:
    """When the last queue of a stack was deleted; None if that was too long ago to matter."""
    since = datetime.now(UTC) - name_held
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
    for event in (event for page in pages for event in page["StackEvents"]):  # newest first
        if event["Timestamp"] < since:
            return None
        if (event.get("ResourceType"), event.get("ResourceStatus")) == (_QUEUE, "DELETE_COMPLETE"):
            return event["Timestamp"]
    return None


def clear_away(session: boto3.Session, stack_name: str, poll_seconds: float = 2.0) -> None:
    """Delete a stack with nothing in it, or whose creation was rolled back; wait until it is gone.

    Raises:
        StackError: It could not be deleted.
    """
    with explain_errors(stack_name, "deleted"):
        client = session.client("cloudformation")
        stack_id = client.describe_stacks(StackName=stack_name)["Stacks"][0]["StackId"]
        client.delete_stack(StackName=stack_name)
        client.get_waiter("stack_delete_complete").wait(
            StackName=stack_id, WaiterConfig={"Delay": max(1, round(poll_seconds))}
        )


def describe(client: CloudFormationClient, stack_name: str) -> StackTypeDef | None:
    """The stack; None when there is none of this name."""
    try:
        return client.describe_stacks(StackName=stack_name)["Stacks"][0]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def is_empty(stack: StackTypeDef) -> bool:
    """Whether the stack has no resources: only a change set was made for it."""
    return stack["StackStatus"] == _REVIEWED


def is_to_be_created(stack: StackTypeDef | None) -> bool:
    """Whether a deployment would create the stack rather than change it."""
    return stack is None or stack["StackStatus"] in (_ROLLED_BACK, _GONE, _REVIEWED)


def parameters_of(stack: StackTypeDef) -> dict[str, str]:
    """The values of a stack's parameters."""
    return {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])}


def outputs_of(client: CloudFormationClient, stack_name: str) -> dict[str, str]:
    """A stack's outputs; none when there is no such stack."""
    stack = describe(client, stack_name)
    outputs = stack.get("Outputs", []) if stack else []
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


@contextmanager
def explain_errors(stack_name: str, verb: str) -> Iterator[None]:
    """Turn a failed call into an error that says what could not be done to which stack."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise StackError(f"Stack {stack_name} could not be {verb}. {explain(error)}") from error


def _changeable(client: CloudFormationClient, stack_name: str) -> StackTypeDef | None:
    """The existing stack; None when it must be created.

    Raises:
        StackError: It is in a state in which it cannot be changed.
    """
    stack = describe(client, stack_name)
    if stack is None or stack["StackStatus"] in (_REVIEWED, _GONE):
        return None
    if problem := _problem(stack_name, stack["StackStatus"]):
        raise StackError(problem)
    return stack


def _check_tokens(parameters: Mapping[str, str], existing: StackTypeDef) -> None:
    """Refuse a change of the token settings that would not reach the API's stage.

    The stage serves a snapshot of methods and authorizers, its deployment. A new one is made when
    ApiAuthorization changes, but not when only a parameter of the authorizer does.

    Raises:
        StackError: The change would not reach the stage.
    """
    now = parameters_of(existing)
    changed = [
        name for name in _OF_TOKENS if name in now and parameters.get(name, now[name]) != now[name]
    ]
    stays = now.get("ApiAuthorization") == parameters.get("ApiAuthorization", _JWT) == _JWT
    if changed and stays:
        raise StackError(
            f"{' and '.join(changed)} cannot be changed while customers call the API: its stage "
            "would keep the old value. Deploy with --param ApiAuthorization=AWS_IAM first, then "
            "with --param ApiAuthorization=JWT and the new value. Until then it takes no tokens."
        )


def _check_index_keys(parameters: Mapping[str, str], existing: StackTypeDef) -> None:
    """Refuse fewer keys for the index of unfinished orders than the stack has.

    Raises:
        StackError: The caretaker would no longer find the orders under the other keys.
    """
    now = parameters_of(existing).get(_INDEX_KEYS)
    given = parameters.get(_INDEX_KEYS, now)
    if now and given and int(given) < int(now):
        raise StackError(
            f"{_INDEX_KEYS} can only be raised: it is {now}, and the caretaker would not find the "
            f"unfinished orders under the keys from {given} on. Leave it at {now} or more."
        )


def _problem(stack_name: str, status: str) -> str | None:
    """Why a stack in this state cannot be changed, and what to do about it."""
    if status.endswith("_IN_PROGRESS"):
        return (
            f"Stack {stack_name} is being changed already ({status}). "
            "Wait until that is done, then try again."
        )
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            f"Stack {stack_name} is stuck in {status}: its last update failed, and so did the "
            "rollback. Fix the cause (see the stack's events), then:\n"
            f"  aws cloudformation continue-update-rollback --stack-name {stack_name}"
        )
    if status in ("CREATE_FAILED", _ROLLED_BACK, "ROLLBACK_FAILED", "DELETE_FAILED"):
        return (
            f"Stack {stack_name} is in {status} and cannot be updated. See the stack's events "
            f"for the cause, then: {paths.orderctl()} destroy --stack {stack_name}"
        )
    return None


def _parameters(
    template: Template, values: Mapping[str, str], existing: StackTypeDef | None
) -> list[ParameterTypeDef]:
    """The given values, and the existing stack's values for the other parameters."""
    before = _values(existing, template) if existing else {}
    given: list[ParameterTypeDef] = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in values.items()
        if name in template.parameters
    ]
    kept: list[ParameterTypeDef] = [
        {"ParameterKey": name, "UsePreviousValue": True} for name in before if name not in values
    ]
    return given + kept


def _tags(stack_name: str, existing: StackTypeDef | None) -> list[TagTypeDef]:
    """The stack's tags, with the one that marks what belongs to it.

    CloudFormation puts them on every resource that takes tags; delivery/github-role.yaml has
    conditions on this tag.
    """
    before = existing.get("Tags", []) if existing else []
    kept = [tag for tag in before if tag["Key"] != _STACK_TAG]
    return [*kept, {"Key": _STACK_TAG, "Value": stack_name}]


def _values(stack: StackTypeDef, template: Template) -> dict[str, str]:
    """The stack's values of the parameters that the template still has, without the code's."""
    return {
        p["ParameterKey"]: p["ParameterValue"]
        for p in stack.get("Parameters", [])
        if p["ParameterKey"] in template.parameters and p["ParameterKey"] not in SETTINGS_OF_CODE
    }


def _parameter_changes(
    described: DescribeChangeSetOutputTypeDef, existing: StackTypeDef | None
) -> list[ParameterChange]:
    if existing is None:
        return []
    before = parameters_of(existing)
    now = {p["ParameterKey"]: p["ParameterValue"] for p in described.get("Parameters", [])}
    return [
        ParameterChange(name, before.get(name), value)
        for name, value in now.items()
        if before.get(name) != value and name not in SETTINGS_OF_CODE
    ]


def _change(change: ResourceChangeTypeDef) -> Change:
    actions = {"Add": "add", "Import": "import", "Remove": "remove"}
    replacement = change.get("Replacement", "False")
    action = actions.get(change["Action"]) or ("change" if replacement == "False" else "replace")
    targets = [detail.get("Target", {}) for detail in change.get("Details", [])]
    names = (str(target.get("Name") or target.get("Attribute", "")) for target in targets)
    return Change(
        cast(Action, action),
        change["LogicalResourceId"],
        change["ResourceType"],
        tuple(dict.fromkeys(filter(None, names))),
        perhaps=replacement == "Conditional",
    )
