"""AWS in this process: real botocore clients, answered by the local cloud without a socket.

The requests are serialized, answered and parsed as ever; only the wire is missing. So conditions,
transactions and visibility timeouts are evaluated by MiniStack and never by code of ours.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse

from orderctl.deploying import Template
from orders.aws.bus import Bus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

_OF_A_TABLE = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
"""What the template says of a table that matters to those who read and write it."""


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def connect(client: Any, service: str) -> None:  # noqa: ANN401 - any boto3 client
    """Have the local cloud's ``service`` answer this client, in this process."""
    module = importlib.import_module(f"ministack.services.{service}")

    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's types lie
        headers = {
            name.lower(): str(value, "ascii") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        body = request.body.encode() if isinstance(request.body, str) else request.body
        status, answered, content = asyncio.run(
            module.handle_request("POST", "/", headers, body, {})
        )
        return AWSResponse(request.url, status, answered, _Body(content))

    client.meta.events.register(f"before-send.{client.meta.service_model.endpoint_prefix}", answer)


@cache
def tables() -> list[dict[str, Any]]:
    """What the template's tables are made with."""
    return [
        {
            "TableName": properties["TableName"]["Fn::Sub"].removeprefix("${NamePrefix}"),
            **{name: properties[name] for name in _OF_A_TABLE if name in properties},
        }
        for resource in Template.load().resources().values()
        if resource["Type"] == "AWS::DynamoDB::Table"
        for properties in [resource["Properties"]]
    ]


def dynamodb() -> DynamoDBClient:
    """A DynamoDB with the pipeline's tables, empty."""
    importlib.import_module("ministack.services.dynamodb").reset()
    client = boto3.client("dynamodb")
    connect(client, "dynamodb")
    for declared in tables():
        client.create_table(**declared)
    return client


_PARTS = {
    "PutEvents": ("Entries", "Entries"),
    "BatchExecuteStatement": ("Statements", "Responses"),
}
"""By operation, what a call is made of, and what an answer is made of."""


def refuse(
    client: Any,  # noqa: ANN401 - any boto3 client
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

    def look(params: dict[str, Any], **_: object) -> None:
        parts = params[asked] if len(sizes) < times else []
        refused[:] = [number for number, part in enumerate(parts) if text in str(part)]
        sizes.append(len(params[asked]))

    def change(parsed: dict[str, Any], **_: object) -> None:
        for number in refused:
            parsed[answered][number] = answer
        if operation == "PutEvents":
            parsed["FailedEntryCount"] += len(refused)

    service = client.meta.service_model.service_name
    client.meta.events.register(f"before-parameter-build.{service}.{operation}", look)
    client.meta.events.register(f"after-call.{service}.{operation}", change)
    return sizes


class TappedBus:
    """An event bus, and a queue that gets every event on it."""

    def __init__(self) -> None:
        """Make the bus, the queue, and a rule between them."""
        importlib.import_module("ministack.services.eventbridge").reset()
        self._sqs = sqs()
        self._queue = self._sqs.create_queue(QueueName="tap")["QueueUrl"]
        self.client: EventBridgeClient = boto3.client("events")
        connect(self.client, "eventbridge")
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
        """The detail-types and details published since the last time, oldest first."""
        published = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                published.append((event["detail-type"], event["detail"]))
        return published


def sqs() -> SQSClient:
    """An SQS without queues."""
    importlib.import_module("ministack.services.sqs").reset()
    client = boto3.client("sqs")
    connect(client, "sqs")
    return client
