"""The dead-letter queue of a consumer: what is parked there, why, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from orders.aws.context import time_is_up
from orders.aws.errors import AwsError
from orders.aws.parts import parts
from orders.caretaker.decisions import LONGEST_SEARCH, Failure, Parked
from orders.events import Event, UnreadableEventError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsResponseTypeDef
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from orders.aws.context import Context

MESSAGES_A_RUN: Final = 100
"""How many of a queue are looked at in one run: a small share of what its consumer can take."""
_MESSAGES_A_CALL: Final = 10
_HIDDEN_SECONDS: Final = 60
_REDRIVES: Final = "redrives"
"""The message attribute that counts how often a message was sent back."""
_MOST_DIGITS: Final = 3
"""Of that count: the caretaker itself counts no further than MAX_REDRIVES."""


class UnsearchedError(Exception):
    """There was no time to search the whole log."""


class _LogLine(msgspec.Struct, frozen=True):
    order_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """What one consumer has parked."""

    sqs: Callable[[], SQSClient]
    logs: Callable[[], CloudWatchLogsClient]
    url: str
    source_url: str
    """The queue that its messages came from."""
    log_group: str
    """Where the consumer logs why it failed."""
    decode: Callable[[str], Event[Any]]
    """The consumer's; raises UnreadableEventError."""

    def receive(self, context: Context) -> list[Parked]:
        """Take some messages, hidden for a minute; each must be sent or put back.

        Raises:
            AwsError: a call failed.
        """
        found: dict[str, Parked] = {}
        while len(found) < MESSAGES_A_RUN and not time_is_up(context):
            messages = (
                self.sqs()
                .receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=_MESSAGES_A_CALL,
                    VisibilityTimeout=_HIDDEN_SECONDS,
                    MessageSystemAttributeNames=["SentTimestamp"],
                    MessageAttributeNames=[_REDRIVES],
                )
                .get("Messages", [])
            )
            if not messages:
                break
            found |= {message["MessageId"]: self._parked(message) for message in messages}
        return list(found.values())

    def failures(
        self, messages: Sequence[Parked], now: datetime, context: Context
    ) -> dict[str, Failure]:
        """Why messages were parked: what the consumer has logged last of their orders.

        Args:
            messages: of this queue.
            now: the time.
            context: the invocation's.

        Returns:
            By order id; none for an order whose consumer died or was throttled.

        Raises:
            UnsearchedError: there was no time to search the whole log.
            AwsError: a call failed.
        """
        since = max(min(message.sent_at for message in messages), now - LONGEST_SEARCH)
        found: dict[str, Failure] = {}
        for page in self._warnings(since):
            for event in page.get("events", []):
                line = _line(event["message"])
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                found[line.order_id] = Failure(at, line.reason)
            if time_is_up(context):
                raise UnsearchedError(f"no time to search {self.log_group}")
        return found

    def _warnings(self, since: datetime) -> Iterator[FilterLogEventsResponseTypeDef]:
        """The pages of the warnings that the consumer has logged since a time."""
        token: dict[str, Any] = {}
        while True:
            page = self.logs().filter_log_events(
                logGroupName=self.log_group,
                startTime=int(since.timestamp() * 1000),
                filterPattern='"WARNING"',
                **token,
            )
            yield page
            if not (following := page.get("nextToken")):
                return
            token = {"nextToken": following}

    def send_back(self, messages: Sequence[tuple[Parked, int]]) -> dict[str, str]:
        """Send messages to where they came from, and take them off this queue.

        A crash between the two leaves a copy here, which every consumer takes.

        Args:
            messages: each with the seconds until its consumer gets it.

        Returns:
            By message id, why one is still here.
        """
        refusals: dict[str, str] = {}
        for some in parts(messages, _MESSAGES_A_CALL):
            try:
                refusals |= self._send_back(some)
            except AwsError as error:
                refusals |= {message.id: str(error) for message, _ in some}
        return refusals

    def put_back(self, messages: Sequence[Parked]) -> None:
        """Show messages again that stay.

        Raises:
            AwsError: a call failed; they come back by themselves in a minute.
        """
        for some in parts(messages, _MESSAGES_A_CALL):
            self.sqs().change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": message.receipt_handle,
                        "VisibilityTimeout": 0,
                    }
                    for number, message in enumerate(some)
                ],
            )

    def _send_back(self, messages: Sequence[tuple[Parked, int]]) -> dict[str, str]:
        """Send back up to ten messages."""
        answer = self.sqs().send_message_batch(
            QueueUrl=self.source_url,
            Entries=[
                {
                    "Id": str(number),
                    "MessageBody": message.body,
                    "DelaySeconds": delay,
                    "MessageAttributes": {
                        _REDRIVES: {"DataType": "Number", "StringValue": str(message.redrives + 1)}
                    },
                }
                for number, (message, delay) in enumerate(messages)
            ],
        )
        refused = {int(f["Id"]): f["Code"] for f in answer.get("Failed", [])}
        sent = [m for number, (m, _) in enumerate(messages) if number not in refused]
        if sent:
            self.sqs().delete_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message.receipt_handle}
                    for number, message in enumerate(sent)
                ],
            )
        return {messages[number][0].id: code for number, code in refused.items()}

    def _parked(self, message: MessageTypeDef) -> Parked:
        try:
            order_id = self.decode(message["Body"]).detail.order_id
        except UnreadableEventError:
            order_id = None
        return Parked(
            id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
            redrives=_redrives(message),
            order_id=order_id,
        )


def _redrives(message: MessageTypeDef) -> int:
    """How often a message was sent back; somebody else's attribute of that name says nothing."""
    attribute = message.get("MessageAttributes", {}).get(_REDRIVES)
    text = attribute.get("StringValue", "") if attribute else ""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def _line(text: str) -> _LogLine:
    """A line of the log; without an order if it is another one."""
    try:
        return msgspec.json.decode(text, type=_LogLine)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _LogLine()
