"""SQS records in, partial failures out.

The unit of failure is one message: a bad or unlucky record never fails its batch mates. See
"Implementing partial batch responses" in the AWS Lambda developer guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypedDict, TypeVar

from orders.aws import telemetry
from orders.aws.clients import AWS_ERRORS, reason
from orders.events import UnreadableEventError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_sqs import SQSClient

    from orders.aws.context import Context


class _OfAnOrder(Protocol):
    @property
    def order_id(self) -> str: ...


EventT = TypeVar("EventT", bound=_OfAnOrder)

MAX_RETRY_DELAY_SECONDS: Final = 900
FINISHING_MILLISECONDS: Final = 3000
"""How long before its timeout a function stops taking up work, to record what it has done."""


class ItemIdentifier(TypedDict):
    """The message that failed."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """What a function with ``ReportBatchItemFailures`` answers."""

    batchItemFailures: list[ItemIdentifier]


@dataclass(frozen=True, slots=True)
class Message(Generic[EventT]):
    """One readable message of a batch."""

    id: str
    receipt_handle: str
    attempt: int
    """How often SQS has delivered it, this time included."""
    event: EventT


@dataclass(slots=True)
class Batch(Generic[EventT]):
    """The messages of one invocation, and which of them have failed so far."""

    messages: list[Message[EventT]] = field(default_factory=list)
    _failed: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Receipt handle and attempt by message id."""

    @classmethod
    def read(cls, records: list[dict[str, Any]], decode: Callable[[str], EventT]) -> Batch[EventT]:
        """Decode the records of an SQS event; what nobody can read has failed already.

        Args:
            records: ``event["Records"]`` of the invocation.
            decode: turns a message's body into an event, or raises UnreadableEventError.
        """
        batch = cls()
        for record in records:
            attempt = int(record["attributes"]["ApproximateReceiveCount"])
            try:
                event = decode(record["body"])
            except UnreadableEventError as error:
                batch._failed[record["messageId"]] = (record["receiptHandle"], attempt)
                telemetry.error(
                    "message cannot be read",
                    message_id=record["messageId"],
                    attempt=attempt,
                    reason=str(error),
                )
            else:
                batch.messages.append(
                    Message(record["messageId"], record["receiptHandle"], attempt, event)
                )
        return batch

    def rounds(self) -> Iterator[list[Message[EventT]]]:
        """Split the batch so that no order stands twice in a round; nearly always there is one.

        A batch can hold the same order twice, and the second message must see what the first did.
        """
        left = self.messages
        while left:
            first: dict[str, Message[EventT]] = {}
            for message in left:
                first.setdefault(message.event.order_id, message)
            yield list(first.values())
            left = [message for message in left if message not in first.values()]

    def fail(self, message: Message[EventT], what: str, why: str) -> None:
        """Have SQS deliver this message again, or park it after its last attempt.

        Args:
            message: one of this batch.
            what: the log line's message, such as "charge failed".
            why: the reason, in words an operator can act on.
        """
        self._failed[message.id] = (message.receipt_handle, message.attempt)
        telemetry.warning(
            what, order_id=message.event.order_id, attempt=message.attempt, reason=why
        )

    @property
    def failures(self) -> int:
        """How many messages have failed so far."""
        return len(self._failed)

    def response(self, retry: Retry) -> BatchResponse:
        """The answer to SQS, after the failed messages were told when to come back."""
        if self._failed:
            retry.delay(self._failed)
        return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in self._failed]}


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed message is delivered again: the delay doubles with each attempt.

    Without this a failed message stays hidden for the rest of its visibility timeout, which must
    be six times the function's timeout and is far too long for a passing fault.
    """

    client: SQSClient
    queue_url: str
    first_delay_seconds: int

    def delay(self, failed: dict[str, tuple[str, int]]) -> None:
        """Set each failed message's visibility timeout.

        If SQS does not take it the messages only come back later, so nothing is raised.

        Args:
            failed: receipt handle and attempt by message id; a batch's 10 at most.
        """
        try:
            self.client.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": receipt_handle,
                        "VisibilityTimeout": self._seconds(attempt),
                    }
                    for number, (receipt_handle, attempt) in enumerate(failed.values())
                ],
            )
        except AWS_ERRORS as error:
            telemetry.warning("retry delay not set", reason=reason(error))

    def _seconds(self, attempt: int) -> int:
        return int(min(self.first_delay_seconds * 2 ** (attempt - 1), MAX_RETRY_DELAY_SECONDS))


def time_is_up(context: Context) -> bool:
    """Whether the function should finish what it has begun and take up nothing new."""
    return context.get_remaining_time_in_millis() < FINISHING_MILLISECONDS
