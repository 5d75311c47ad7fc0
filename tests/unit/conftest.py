from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from orders.aws.sqs import Retry
from support import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


@pytest.fixture
def dynamodb() -> DynamoDBClient:
    return aws.dynamodb()


@pytest.fixture
def retry() -> Retry:
    """Sets delays on a real queue; messages it never handed out are refused, which is logged."""
    sqs: SQSClient = boto3.client("sqs")
    aws.connect(sqs, "sqs")
    queue_url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    return Retry(sqs, queue_url, first_delay_seconds=5)


@pytest.fixture
def tap() -> aws.TappedBus:
    """The bus, and what was published on it."""
    return aws.TappedBus()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """The log lines so far, as CloudWatch would show them."""
    stream = io.StringIO()
    (handler,) = logging.getLogger("orders").handlers
    monkeypatch.setattr(handler, "stream", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
