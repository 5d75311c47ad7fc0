"""AWS clients, made once in a function's init phase and reused by every invocation.

``AWS_CLIENT`` says which: ``lean``, our own (`orders.aws.wire`), or ``sdk``, botocore's. They take
the same arguments and raise the same error.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

LEAN: Final = "lean"
SDK: Final = "sdk"
CLIENTS: Final = (LEAN, SDK)


def dynamodb() -> DynamoDBClient:
    """A DynamoDB client."""
    return cast("DynamoDBClient", make("dynamodb"))


def events() -> EventBridgeClient:
    """An EventBridge client."""
    return cast("EventBridgeClient", make("events"))


def sns() -> SNSClient:
    """An SNS client."""
    return cast("SNSClient", make("sns"))


@cache
def sqs() -> SQSClient:
    """The SQS client, made when it is first needed: after a failure."""
    return cast("SQSClient", make("sqs"))


@cache
def functions() -> LambdaClient:
    """The client of Lambda, made when it is first needed; it waits for the end of a function."""
    return cast("LambdaClient", make("lambda"))


@cache
def logs() -> CloudWatchLogsClient:
    """The client of CloudWatch Logs, made when it is first needed: after a failure."""
    return cast("CloudWatchLogsClient", make("logs"))


def make(service: str) -> Any:  # noqa: ANN401 - one of the types above
    """A client of a service, by the name that the SDK has for it.

    Raises:
        ValueError: ``AWS_CLIENT`` names no client.
    """
    kind = os.environ.get("AWS_CLIENT", LEAN)
    if kind == LEAN:
        from orders.aws.wire.client import Client  # noqa: PLC0415 - only what is used is loaded

        return Client(service)
    if kind == SDK:
        from orders.aws import sdk  # noqa: PLC0415 - it takes most of a cold start

        return sdk.Client(service)
    raise ValueError(f"AWS_CLIENT is {kind!r}, neither {LEAN} nor {SDK}")
