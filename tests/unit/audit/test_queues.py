"""What is on its way, as the queues say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orders.audit.decisions import Queues
from orders.audit.queues import QueueDepths
from support import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

WAITS, IN_WORK, DELAYED = "waits", "in work", "delayed"


def put(sqs: SQSClient, url: str, how: str) -> None:
    sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=60 if how == DELAYED else 0)
    if how == IN_WORK:
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=60)


@pytest.mark.parametrize(
    ("consumed", "parked", "expected"),
    [
        ([], None, Queues()),
        ([WAITS], None, Queues(is_waiting=True, is_paused=True)),
        ([IN_WORK], None, Queues(is_waiting=True)),
        ([DELAYED], None, Queues(is_waiting=True)),
        ([IN_WORK, WAITS], None, Queues(is_waiting=True)),
        ([DELAYED, WAITS], None, Queues(is_waiting=True, is_paused=True)),
        ([], WAITS, Queues(parked=None)),
        ([], IN_WORK, Queues(parked=None)),
        ([], DELAYED, Queues(parked=None)),
    ],
)
def test_what_waits_and_what_is_parked(
    client_kind: str, consumed: list[str], parked: str | None, expected: Queues
) -> None:
    """In the second queue of each kind, so that all are looked at."""
    sqs = aws.sqs()
    names = ("one", "two", "one-dlq", "two-dlq")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in names]
    for how in consumed:
        put(sqs, urls[1], how)
    if parked:
        put(sqs, urls[3], parked)
    assert QueueDepths(lambda: sqs, consumed=urls[:2], dead_letter=urls[2:]).look() == expected
