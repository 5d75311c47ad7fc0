import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef

from .account import ACCOUNT, REGION, Account, wait_for


class Redrive:
    """A queue whose messages go to a dead-letter queue after one receive."""

    def __init__(self, account: Account, name: str, **attributes: str) -> None:
        self.account = account
        suffix = ".fifo" if attributes.get("FifoQueue") else ""
        self.dead_letters = account.queue(f"{name}-dlq{suffix}", **attributes)
        self.dead_letter_arn = account.queue_arn(self.dead_letters)
        self.source = account.queue(
            f"{name}{suffix}",
            VisibilityTimeout="0",
            RedrivePolicy=json.dumps(
                {"deadLetterTargetArn": self.dead_letter_arn, "maxReceiveCount": 1}
            ),
            **attributes,
        )

    def bury(self, *bodies: str, **options: str) -> None:
        """Send messages and receive them until they are dead letters."""
        for body in bodies:
            self.account.sqs.send_message(
                QueueUrl=self.source,
                MessageBody=body,
                MessageAttributes={"colour": {"StringValue": "blue", "DataType": "String"}},
                **options,  # type: ignore[arg-type]
            )
        buried = self.count() + len(bodies)
        while self.count() < buried:
            self.account.sqs.receive_message(QueueUrl=self.source, MaxNumberOfMessages=10)

    def count(self) -> int:
        """How many dead letters there are."""
        return int(self.account.attribute(self.dead_letters, "ApproximateNumberOfMessages"))

    def latest(self) -> ListMessageMoveTasksResultEntryTypeDef:
        """The newest task."""
        return self.account.sqs.list_message_move_tasks(SourceArn=self.dead_letter_arn)["Results"][
            0
        ]

    def ended(self) -> ListMessageMoveTasksResultEntryTypeDef:
        """The newest task, when it has ended."""
        return wait_for(lambda: task if (task := self.latest())["Status"] != "RUNNING" else None)


def test_moves_dead_letters_back_as_new_messages(account: Account, name: str) -> None:
    redrive = Redrive(account, name)
    redrive.bury("a", "b", "c")

    handle = account.sqs.start_message_move_task(SourceArn=redrive.dead_letter_arn)["TaskHandle"]

    assert handle
    task = redrive.ended()
    assert task["Status"] == "COMPLETED"
    assert task["ApproximateNumberOfMessagesMoved"] == 3
    assert task["ApproximateNumberOfMessagesToMove"] == 3
    assert task["SourceArn"] == redrive.dead_letter_arn
    assert task["StartedTimestamp"] > 0
    assert "TaskHandle" not in task
    assert redrive.count() == 0
    moved = account.receive(redrive.source, 3)
    assert sorted(message["Body"] for message in moved) == ["a", "b", "c"]
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in moved} == {"1"}
    assert {m["MessageAttributes"]["colour"]["StringValue"] for m in moved} == {"blue"}


def test_moves_to_another_queue_when_told_so(account: Account, name: str) -> None:
    redrive = Redrive(account, name)
    redrive.bury("a")
    other = account.queue(f"{name}-other")
    account.sqs.start_message_move_task(
        SourceArn=redrive.dead_letter_arn, DestinationArn=account.queue_arn(other)
    )
    assert [message["Body"] for message in account.receive(other)] == ["a"]
    assert redrive.ended()["DestinationArn"] == account.queue_arn(other)


def test_a_fifo_message_keeps_its_group_and_is_no_duplicate(account: Account, name: str) -> None:
    redrive = Redrive(account, name, FifoQueue="true")
    redrive.bury("a", MessageGroupId="g", MessageDeduplicationId="d")
    account.sqs.start_message_move_task(SourceArn=redrive.dead_letter_arn)
    (message,) = account.receive(redrive.source)
    assert message["Attributes"]["MessageGroupId"] == "g"
    assert message["Attributes"]["MessageDeduplicationId"] == "d"


def test_a_message_sent_to_the_dead_letter_queue_itself_fails_the_task(
    account: Account, name: str
) -> None:
    redrive = Redrive(account, name)
    account.sqs.send_message(QueueUrl=redrive.dead_letters, MessageBody="a")
    account.sqs.start_message_move_task(SourceArn=redrive.dead_letter_arn)
    task = redrive.ended()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert redrive.count() == 1


def test_a_slow_task_can_be_cancelled_and_is_alone(account: Account, name: str) -> None:
    redrive = Redrive(account, name)
    redrive.bury("a", "b", "c")
    start = account.sqs.start_message_move_task
    handle = start(SourceArn=redrive.dead_letter_arn, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    wait_for(lambda: redrive.latest()["ApproximateNumberOfMessagesMoved"] == 1)

    assert redrive.latest()["TaskHandle"] == handle
    with pytest.raises(ClientError, match="already a task running"):
        start(SourceArn=redrive.dead_letter_arn)
    cancelled = account.sqs.cancel_message_move_task(TaskHandle=handle)
    assert cancelled["ApproximateNumberOfMessagesMoved"] == 1
    assert redrive.latest()["Status"] == "CANCELLED"
    assert redrive.count() == 2
    with pytest.raises(account.sqs.exceptions.ResourceNotFoundException):
        account.sqs.cancel_message_move_task(TaskHandle=handle)

    start(SourceArn=redrive.dead_letter_arn)
    wait_for(lambda: redrive.count() == 0)
    listed = account.sqs.list_message_move_tasks(SourceArn=redrive.dead_letter_arn, MaxResults=10)
    assert [task["Status"] for task in listed["Results"]] == ["COMPLETED", "CANCELLED"]


def test_only_a_dead_letter_queue_can_be_redriven(account: Account, name: str) -> None:
    queue = account.queue(name)
    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue") as refused:
        account.sqs.start_message_move_task(SourceArn=account.queue_arn(queue))
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_an_unknown_queue_is_not_found(account: Account, name: str) -> None:
    unknown = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    calls: list[Callable[..., object]] = [
        account.sqs.start_message_move_task,
        account.sqs.list_message_move_tasks,
    ]
    for call in calls:
        with pytest.raises(account.sqs.exceptions.ResourceNotFoundException):
            call(SourceArn=unknown)


@pytest.mark.parametrize("rate", [0, 501])
def test_the_rate_has_limits(account: Account, name: str, rate: int) -> None:
    redrive = Redrive(account, name)
    with pytest.raises(ClientError, match="MaxNumberOfMessagesPerSecond"):
        account.sqs.start_message_move_task(
            SourceArn=redrive.dead_letter_arn, MaxNumberOfMessagesPerSecond=rate
        )


def test_needs_permission_for_the_very_queue(account: Account, name: str) -> None:
    redrive = Redrive(account, name)
    action = "sqs:StartMessageMoveTask"
    allowed = account.user(name, {"Action": action, "Resource": redrive.dead_letter_arn})
    elsewhere = account.user(
        f"{name}-x", {"Action": action, "Resource": f"arn:aws:sqs:*:*:{name}-other"}
    )
    url = account.server.url
    start = allowed.client("sqs", endpoint_url=url).start_message_move_task
    assert start(SourceArn=redrive.dead_letter_arn)["TaskHandle"]
    with pytest.raises(ClientError, match="AccessDenied"):
        elsewhere.client("sqs", endpoint_url=url).start_message_move_task(
            SourceArn=redrive.dead_letter_arn
        )
