"""AWS in this process: the functions' real clients, answered by the local cloud without a socket.

The requests are written, signed, answered, tried again and read as ever; only the wire is missing.
So conditions, transactions and visibility timeouts are evaluated by MiniStack and never by code of
ours.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

from orders.aws import clients
from orders.aws.bus import Bus
from orders.aws.wire.client import Client
from orders.aws.wire.connection import Answer, NoAnswerError, Request
from simulation.template import tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

Values = dict[str, Any]
Answered = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, str], bytes], Answered]
"""A service: headers and body in, status, headers and body out."""

EVERY = ""
"""Stands for every operation."""


class Refused(Exception):  # noqa: N818 - an answer, not an error of a test
    """A service refuses a call."""

    def __init__(self, code: str, status: int = 400, **members: Any) -> None:  # noqa: ANN401
        super().__init__(code)
        self.code = code
        self.status = status
        self.members = members


class Lost(Exception):  # noqa: N818
    """No answer comes."""


class Line:
    """What is between a client and its service: a test can listen, and disturb it."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._before: dict[str, list[Callable[[Values], None]]] = defaultdict(list)
        self._after: dict[str, list[Callable[[Values], None]]] = defaultdict(list)
        self.calls: list[str] = []
        """The operations that were called, tries of the client included."""

    def before(self, operation: str, look: Callable[[Values], None]) -> None:
        """Have something done with the arguments of each try before the service gets it.

        It may raise Refused or Lost; then the service does not get it.

        Args:
            operation: its name, or EVERY.
            look: is called with the arguments.
        """
        self._before[operation].append(look)

    def after(self, operation: str, change: Callable[[Values], None]) -> None:
        """Have each answer changed in place; Refused or Lost may be raised instead."""
        self._after[operation].append(change)

    def forget(self, operation: str) -> None:
        """Do nothing more about an operation."""
        self._before.pop(operation, None)
        self._after.pop(operation, None)

    def ask(self, headers: dict[str, str], body: bytes) -> Answered:
        """Have a request answered.

        Raises:
            Lost: no answer comes.
        """
        arguments = _arguments(headers, body)
        operation = arguments.pop("Action", "") or headers["x-amz-target"].partition(".")[2]
        self.calls.append(operation)
        try:
            for look in [*self._before[operation], *self._before[EVERY]]:
                look(arguments)
            status, answered, content = self._handle(headers, body)
            changes = [*self._after[operation], *self._after[EVERY]]
            if changes and status < 300:
                answer = json.loads(content)
                for change in changes:
                    change(answer)
                content = json.dumps(answer).encode()
                answered = {}  # the checksum is another one
        except Refused as refused:
            return _refusal(refused, is_json="x-amz-target" in headers)
        return status, answered, content


def _arguments(headers: Mapping[str, str], body: bytes) -> Values:
    if "x-amz-target" in headers:
        values: Values = json.loads(body)
        return values
    return dict(parse_qsl(body.decode()))


def _refusal(refused: Refused, *, is_json: bool) -> Answered:
    if is_json:
        body = json.dumps({"__type": refused.code, "message": "", **refused.members})
    else:
        error = f"<Error><Type>Sender</Type><Code>{refused.code}</Code><Message/></Error>"
        body = f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"
    return refused.status, {}, body.encode()


_lines: WeakKeyDictionary[Any, Line] = WeakKeyDictionary()


def line(client: Any) -> Line:  # noqa: ANN401 - any client
    """What is between a client of `connect` and its service."""
    return _lines[client]


_MODULES = {
    "dynamodb": "dynamodb",
    "events": "eventbridge",
    "logs": "cloudwatch_logs",
    "sqs": "sqs",
}
"""The local cloud's name for a service."""


def _module(service: str) -> Any:  # noqa: ANN401 - MiniStack has no types
    return importlib.import_module(f"ministack.services.{_MODULES[service]}")


def connect(service: str, handle: Handle | None = None) -> Any:  # noqa: ANN401 - any client
    """A client of the kind that functions have, answered in this process.

    Args:
        service: by the SDK's name.
        handle: what answers; the local cloud's service unless it is given.
    """
    handle = handle or _ministack(service)
    made = clients.make(service)
    _lines[made] = Line(handle)
    if isinstance(made, Client):
        made.transport = _Transport(_lines[made])
    else:
        _answer_botocore(made.botocore, _lines[made])
    return made


class _Transport:
    """Stands for the lean client's connection."""

    def __init__(self, answering: Line) -> None:
        self._line = answering

    def exchange(self, request: Request) -> Answer:
        try:
            status, headers, body = self._line.ask(dict(request.headers), request.body)
        except Lost:
            raise NoAnswerError("ReadTimeoutError") from None
        return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def _answer_botocore(client: Any, answering: Line) -> None:  # noqa: ANN401 - any boto3 client
    def answer(request: Any, **_: object) -> Any:  # noqa: ANN401 - botocore's types lie
        headers = {
            name.lower(): str(value, "ascii") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            status, answered, content = answering.ask(headers, body)
        except Lost:
            raise ReadTimeoutError(endpoint_url=request.url) from None
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(answered), _Body(content))

    client.meta.events.register(f"before-send.{client.meta.service_model.endpoint_prefix}", answer)


def _ministack(service: str) -> Handle:
    """One of the local cloud's services."""
    module = _module(service)

    def handle(headers: dict[str, str], body: bytes) -> Answered:
        answer: Any = asyncio.run(module.handle_request("POST", "/", headers, body, {}))
        status, answered, content = answer
        return status, answered, content if isinstance(content, bytes) else content.encode()

    return handle


def dynamodb() -> DynamoDBClient:
    """A DynamoDB with the pipeline's tables, empty."""
    _module("dynamodb").reset()
    client: DynamoDBClient = connect("dynamodb")
    for declared in tables():
        client.create_table(**declared)
    return client


def boto3_dynamodb() -> DynamoDBClient:
    """The same for orderctl, whose clients are boto3's."""
    dynamodb()
    client = boto3.client("dynamodb")
    _lines[client] = Line(_ministack("dynamodb"))
    _answer_botocore(client, _lines[client])
    return client


_PARTS = {
    "PutEvents": ("Entries", "Entries"),
    "BatchExecuteStatement": ("Statements", "Responses"),
}
"""By operation, what a call is made of, and what an answer is made of."""


def refuse(
    client: Any,  # noqa: ANN401 - any client
    operation: str,
    text: str,
    answer: dict[str, Any],
    times: int = 1_000_000,
) -> list[int]:
    """Have an operation answer 200 and refuse each part with a text in it, though it took effect.

    Args:
        client: the client whose calls are meant.
        operation: one of those that refuse single parts.
        text: in the parts that are refused.
        answer: what stands in the answer for such a part.
        times: how many calls are answered so.

    Returns:
        Of how many parts each call was made, filled as they are made.
    """
    asked, answered = _PARTS[operation]
    sizes: list[int] = []
    refused: list[int] = []

    def look(arguments: Values) -> None:
        parts = arguments[asked] if len(sizes) < times else []
        refused[:] = [number for number, part in enumerate(parts) if text in str(part)]
        sizes.append(len(arguments[asked]))

    def change(answered_values: Values) -> None:
        for number in refused:
            answered_values[answered][number] = answer
        if operation == "PutEvents":
            answered_values["FailedEntryCount"] += len(refused)

    line(client).before(operation, look)
    line(client).after(operation, change)
    return sizes


class TappedBus:
    """An event bus, and a queue that gets every event on it."""

    def __init__(self) -> None:
        """Make the bus, the queue, and a rule between them."""
        _module("events").reset()
        self._sqs = sqs()
        self._queue = self._sqs.create_queue(QueueName="tap")["QueueUrl"]
        self.client: EventBridgeClient = connect("events")
        self.bus = Bus(self.client, "order-events")
        self.client.create_event_bus(Name="order-events")
        pattern = json.dumps({"source": [{"prefix": "com.myapp."}]})
        self.client.put_rule(Name="tap", EventBusName="order-events", EventPattern=pattern)
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        self.client.put_targets(
            Rule="tap",
            EventBusName="order-events",
            Targets=[{"Id": "tap", "Arn": arn["Attributes"]["QueueArn"]}],
        )

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """The detail-types and details published since the last time, oldest first.

        The details are without the time.
        """
        published = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                event["detail"].pop("at", None)
                published.append((event["detail-type"], event["detail"]))
        return published


def sqs() -> SQSClient:
    """An SQS without queues."""
    _module("sqs").reset()
    client: SQSClient = connect("sqs")
    return client


def logs() -> CloudWatchLogsClient:
    """A CloudWatch Logs without log groups."""
    _module("logs").reset()
    client: CloudWatchLogsClient = connect("logs")
    return client


def sns() -> SNSClient:
    """An SNS that answers each Publish as its documentation says, and no more."""
    result = "<MessageId>1</MessageId><SequenceNumber>1</SequenceNumber>"
    answer = (
        '<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/">'
        f"<PublishResult>{result}</PublishResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PublishResponse>"
    )
    client: SNSClient = connect("sns", lambda _headers, _body: (200, {}, answer.encode()))
    return client
