from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orders.aws import patience
from orders.aws.clients import CLIENTS
from orders.aws.sqs import Retry
from orders.aws.wire import client as lean
from orders.payments.tries import Tries
from support import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; nobody waits for them, nor for those of clients."""
    made: list[float] = []
    monkeypatch.setattr(patience, "sleep", made.append)
    monkeypatch.setattr(lean, "sleep", lambda _seconds: None)
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda _self, _context: 0)
    return made


@pytest.fixture(
    params=[
        kind if kind == "lean" else pytest.param(kind, marks=pytest.mark.long) for kind in CLIENTS
    ]
)
def client_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which clients the functions have: every test that needs AWS runs with each."""
    kind: str = request.param
    monkeypatch.setenv("AWS_CLIENT", kind)
    return kind


@pytest.fixture
def dynamodb(client_kind: str) -> DynamoDBClient:
    return aws.dynamodb()


@pytest.fixture
def sns(client_kind: str) -> SNSClient:
    return aws.sns()


@pytest.fixture
def retry(client_kind: str) -> Retry:
    """Sets delays on a real queue; messages it never handed out are refused, which is logged."""
    sqs: SQSClient = aws.connect("sqs")
    queue_url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    return Retry(lambda: sqs, queue_url, first_delay_seconds=5)


@pytest.fixture
def tries() -> Tries:
    """Remembers the tries of the card processor, as by default."""
    return Tries(least=20, failed_share=0.8, pause=timedelta(minutes=1))


@pytest.fixture
def tap(client_kind: str) -> aws.TappedBus:
    """The bus, and what was published on it."""
    return aws.TappedBus()


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Takes the log lines since the last time, without the metrics between them."""

    def take() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line for line in lines if "metrics" not in line]

    return take


@pytest.fixture
def metered(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, int]]:
    """Takes what was counted since the last time, by metric."""

    def take() -> dict[str, int]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        metrics = [line for line in lines if line.pop("metrics", None)]
        return {
            name: sum(each.get(name, 0) for each in metrics) for line in metrics for name in line
        }

    return take
