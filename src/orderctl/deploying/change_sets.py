"""Creates and executes change sets."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from orderctl.deploying.errors import StackError
from orderctl.deploying.events import Observer, StackEvent, failure, follow
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import DescribeChangeSetOutputTypeDef

_DEPLOYED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


def create(
    client: CloudFormationClient,
    stack_name: str,
    kind: Literal["CREATE", "UPDATE", "IMPORT"],
    arguments: Mapping[str, Any],
    poll_seconds: float,
) -> DescribeChangeSetOutputTypeDef:
    """Create a change set and wait until it is ready, or has failed.

    Args:
        client: A CloudFormation client.
        stack_name: The stack's name.
        kind: What it does to the stack.
        arguments: The other arguments of CreateChangeSet.
        poll_seconds: The pause between two looks.

    Returns:
        The change set, with all its changes.
    """
    name = f"orderctl-{uuid.uuid4().hex}"
    client.create_change_set(
        StackName=stack_name,
        ChangeSetName=name,
        ChangeSetType=kind,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        **arguments,
    )
    paginator = client.get_paginator("describe_change_set")
    first, *others = wait_until(
        lambda: list(paginator.paginate(StackName=stack_name, ChangeSetName=name)),
        poll_seconds=poll_seconds,
        enough=lambda pages: pages[0]["Status"] in ("CREATE_COMPLETE", "FAILED"),
    )
    for page in others:
        first["Changes"].extend(page["Changes"])
    return first


def failure_reason(client: CloudFormationClient, change_set: DescribeChangeSetOutputTypeDef) -> str:
    """Why a change set failed: the causes in its events, or its own reason.

    Only the events say what failed early validation, and they are deleted with the change set
    ("Validate stack deployments", CloudFormation user guide), so call this before deleting it.
    """
    reason = change_set.get("StatusReason", "no reason given")
    pages = client.get_paginator("describe_events").paginate(
        ChangeSetName=change_set["ChangeSetId"], Filters={"FailedEvents": True}
    )
    try:
        events = [event for page in pages for event in page["OperationEvents"]]
    except client.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        return f"{reason}\n  The details could not be read ({code} for DescribeEvents)."
    causes = [
        f"\n  {event.get('LogicalResourceId', '')} ({event.get('ResourceType', '')}): {cause}"
        for event in events
        if (cause := event.get("ValidationStatusReason") or event.get("HookStatusReason"))
        and "WARN" not in (event.get("ValidationFailureMode"), event.get("HookFailureMode"))
    ]
    return "".join(dict.fromkeys(causes)) or reason


def execute(
    client: CloudFormationClient,
    change_set: DescribeChangeSetOutputTypeDef,
    observer: Observer,
    poll_seconds: float,
) -> None:
    """Execute a change set, and report events until the stack has settled.

    Args:
        client: A CloudFormation client.
        change_set: The change set; its name becomes the token of its events.
        observer: Gets the events of the resources that change.
        poll_seconds: The pause between two looks.

    Raises:
        StackError: It failed; the message names the first cause.
    """
    stack_name, name = change_set["StackName"], change_set["ChangeSetName"]
    changing = {change["ResourceChange"]["LogicalResourceId"] for change in change_set["Changes"]}
    observer.planned(len(changing))
    client.execute_change_set(StackName=stack_name, ChangeSetName=name, ClientRequestToken=name)
    events: list[StackEvent] = []
    for event in follow(client, stack_name, change_set["StackId"], name, poll_seconds):
        events.append(event)
        if event.logical_id in changing or event.is_of_stack:
            observer.happened(event)
    if events[-1].status not in _DEPLOYED:
        raise StackError(failure(stack_name, events))
