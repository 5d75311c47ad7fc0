from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from orders.aws import patience
from orders.aws.sqs import Retry
from orders.payments.tries import Tries
from support import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; nobody waits for them."""
    made: list[float] = []
    monkeypatch.setattr(patience, "sleep", made.append)
    return made


@pytest.fixture
def dynamodb() -> DynamoDBClient:
    return aws.dynamodb()


@pytest.fixture
def retry() -> Retry:
    """Sets delays on a real queue; messages it never handed out are refused, which is logged."""
    sqs: SQSClient = boto3.client("sqs")
    aws.connect(sqs, "sqs")
    queue_url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    return Retry(lambda: sqs, queue_url, first_delay_seconds=5)


@pytest.fixture
def tries() -> Tries:
    """Remembers the tries of the card processor, as by default."""
    return Tries(least=20, failed_share=0.8, pause=timedelta(minutes=1))


@pytest.fixture
def tap() -> aws.TappedBus:
    """The bus, and what was published on it."""
    return aws.TappedBus()


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Takes the log lines since the last time, without the metrics between them."""

    def take() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line for line in lines if "_aws" not in line]

    return take
