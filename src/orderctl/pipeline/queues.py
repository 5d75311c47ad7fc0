"""An SQS queue: counts, receives, deletes, or reads messages without taking them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_BATCH = 10
# A receive that waits asks all of SQS's servers; one that does not wait may miss messages.
_WAIT_SECONDS = 1
# How long a received message stays hidden from others, unless it is put back before.
_HIDDEN_SECONDS = 60
_COUNTS: Final[Sequence[QueueAttributeNameType]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class QueueError(OrderctlError):
    """An operation on a queue failed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received."""

    id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, str]
    """The message attributes that are text, by name."""
    receive_count: int
    """How often it was received, including this time."""
    sent_at: datetime
    """When it was sent; a parked message keeps the time of its first queue."""
    group: str | None = None
    """Its message group, on a FIFO queue."""


class Queue:
    """One queue."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        """Take the queue's URL; its name is the end of it."""
        self.name = url.rsplit("/", 1)[1]
        self._sqs = sqs
        self._url = url

    def depth(self) -> int:
        """How many messages are in it, including those being worked on."""
        return sum(self.counts())

    def counts(self) -> tuple[int, int]:
        """How many messages wait in it, and how many are being worked on or wait for a retry.

        The caretaker sends a parked message back with a timer: it too waits for a retry.
        """
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=_COUNTS)[
            "Attributes"
        ]
        visible, not_visible, delayed = (int(attributes[name]) for name in _COUNTS)
        return visible, not_visible + delayed

    def receive(self, wait_seconds: int = _WAIT_SECONDS) -> list[Message]:
        """Receive up to ten messages.

        Args:
            wait_seconds: how long to wait for the first.
        """
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=_HIDDEN_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=[
                "ApproximateReceiveCount",
                "SentTimestamp",
                "MessageGroupId",
            ],
        )
        return [_message(message) for message in answer.get("Messages", [])]

    def receive_all(self) -> Iterator[list[Message]]:
        """Receive as many messages as are there now, so that put-back ones do not come for ever."""
        left = self.depth()
        while left > 0 and (messages := self.receive()):
            left -= len(messages)
            yield messages

    @contextmanager
    def peek(self, most: int | None = None) -> Iterator[list[Message]]:
        """Read messages without taking them; they are visible to others again after the block.

        Args:
            most: about how many to read; all by default.
        """
        messages: list[Message] = []
        try:
            for some in self.receive_all():
                messages += some
                if most is not None and len(messages) >= most:
                    break
            yield messages
        finally:
            self.put_back(messages)

    def put_back(self, messages: Sequence[Message]) -> None:
        """Make received messages visible to others again, at once."""
        for start in range(0, len(messages), _BATCH):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": id_, "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for id_, handle in _numbered(messages[start : start + _BATCH])
                ],
            )

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete up to ten received messages.

        Raises:
            QueueError: SQS did not delete all of them.
        """
        if not messages:
            return
        answer = self._sqs.delete_message_batch(
            QueueUrl=self._url,
            Entries=[{"Id": id_, "ReceiptHandle": handle} for id_, handle in _numbered(messages)],
        )
        if failed := answer.get("Failed"):
            raise QueueError(
                f"{len(failed)} of {len(messages)} messages could not be deleted from {self.name} "
                f"({failed[0]['Code']}). They will be received again."
            )


def _numbered(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    return ((str(number), m.receipt_handle) for number, m in enumerate(messages))


def _message(received: MessageTypeDef) -> Message:
    attributes = received["Attributes"]
    return Message(
        id=received["MessageId"],
        receipt_handle=received["ReceiptHandle"],
        body=received["Body"],
        attributes={
            name: attribute["StringValue"]
            for name, attribute in received.get("MessageAttributes", {}).items()
            if "StringValue" in attribute
        },
        receive_count=int(attributes["ApproximateReceiveCount"]),
        sent_at=reading.from_milliseconds(int(attributes["SentTimestamp"])),
        group=attributes.get("MessageGroupId"),
    )
