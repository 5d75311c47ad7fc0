"""SQS's StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask: the redrive.

MiniStack 1.5.33 does not know these operations.

AWS (their pages in the SQS API reference; "Configuring a dead-letter queue redrive", SQS
developer guide) moves the messages of a dead-letter queue to their own source queues, or to a
given one, as new messages with the same body, attributes, group and deduplication id; at most
MaxNumberOfMessagesPerSecond, one task per dead-letter queue at a time.

The request goes to MiniStack first: it checks the caller's policies, and answers InvalidAction
only to a caller who may make the call. Then the task runs on the event
loop, which alone touches queues (see queues.py): a message leaves one queue in the same step as
it enters the other, so that none can be lost or be in both. The operations exist in the JSON
protocol only; the AWS CLI has had them since it speaks that one.
"""

import asyncio
import base64
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_actions
from ministack.services import sqs

from orderctl.localcloud import front_door, seams
from orderctl.localcloud.asgi import (
    App,
    Receive,
    Response,
    Scope,
    Send,
    call,
    header,
    json_response,
    read_body,
)
from orderctl.localcloud.gaps.sqs import queues

_PROTOCOL = "application/x-amz-json-1.0"
_DEFAULT_RATE = 500
_MAX_LISTED = 10
_STEPS_PER_SECOND = 10


class _RefusedError(Exception):
    """An error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class _Task:
    """One redrive."""

    source_arn: str
    destination_arn: str | None
    rate: int | None
    to_move: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.time)
    status: str = "RUNNING"
    moved: int = 0
    failure: str | None = None
    running: asyncio.Task[None] | None = None

    @property
    def handle(self) -> str:
        """What a caller names the task by."""
        content = json.dumps({"taskId": self.id, "sourceArn": self.source_arn})
        return base64.b64encode(content.encode()).decode()

    def described(self) -> dict[str, Any]:
        """The task as ListMessageMoveTasks shows it."""
        shown = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source_arn,
            "DestinationArn": self.destination_arn,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self.failure,
            "StartedTimestamp": int(self.started * 1000),
        }
        return {name: value for name, value in shown.items() if value is not None}


# The tasks of every dead-letter queue, newest first.
_tasks: dict[str, list[_Task]] = {}


def install() -> None:
    """Let MiniStack find the queue that a caller must have permission for."""
    find_arn = seams.original(iam_actions, "extract_resource_arn")

    # MiniStack reads a queue's URL or name, and these operations have neither.
    def find_arn_of_move(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        *context: object,
    ) -> object:
        if service == "sqs" and _operation(headers.get("x-amz-target", "")):
            with contextlib.suppress(_RefusedError):
                return _named_source(_parsed(body))
        return find_arn(service, method, path, headers, body, *context)

    seams.replace(iam_actions, "extract_resource_arn", find_arn_of_move)


def supplement(app: App) -> App:
    """Answer the three operations in front of `app`."""

    async def with_message_moves(scope: Scope, receive: Receive, send: Send) -> None:
        operation = _operation(header(scope, b"x-amz-target")) if scope["type"] == "http" else None
        if operation is None or front_door.is_public(scope):
            await app(scope, receive, send)
            return
        body = await read_body(receive)
        response = await call(app, scope, body)
        if (b"x-amzn-errortype", b"InvalidAction") in response.headers:
            response = _answer(operation, body)
        await response.send(send)

    return with_message_moves


def _answer(operation: Callable[[dict[str, Any]], dict[str, Any]], body: bytes) -> Response:
    try:
        return json_response(200, operation(_parsed(body)), _PROTOCOL)
    except _RefusedError as refused:
        return json_response(
            400,
            {"__type": f"com.amazonaws.sqs#{refused.code}", "message": refused.message},
            _PROTOCOL,
            x_amzn_query_error=f"{refused.code};Sender",
        )


def _start(request: dict[str, Any]) -> dict[str, Any]:
    source_arn = _required(request, "SourceArn")
    source = _queue(source_arn, "SourceArn")
    if not any(_dead_letter_arn(queue) == source_arn for queue in _all_queues()):
        raise _RefusedError(
            "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."
        )
    destination_arn = request.get("DestinationArn")
    if destination_arn:
        _queue(destination_arn, "DestinationArn")
    rate = request.get("MaxNumberOfMessagesPerSecond")
    if rate is not None and not 1 <= rate <= _DEFAULT_RATE:
        raise _RefusedError(
            "InvalidParameterValue",
            f"Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be "
            f"between 1 and {_DEFAULT_RATE}.",
        )
    tasks = _tasks.setdefault(source_arn, [])
    if any(task.status == "RUNNING" for task in tasks):
        raise _RefusedError(
            "InvalidParameterValue",
            "There is already a task running. Only one active task is allowed for a source queue "
            "arn at a given time.",
        )
    task = _Task(source_arn, destination_arn, rate, len(_visible(source)))
    tasks.insert(0, task)
    del tasks[_MAX_LISTED:]
    task.running = asyncio.create_task(_run(task))
    return {"TaskHandle": task.handle}


def _list(request: dict[str, Any]) -> dict[str, Any]:
    source_arn = _required(request, "SourceArn")
    _queue(source_arn, "SourceArn")
    limit = request.get("MaxResults", 1)
    if not 1 <= limit <= _MAX_LISTED:
        raise _RefusedError(
            "InvalidParameterValue",
            "Value for parameter MaxResults is invalid. Reason: Must be between 1 and "
            f"{_MAX_LISTED}.",
        )
    return {"Results": [task.described() for task in _tasks.get(source_arn, [])[:limit]]}


def _cancel(request: dict[str, Any]) -> dict[str, Any]:
    handle = _required(request, "TaskHandle")
    for task in _tasks.get(_named_source(request), []):
        if task.handle == handle and task.status == "RUNNING":
            task.status = "CANCELLED"
            return {"ApproximateNumberOfMessagesMoved": task.moved}
    raise _RefusedError("ResourceNotFoundException", "There is no such running task.")


_OPERATIONS = {
    "AmazonSQS.StartMessageMoveTask": _start,
    "AmazonSQS.ListMessageMoveTasks": _list,
    "AmazonSQS.CancelMessageMoveTask": _cancel,
}


def _operation(target: str) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    return _OPERATIONS.get(target)


async def _run(task: _Task) -> None:
    """Move the messages that were there when the task started."""
    rate = task.rate or _DEFAULT_RATE
    step = max(rate // _STEPS_PER_SECOND, 1)
    while task.status == "RUNNING":
        try:
            moved = _move(task, min(step, task.to_move - task.moved))
        except _RefusedError as failure:
            task.status = "FAILED"
            task.failure = failure.code
            return
        if moved == 0 or task.moved == task.to_move:
            task.status = "COMPLETED"
            return
        await asyncio.sleep(moved / rate)


def _move(task: _Task, limit: int) -> int:
    """Move up to `limit` messages, and say how many."""
    source = _queue(task.source_arn, "SourceArn")
    moving = _visible(source)[:limit]
    for message in moving:
        destination_arn = task.destination_arn or message["sys"].get("DeadLetterQueueSourceArn")
        if not destination_arn:
            raise _RefusedError("CouldNotDetermineMessageSource", "It came from no queue.")
        destination = _queue(destination_arn, "DestinationArn")
        kept = {"SenderId", "AWSTraceHeader"} & message["sys"].keys()
        queues.put(
            destination,
            message["body"],
            attributes=message["message_attributes"],
            system_attributes={name: message["sys"][name] for name in kept},
            group_id=message["group_id"],
            deduplication_id=message["dedup_id"],
        )
        source["messages"].remove(message)
        task.moved += 1
    return len(moving)


def _visible(queue: dict[str, Any]) -> list[dict[str, Any]]:
    now = time.time()
    return [message for message in queue["messages"] if message["visible_at"] <= now]


def _all_queues() -> Iterable[dict[str, Any]]:
    return (queue for _, queue in sqs._queues.all_items())


def _dead_letter_arn(queue: dict[str, Any]) -> str | None:
    policy = json.loads(queue["attributes"].get("RedrivePolicy") or "{}")
    arn: str | None = policy.get("deadLetterTargetArn")
    return arn


def _queue(arn: str, parameter: str) -> dict[str, Any]:
    queue: dict[str, Any] | None = sqs._queue_by_arn(arn)
    if queue is None:
        raise _RefusedError(
            "ResourceNotFoundException",
            f"The resource that you specified for the {parameter} parameter doesn't exist.",
        )
    return queue


def _required(request: dict[str, Any], parameter: str) -> str:
    value = request.get(parameter)
    if not isinstance(value, str) or not value:
        raise _RefusedError(
            "MissingParameter", f"The request must contain the parameter {parameter}."
        )
    return value


def _named_source(request: dict[str, Any]) -> str:
    """The dead-letter queue of a request: in it, or in its task handle."""
    if "TaskHandle" not in request:
        return _required(request, "SourceArn")
    try:
        return str(json.loads(base64.b64decode(request["TaskHandle"]))["sourceArn"])
    except (ValueError, TypeError, KeyError):
        raise _RefusedError(
            "InvalidParameterValue", "Value for parameter TaskHandle is invalid."
        ) from None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise _RefusedError("InvalidParameterValue", "The request is not a JSON object.")
    return request
