"""A consumer that can be paused: its event source mapping, its queue and its function."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orders.aws import telemetry
from orders.aws.errors import AwsError
from orders.circuit_breaker.decisions import Trial
from orders.events import Event, UnreadableEventError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"
DISABLING: Final = "Disabling"
MESSAGES_A_TEST: Final = 5
_COUNTS: Final[Sequence[QueueAttributeNameType]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_WAIT_SECONDS: Final = 1
"""A receive that waits asks all of SQS's servers; one that does not may miss messages."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """What the circuit breaker switches, and has try a few orders."""

    functions: Callable[[], LambdaClient]
    sqs: Callable[[], SQSClient]
    name: str
    mapping: str
    """The UUID of its event source mapping."""
    function: str
    queue_url: str
    decode: Callable[[str], Event[Any]]
    """The consumer's; raises UnreadableEventError."""

    def state(self) -> str:
        """The state of its mapping: ENABLED, DISABLED, DISABLING, or what lies in between.

        Raises:
            AwsError: the call failed.
        """
        return self.functions().get_event_source_mapping(UUID=self.mapping)["State"]

    def switch(self, *, on: bool) -> None:
        """Have it take messages, or take none.

        Lambda refuses this while another change is under way (ResourceInUseException).

        Raises:
            AwsError: the call failed.
        """
        self.functions().update_event_source_mapping(UUID=self.mapping, Enabled=on)

    def try_some(self) -> Trial:
        """Have a few messages processed that wait on the queue.

        A message that fails here is sent anew before it is deleted. So it is lost by no crash, and
        a test takes away none of the receives after which SQS parks a message: a queue under test
        for hours parks nothing for it. What no code can read takes no part, and is parked in time.

        Raises:
            AwsError: a call to SQS failed. Then what was received comes back by
                itself when its visibility timeout ends.
        """
        received = self._receive()
        messages = [message for message in received if self._is_readable(message)]
        self._put_back([message for message in received if message not in messages])
        if not messages:
            return Trial(0, 0, waiting=self._waiting())
        failed_ids = self._process(messages)
        failed = [message for message in messages if message["MessageId"] in failed_ids]
        self._delete([message for message in messages if message not in failed])
        self._delete(self._send_anew(failed))
        return Trial(len(messages), len(failed))

    def _receive(self) -> Sequence[MessageTypeDef]:
        return (
            self.sqs()
            .receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=MESSAGES_A_TEST,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=["All"],
            )
            .get("Messages", [])
        )

    def _waiting(self) -> int:
        """How many messages are on the queue; those that have failed are hidden for a while."""
        attributes = self.sqs().get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=_COUNTS
        )["Attributes"]
        return sum(int(attributes[name]) for name in _COUNTS)

    def _is_readable(self, message: MessageTypeDef) -> bool:
        try:
            self.decode(message["Body"])
        except UnreadableEventError:
            return False
        return True

    def _process(self, messages: Sequence[MessageTypeDef]) -> set[str]:
        """Call the function as its event source mapping would; the ids of those that failed."""
        try:
            answer = self.functions().invoke(
                FunctionName=self.function,
                Payload=json.dumps({"Records": [_record(message) for message in messages]}),
            )
            content = json.loads(answer["Payload"].read())
        except AwsError as refusal:
            telemetry.warning("test not finished", reason=str(refusal))
            return {message["MessageId"] for message in messages}
        if error := answer.get("FunctionError"):
            telemetry.warning("test not finished", reason=error)
            return {message["MessageId"] for message in messages}
        return {failure["itemIdentifier"] for failure in content["batchItemFailures"]}

    def _send_anew(self, messages: Sequence[MessageTypeDef]) -> Sequence[MessageTypeDef]:
        """Send messages as they are; those that SQS took."""
        if not messages:
            return []
        answer = self.sqs().send_message_batch(
            QueueUrl=self.queue_url,
            Entries=[
                {
                    "Id": str(number),
                    "MessageBody": message["Body"],
                    "MessageAttributes": {
                        name: {"DataType": value["DataType"], "StringValue": value["StringValue"]}
                        for name, value in message.get("MessageAttributes", {}).items()
                        if "StringValue" in value
                    },
                }
                for number, message in enumerate(messages)
            ],
        )
        refused = {entry["Id"] for entry in answer.get("Failed", [])}
        return [message for number, message in enumerate(messages) if str(number) not in refused]

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        """Delete messages; one that SQS keeps is processed once more, which changes nothing."""
        if messages:
            self.sqs().delete_message_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )

    def _put_back(self, messages: Sequence[MessageTypeDef]) -> None:
        if messages:
            self.sqs().change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": message["ReceiptHandle"],
                        "VisibilityTimeout": 0,
                    }
                    for number, message in enumerate(messages)
                ],
            )


def _record(message: MessageTypeDef) -> dict[str, Any]:
    """A message as an event source mapping hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSource": "aws:sqs",
    }
