"""Early validation: a change set that would create a queue or table whose name is taken, fails.

MiniStack 1.5.33 validates when a stack is created or updated, and has no events of change sets.

CloudFormation validates when it makes a change set, which fails then and says only that
DescribeEvents has the cause: an event VALIDATION_ERROR for each resource, under the change set's
ARN ("Validate stack deployments", CloudFormation user guide). The events go with the change set.
"""

import re
from collections.abc import Callable, Container
from html import escape
from typing import Any

from ministack.services import cloudformation, dynamodb, sqs
from ministack.services.cloudformation import changesets, handlers, stacks

from orderctl.localcloud import seams

_REASON = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. To "
    "troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure "
    "information."
)
_ID = re.compile(rb"<Id>([^<]+)</Id>")
_EVENTS = "_operation_events"

_Params = dict[str, Any]
_Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Validate change sets, and answer DescribeEvents for them."""
    actions: Any = seams.original(handlers, "_ACTION_HANDLERS")
    create, describe = actions["CreateChangeSet"], actions["DescribeEvents"]

    def create_change_set(params: _Params) -> _Answer:
        answer: _Answer = create(params)
        if found := _ID.search(answer[2]):
            _validate(cloudformation._change_sets[found[1].decode()])
        return answer

    def describe_events(params: _Params) -> _Answer:
        change_set = cloudformation._change_sets.get(handlers._p(params, "ChangeSetName"))
        answer: _Answer
        if not change_set:
            answer = describe(params)
            return answer
        events = "".join(map(_member, change_set.get(_EVENTS, [])))
        result = f"<DescribeEventsResult><OperationEvents>{events}</OperationEvents>"
        answer = handlers._xml(200, "DescribeEventsResponse", f"{result}</DescribeEventsResult>")
        return answer

    actions |= {"CreateChangeSet": create_change_set, "DescribeEvents": describe_events}


def _validate(change_set: dict[str, Any]) -> None:
    """Let a change set fail that would create what is there already."""
    if change_set["ChangeSetType"] == "IMPORT" or change_set["Status"] == "FAILED":
        return
    resources = changesets._resolve_props_for_diff(
        change_set["_template"],
        change_set["_resolved_params"],
        change_set["StackName"],
        change_set["StackId"],
    )["Resources"]
    added = [
        change["ResourceChange"]["LogicalResourceId"]
        for change in change_set["Changes"]
        if change["ResourceChange"]["Action"] == "Add"
    ]
    events = [
        stacks._operation_event(
            change_set["StackId"],
            change_set["ChangeSetId"],
            "VALIDATION_ERROR",
            "CREATE_CHANGESET",
            LogicalResourceId=logical_id,
            ResourceType=resources[logical_id]["Type"],
            ValidationFailureMode="FAIL",
            ValidationName="NAME_CONFLICT_VALIDATION",
            ValidationStatus="FAILED",
            ValidationStatusReason=reason,
            ValidationPath=f"/Resources/{logical_id}",
        )
        for logical_id in added
        if logical_id in resources and (reason := _conflict(resources[logical_id]))
    ]
    if events:
        change_set |= {
            "Status": "FAILED",
            "ExecutionStatus": "UNAVAILABLE",
            "StatusReason": _REASON,
            _EVENTS: events,
        }


def _conflict(resource: dict[str, Any]) -> str | None:
    """What is said of a resource whose name is taken; None when it is free."""
    taken: dict[str, tuple[str, Callable[[], Container[str]]]] = {
        "AWS::SQS::Queue": ("QueueName", lambda: sqs._queue_name_to_url),
        "AWS::DynamoDB::Table": ("TableName", lambda: dynamodb._tables),
    }
    kind = resource["Type"]
    if kind not in taken:
        return None
    name_property, names = taken[kind]
    name = resource.get("Properties", {}).get(name_property)
    if not isinstance(name, str) or name not in names():
        return None
    return f"Resource of type '{kind}' with identifier '{name}' already exists."


def _member(event: dict[str, Any]) -> str:
    fields = (f"<{name}>{escape(str(value))}</{name}>" for name, value in event.items())
    return f"<member>{''.join(fields)}</member>"
