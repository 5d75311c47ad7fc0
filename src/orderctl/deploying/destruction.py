"""Deletes a stack, and says beforehand what is deleted and what stays."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from orderctl.deploying.artifacts import bucket_name
from orderctl.deploying.deployment import clear_away, describe, is_empty
from orderctl.deploying.errors import StackError, explain
from orderctl.deploying.events import Observer, StackEvent, failure, follow
from orderctl.deploying.template import parse

if TYPE_CHECKING:
    import boto3

_RETAINED = ("Retain", "RetainExceptOnCreate")
_TABLE = "AWS::DynamoDB::Table"
# An archive has a managed rule on its bus, which AWS removes some time after the archive. Until
# then it refuses to delete the bus: "EventBus can't be deleted since it has rules."
_PASSES = "has rules"
_TRIES = 12
_POLLS_BETWEEN_TRIES = 5


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the stack."""

    logical_id: str
    physical_id: str
    resource_type: str

    @property
    def is_table(self) -> bool:
        """Whether it is a DynamoDB table."""
        return self.resource_type == _TABLE


class Destruction:
    """The deletion of a stack: what it would delete, and its execution."""

    def __init__(self, session: boto3.Session, stack_name: str, poll_seconds: float = 2.0) -> None:
        """Look at the stack; nothing is deleted yet.

        Raises:
            StackError: There is no such stack, or it is being changed.
        """
        self.stack_name = stack_name
        self._session = session
        self._client = session.client("cloudformation")
        self._poll = poll_seconds
        with self._explain_errors():
            stack = describe(self._client, stack_name)
            if stack is None:
                raise StackError(f"There is no stack {stack_name} in {session.region_name}.")
            self._is_empty = is_empty(stack)
            if stack["StackStatus"].endswith("_IN_PROGRESS") and not self._is_empty:
                raise StackError(
                    f"Stack {stack_name} is being changed ({stack['StackStatus']}). "
                    "Wait until that is done, then try again."
                )
            self._stack_id = stack["StackId"]
            kept = set() if self._is_empty else self._retained_ids()
            resources = [] if self._is_empty else list(self._resources())
        self.deleted = [r for r in resources if r.logical_id not in kept]
        self.retained = [r for r in resources if r.logical_id in kept]

    def artifact_bucket(self) -> str:
        """The artifact bucket, which stays: other stacks may have their code in it."""
        with self._explain_errors():
            account = self._session.client("sts").get_caller_identity()["Account"]
        return bucket_name(account, self._session.region_name)

    def execute(self, observer: Observer) -> None:
        """Delete the stack, and report events until it is gone.

        A deletion that is refused only for a while is tried again.

        Raises:
            StackError: Something could not be deleted; the message names the first cause.
        """
        observer.planned(len(self.deleted))
        if self._is_empty:
            clear_away(self._session, self.stack_name, self._poll)
            return
        with self._explain_errors():
            events = self._delete(observer)
            for _ in range(_TRIES):
                if not _may_pass(events):
                    break
                time.sleep(self._poll * _POLLS_BETWEEN_TRIES)
                events = self._delete(observer)
            if events[-1].status != "DELETE_COMPLETE":
                raise StackError(failure(self.stack_name, events, "destroyed"))

    def _delete(self, observer: Observer) -> list[StackEvent]:
        """Try once to delete the stack; return the events of it, oldest first."""
        token = f"orderctl-{uuid.uuid4().hex}"
        self._client.delete_stack(StackName=self.stack_name, ClientRequestToken=token)
        events: list[StackEvent] = []
        for event in follow(self._client, self.stack_name, self._stack_id, token, self._poll):
            events.append(event)
            observer.happened(event)
        return events

    def delete_tables(self) -> None:
        """Delete the tables that the stack has left behind, protected ones too."""
        dynamodb = self._session.client("dynamodb")
        with self._explain_errors():
            for table in (resource for resource in self.retained if resource.is_table):
                dynamodb.update_table(TableName=table.physical_id, DeletionProtectionEnabled=False)
                dynamodb.get_waiter("table_exists").wait(TableName=table.physical_id)
                dynamodb.delete_table(TableName=table.physical_id)

    def _retained_ids(self) -> set[str]:
        """The logical ids of the resources that the template's deletion policies retain."""
        body = self._client.get_template(StackName=self.stack_name)["TemplateBody"]
        resources = parse(cast(str, body)).get("Resources", {})  # boto3 parses JSON, not YAML
        return {
            logical_id
            for logical_id, resource in resources.items()
            if resource.get("DeletionPolicy") in _RETAINED
        }

    def _resources(self) -> Iterator[Resource]:
        pages = self._client.get_paginator("list_stack_resources").paginate(
            StackName=self.stack_name
        )
        for page in pages:
            for summary in page["StackResourceSummaries"]:
                if summary["ResourceStatus"] != "DELETE_COMPLETE":
                    yield Resource(
                        summary["LogicalResourceId"],
                        summary.get("PhysicalResourceId", ""),
                        summary["ResourceType"],
                    )

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise StackError(
                f"Stack {self.stack_name} could not be destroyed. {explain(error)}"
            ) from error


def _may_pass(events: list[StackEvent]) -> bool:
    """Whether everything that failed was refused only for a while."""
    failed = [event for event in events if event.failed and not event.is_of_stack]
    return bool(failed) and all(_PASSES in event.reason for event in failed)
