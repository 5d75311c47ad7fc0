"""Follows the events of a change of a stack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_STACK_TYPE = "AWS::CloudFormation::Stack"


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
        """Whether it failed only because something else failed first."""
        return "cancelled" in self.reason.lower()


class Observer(Protocol):
    """Gets the progress of a change of a stack."""

    def planned(self, resources: int) -> None:
        """Called once, with how many resources will be created, changed or removed."""

    def happened(self, event: StackEvent) -> None:
        """Called for each event of these resources and of the stack."""


def follow(
    client: CloudFormationClient, stack: str, stack_id: str, token: str, poll_seconds: float
) -> Iterator[StackEvent]:
    """The events of one change as they come, up to the last one.

    Args:
        client: A CloudFormation client.
        stack: The stack's name.
        stack_id: The stack's id, by which a deleted stack can still be found.
        token: The ClientRequestToken of the change, which its events carry.
        poll_seconds: The pause between two looks.
    """
    seen: set[str] = set()
    while True:
        for event_id, event in _read_events(client, stack_id, token):
            if event_id in seen:
                continue
            seen.add(event_id)
            yield event
            if _ends(event, stack):
                return
        time.sleep(poll_seconds)


def _read_events(
    client: CloudFormationClient, stack_id: str, token: str
) -> list[tuple[str, StackEvent]]:
    """The change's events so far, oldest first, with their ids."""
    found: list[tuple[str, StackEvent]] = []
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for page in pages:
        ours = [e for e in page["StackEvents"] if e.get("ClientRequestToken") == token]
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


def _ends(event: StackEvent, stack: str) -> bool:
    """Whether the change of the stack ends with this event."""
    of_this_stack = event.is_of_stack and event.logical_id == stack
    return of_this_stack and not event.status.endswith("_IN_PROGRESS")


def failure(stack: str, events: list[StackEvent], verb: str = "deployed") -> str:
    """Say why a change failed: its first real cause, not the failures that it led to.

    Args:
        stack: The stack's name.
        events: What happened, oldest first.
        verb: What was to be done to the stack.
    """
    failed = [event for event in events if event.failed]
    causes = [event for event in failed if not event.is_consequence] or failed or events[-1:]
    cause = causes[0]
    message = (
        f"Stack {stack} could not be {verb}.\n"
        f"  {cause.logical_id} ({cause.resource_type}): {cause.reason or cause.status}"
    )
    others = sum(not event.is_of_stack for event in causes[1:])
    if others:
        message += f"\n  {others} more failed after it; see the stack's events."
    if events[-1].status.endswith("ROLLBACK_COMPLETE"):
        message += f"\n  It was rolled back ({events[-1].status}): nothing has changed."
    return message
