"""SQS records in, partial failures out.

The unit of failure is one message: a bad or unlucky record never fails its batch mates. See
"Implementing partial batch responses" in the AWS Lambda developer guide.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypedDict, TypeVar
from zlib import crc32

from orders.aws import telemetry
from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT
from orders.aws.errors import AwsError
from orders.aws.parts import parts
from orders.aws.patience import HELD
from orders.events import Event, UnreadableEventError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from mypy_boto3_sqs import SQSClient

    from orders.aws.bus import Bus
    from orders.aws.context import Context
    from orders.events import Detail, Notice

MESSAGES_AT_ONCE: Final = 100
"""How many messages of an invocation are read, recorded and published before the next ones: as many
keys as ``BatchGetItem`` takes. Lambda may hand over 10,000."""
MAX_RETRY_DELAY_SECONDS: Final = 900
_SPREAD_SECONDS: Final = 5
"""Over so many seconds come the messages again that are sent anew."""
_ENTRIES_A_CALL: Final = 10
"""As many as ``ChangeMessageVisibilityBatch`` takes."""
MAX_CONFLICTS: Final = 3
"""How often a message that met another writer is taken up again in the same invocation."""
FAILED: Final = "failed"
"""What failed messages are counted as, beside the states of records."""
REFUSED: Final = "refused"
"""What orders are counted as that were placed under the id of another one."""

EventT = TypeVar("EventT", bound=Event[Any])


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
    record: Mapping[str, Any]
    """As Lambda hands it over."""

    @property
    def order_id(self) -> str:
        """The order it is about."""
        order_id: str = self.event.detail.order_id
        return order_id


@dataclass(slots=True)
class Batch(Generic[EventT]):
    """Messages of an invocation: which wait, which failed, and what is to be published."""

    _waiting: list[Message[EventT]] = field(default_factory=list)
    _failed: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Receipt handle and attempt by message id."""
    _held: list[Message[EventT]] = field(default_factory=list)
    """What is to be sent anew."""
    _announcements: list[tuple[Message[EventT], Detail]] = field(default_factory=list)
    _notices: list[Notice] = field(default_factory=list)
    _least_delay_seconds: int = 0
    _conflicts: Counter[str] = field(default_factory=Counter)
    _states: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(
        cls, records: Sequence[dict[str, Any]], decode: Callable[[str], EventT]
    ) -> Batch[EventT]:
        """Decode the records of an SQS event; what cannot be read has failed already.

        Args:
            records: ``event["Records"]`` of the invocation.
            decode: turns a message's body into an event, or raises UnreadableEventError.
        """
        batch = cls()
        for record in records:
            id_, handle = record["messageId"], record["receiptHandle"]
            attempt = int(record["attributes"]["ApproximateReceiveCount"])
            try:
                message = Message(id_, handle, attempt, decode(record["body"]), record)
            except UnreadableEventError as error:
                batch._failed[id_] = (handle, attempt)
                telemetry.error(
                    "message cannot be read", message_id=id_, attempt=attempt, reason=str(error)
                )
            else:
                batch._waiting.append(message)
        return batch

    def rounds(self) -> Iterator[list[Message[EventT]]]:
        """Take up the messages so that no order is twice in a round; mostly there is one round.

        A batch can hold the same order twice, and the second message must see what the first did.
        """
        while self._waiting:
            first: dict[str, Message[EventT]] = {}
            for message in self._waiting:
                first.setdefault(message.order_id, message)
            self._waiting = [m for m in self._waiting if first[m.order_id] is not m]
            yield list(first.values())

    def rounds_by_order(self) -> Iterator[dict[str, list[Message[EventT]]]]:
        """Take up all messages, grouped by order; again while some met another writer."""
        while self._waiting:
            groups: dict[str, list[Message[EventT]]] = {}
            for message in self._waiting:
                groups.setdefault(message.order_id, []).append(message)
            self._waiting = []
            yield groups

    def refuse(self, messages: Sequence[Message[EventT]], what: str, why: str) -> None:
        """Handle messages of an order whose record was not read or written.

        Args:
            messages: of this batch.
            what: the log line's message, such as "payment not recorded".
            why: CONFLICT, to look and decide anew; HELD, to have them sent anew; or the reason
                they fail.
        """
        if why == HELD:
            self._held += messages
        elif why == CONFLICT:
            for message in reversed(messages):
                self._take_up_again(message)
        else:
            for message in messages:
                self.fail(message, what, why)

    def _take_up_again(self, message: Message[EventT]) -> None:
        self._conflicts[message.id] += 1
        if self._conflicts[message.id] > MAX_CONFLICTS:
            self.fail(message, "given up for now", "other writers were quicker each time")
        else:
            self._waiting.insert(0, message)

    def fail(self, message: Message[EventT], what: str, why: str) -> None:
        """Have SQS deliver this message again, or park it after its last attempt.

        Args:
            message: one of this batch.
            what: the log line's message, such as "charge failed".
            why: the reason, in words an operator can act on.
        """
        self._failed[message.id] = (message.receipt_handle, message.attempt)
        telemetry.warning(what, order_id=message.order_id, attempt=message.attempt, reason=why)

    def refuse_order(self, message: Message[EventT]) -> None:
        """Note that a message is of an order whose id another order has: nothing is done for it."""
        telemetry.error(
            "order refused",
            order_id=message.order_id,
            reason="a different order is on record under its id",
        )
        self.count(REFUSED)

    def announce(self, message: Message[EventT], detail: Detail) -> None:
        """Have an event published when the batch is done: what has become of a message.

        The state it reports is written already. A redelivered message announces again, so that
        nothing is lost when the function ends between the two.
        """
        self._announcements.append((message, detail))

    def notify(self, notice: Notice) -> None:
        """Have an event published with the announcements that is about no message."""
        self._notices.append(notice)

    def retry_after(self, pause: timedelta) -> None:
        """Have failed messages delivered again no sooner, however short the delay is by default."""
        self._least_delay_seconds = int(pause.total_seconds())

    def count(self, state: str) -> None:
        """Count a record that was written with a new state."""
        self._states[state] += 1

    def counts(self) -> dict[str, int]:
        """How many records were written with each state, and how many messages failed."""
        return {**self._states, FAILED: len(self._failed)}

    def finish(self, bus: Bus, retry: Retry, context: Context) -> BatchResponse:
        """Publish what was announced, and answer to SQS."""
        details = [detail for _, detail in self._announcements]
        refusals = bus.publish([*details, *self._notices], context)
        # A notice that is refused is lost: whoever gives one gives it again while it is true.
        for (message, _), refusal in zip(self._announcements, refusals, strict=False):
            if refusal:
                self.fail(message, "outcome not published", refusal)
        for message in retry.send_anew(self._held) if self._held else ():
            self.fail(message, "not sent anew", "other transactions held the same items")
        if self._failed:
            retry.delay(self._failed, self._least_delay_seconds)
        return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in self._failed]}


def consume(
    event: dict[str, Any],
    context: Context,
    *,
    decode: Callable[[str], EventT],
    settle: Callable[[Batch[EventT], Context], None],
    bus: Bus,
    retry: Retry,
    metrics: Mapping[str, str],
) -> BatchResponse:
    """Handle an SQS event as every consumer does; only the messages that failed are reported.

    Of a large batch some messages are done, from reading to publishing, before the next ones are
    taken up. So what is done stays done when the time is up, and only the rest is delivered again.

    Args:
        event: the invocation's.
        context: the invocation's.
        decode: turns a message's body into an event, or raises UnreadableEventError.
        settle: handles the messages of a batch.
        bus: where its announcements go.
        retry: says when failed messages come again.
        metrics: the name of the metric for each state that is counted, FAILED among them.
    """
    telemetry.begin(context)
    failures: list[ItemIdentifier] = []
    counts: Counter[str] = Counter()
    for number, records in enumerate(parts(event["Records"], MESSAGES_AT_ONCE)):
        if number and time_is_up(context):
            failures += _leave(event["Records"][number * MESSAGES_AT_ONCE :])
            break
        batch = Batch.read(records, decode)
        settle(batch, context)
        failures += batch.finish(bus, retry, context)["batchItemFailures"]
        counts.update(batch.counts())
    counts[FAILED] = len(failures)
    telemetry.count(**{metric: counts[state] for state, metric in metrics.items()})
    return {"batchItemFailures": failures}


def _leave(records: Sequence[Mapping[str, Any]]) -> list[ItemIdentifier]:
    """Report messages that were not taken up; they come back after their visibility timeout."""
    telemetry.warning(
        "messages not taken up",
        messages=len(records),
        reason="the function is about to time out: its batches are too large for its timeout",
    )
    return [{"itemIdentifier": record["messageId"]} for record in records]


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed message is delivered again: the delay doubles with each attempt.

    Up to the same again is added, by the message's id: messages that met once do not meet again.

    Without this a failed message stays hidden for the rest of its visibility timeout, which must
    be six times the function's timeout and is far too long for a passing fault.
    """

    client: Callable[[], SQSClient]
    queue_url: str
    first_delay_seconds: int

    def delay(self, failed: dict[str, tuple[str, int]], least_seconds: int = 0) -> None:
        """Set each failed message's visibility timeout.

        If SQS refuses, the messages only come back later, so nothing is raised.

        Args:
            failed: receipt handle and attempt by message id.
            least_seconds: the least that the first delay is to be.
        """
        try:
            for some in parts(list(failed.items()), _ENTRIES_A_CALL):
                self.client().change_message_visibility_batch(
                    QueueUrl=self.queue_url,
                    Entries=[
                        {
                            "Id": str(number),
                            "ReceiptHandle": receipt_handle,
                            "VisibilityTimeout": self._seconds(id_, attempt, least_seconds),
                        }
                        for number, (id_, (receipt_handle, attempt)) in enumerate(some)
                    ],
                )
        except AwsError as error:
            telemetry.warning("retry delay not set", reason=str(error))

    def send_anew(self, messages: Sequence[Message[Any]]) -> list[Message[Any]]:
        """Send messages as they are: a new message has all its receives before it.

        That is for messages that have met others at work, which is not their fault: however long
        a rush lasts, it parks none of them.

        Args:
            messages: as they were received. Those that SQS takes are done.

        Returns:
            Those that SQS did not take.
        """
        left: list[Message[Any]] = []
        for some in parts(messages, _ENTRIES_A_CALL):
            try:
                answer = self.client().send_message_batch(
                    QueueUrl=self.queue_url,
                    Entries=[
                        {
                            "Id": str(number),
                            "MessageBody": message.record["body"],
                            "DelaySeconds": 1 + crc32(message.id.encode()) % _SPREAD_SECONDS,
                            "MessageAttributes": _attributes(message.record),
                        }
                        for number, message in enumerate(some)
                    ],
                )
            except AwsError as error:
                telemetry.warning("not sent anew", reason=str(error))
                left += some
            else:
                left += [some[int(refused["Id"])] for refused in answer.get("Failed", [])]
        return left

    def _seconds(self, message_id: str, attempt: int, least_seconds: int = 0) -> int:
        delay: int = max(self.first_delay_seconds, least_seconds) << (attempt - 1)
        spread = crc32(message_id.encode()) % (delay + 1)
        return min(delay + spread, MAX_RETRY_DELAY_SECONDS)


def _attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """A message's attributes that are texts or numbers, as ``SendMessageBatch`` takes them."""
    return {
        name: {"DataType": value["dataType"], "StringValue": value["stringValue"]}
        for name, value in record.get("messageAttributes", {}).items()
        if "stringValue" in value
    }
