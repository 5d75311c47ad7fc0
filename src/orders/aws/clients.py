"""boto3 clients, made once in a function's init phase and reused by every invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

AWS_ERRORS: Final = (ClientError, BotoCoreError)
"""What a call raises when AWS refuses it or cannot be reached."""

# A call that hangs must not eat the function's whole timeout: 3 tries of 2 s stay below it.
_CONFIG: Final = Config(
    connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}
)


def dynamodb() -> DynamoDBClient:
    """A DynamoDB client."""
    return boto3.client("dynamodb", config=_CONFIG)


def events() -> EventBridgeClient:
    """An EventBridge client."""
    return boto3.client("events", config=_CONFIG)


def sns() -> SNSClient:
    """An SNS client."""
    return boto3.client("sns", config=_CONFIG)


def sqs() -> SQSClient:
    """An SQS client."""
    return boto3.client("sqs", config=_CONFIG)


def reason(error: Exception) -> str:
    """A short text that says what AWS answered, for a log line."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "Unknown")
        return f"{code} from {error.operation_name}"
    return f"{type(error).__name__}: {error}"
