"""AWS clients, made once in a function's init phase and reused by every invocation.

They are botocore's own. `boto3.client` gives the very same ones, but importing boto3 also loads
what copies files to S3 and a second, object-oriented interface: a tenth of a cold start.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

AWS_ERRORS: Final = (ClientError, BotoCoreError)
"""What a call raises when AWS refuses it or cannot be reached."""

_CONFIG: Final = Config(
    # A call that hangs must not eat the function's whole timeout of 10 s: 2 tries of 1 s to connect
    # and 2 s for the answer, with a second between them, leave time to report what is done.
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    # The type checker and AWS check every call. Without it a large write takes 40 % less CPU.
    parameter_validation=False,
)

_SYNCHRONOUS: Final = _CONFIG.merge(
    # Who calls a function waits for its end, and does not call it again.
    Config(read_timeout=90, retries={"mode": "standard", "total_max_attempts": 1})
)

# One session for all clients, so that their shared data is loaded once.
_session: Final = botocore.session.get_session()


def dynamodb() -> DynamoDBClient:
    """A DynamoDB client."""
    return cast("DynamoDBClient", _client("dynamodb"))


def events() -> EventBridgeClient:
    """An EventBridge client."""
    return cast("EventBridgeClient", _client("events"))


def sns() -> SNSClient:
    """An SNS client."""
    return cast("SNSClient", _client("sns"))


@cache
def sqs() -> SQSClient:
    """The SQS client, made when it is first needed: after a failure."""
    return cast("SQSClient", _client("sqs"))


@cache
def functions() -> LambdaClient:
    """The client of Lambda, made when it is first needed; it waits for the end of a function."""
    return cast("LambdaClient", _client("lambda", _SYNCHRONOUS))


@cache
def logs() -> CloudWatchLogsClient:
    """The client of CloudWatch Logs, made when it is first needed: after a failure."""
    return cast("CloudWatchLogsClient", _client("logs"))


def error_code(error: Exception) -> str:
    """The error code that AWS answered, or what else went wrong.

    Of the SDK's errors only the code or the name: their texts may quote the request.
    """
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    if isinstance(error, BotoCoreError):
        return type(error).__name__
    return f"{type(error).__name__}: {error}"


def reason(error: Exception) -> str:
    """A short text that says what AWS answered, for a log line."""
    if isinstance(error, ClientError):
        return f"{error_code(error)} from {error.operation_name}"
    return error_code(error)


def _client(service: str, config: Config = _CONFIG) -> BaseClient:
    return _session.create_client(service, config=config)
