"""Dead-letter queues, and redriving their messages to where they came from.

SQS itself moves messages that came from a queue. Messages that Lambda or EventBridge parked came
from no queue, so they are delivered again from here and then deleted. A crash between the two
delivers twice, which every function of the pipeline tolerates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from orderctl.pipeline import reading
from orderctl.pipeline.queues import Message, Queue, QueueError
from orderctl.pipeline.steps import STEPS, Step, url_output
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef

PER_SECOND = 100
"""How many messages are redriven a second, unless that is chosen."""
_POLL_SECONDS = 0.2
_OTHERS_LOOK_SECONDS = 10
_MOVING = ("RUNNING", "CANCELLING")
_FUNCTION_ARN_PARTS = 7
_METRIC_PERIOD_SECONDS = 60
_METRIC_WINDOW = timedelta(minutes=10)
# The attributes that EventBridge adds to an event that it parks.
_OF_EVENTBRIDGE = (
    "RULE_ARN",
    "TARGET_ARN",
    "ERROR_CODE",
    "ERROR_MESSAGE",
    "EXHAUSTED_RETRY_CONDITION",
    "RETRY_ATTEMPTS",
)

Progress = Callable[[int, int], None]
"""Called with how many messages are done, and how many there are."""


class Clients:
    """The AWS clients that dead-letter queues need, each made when it is first used."""

    def __init__(self, session: boto3.Session) -> None:
        """Take the account and region."""
        self._session = session

    @cached_property
    def sqs(self) -> SQSClient:
        """The SQS client."""
        return self._session.client("sqs")

    @cached_property
    def functions(self) -> LambdaClient:
        """The Lambda client."""
        return self._session.client("lambda")

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """The CloudWatch client."""
        return self._session.client("cloudwatch")


def _ignore_progress(_done: int, _total: int) -> None:
    """Do nothing."""


@dataclass(slots=True)
class RedriveResult:
    """The result of redriving a dead-letter queue."""

    moved: Counter[str] = field(default_factory=Counter)
    """How many messages were moved, by the name of the queue or function."""
    failures: list[str] = field(default_factory=list)
    """Why other messages were not moved; they are still parked."""


class DeadLetterQueue(Queue):
    """The dead-letter queue of a queue."""

    def __init__(self, clients: Clients, url: str, step: Step) -> None:
        """Take the queue's URL, and the step that parks messages in it."""
        super().__init__(clients.sqs, url)
        self.step = step
        self._clients = clients

    def redrive(
        self, progress: Progress = _ignore_progress, per_second: int = PER_SECOND
    ) -> RedriveResult:
        """Have SQS move all messages back, and wait until that is done.

        If the wait is interrupted, SQS stops; what was moved stays moved.

        Args:
            progress: called as messages are moved.
            per_second: how many messages to move a second, 1 to 500.
        """
        result = RedriveResult()
        try:
            arn, source = self._arns()
            self._wait_until_visible()
            # Named, because SNS parks messages here too, and SQS does not know their source.
            started = self._sqs.start_message_move_task(
                SourceArn=arn, DestinationArn=source, MaxNumberOfMessagesPerSecond=per_second
            )
            with self._stopped_when_interrupted(started["TaskHandle"]):
                task = self._wait_for_move(arn, progress)
        except (QueueError, ClientError, BotoCoreError) as error:
            result.failures.append(reason(error))
            return result
        if moved := task["ApproximateNumberOfMessagesMoved"]:
            result.moved[source.rsplit(":", 1)[1]] = moved
        if task["Status"] != "COMPLETED":
            why = task.get("FailureReason", task["Status"])
            result.failures.append(f"SQS stopped moving the messages: {why}")
        return result

    @contextmanager
    def _stopped_when_interrupted(self, task: str) -> Iterator[None]:
        try:
            yield
        except BaseException:  # Ctrl-C too, which is no Exception
            with suppress(ClientError, BotoCoreError):
                self._sqs.cancel_message_move_task(TaskHandle=task)
            raise

    def _wait_until_visible(self) -> None:
        """Wait a little while others look at messages, as the caretaker does once a minute."""
        wait_until(
            lambda: not self.counts()[1],
            patience_seconds=_OTHERS_LOOK_SECONDS,
            poll_seconds=_POLL_SECONDS,
        )

    def redrive_one(self, message: Message) -> str:
        """Deliver a received message again, delete it, and return the queue or function it went to.

        Raises:
            UndeliverableError: it does not say where it belongs; it is still parked.
            QueueError: it was delivered but not deleted, or its queue's policy names no source.
            ClientError, BotoCoreError: a call failed.
        """
        where = self._deliver(message)
        self.delete([message])
        return where

    def _deliver(self, message: Message) -> str:
        """Deliver a message, and return the queue or function it went to."""
        _, source = self._arns()
        return self._send(source, message)

    def _send(self, queue_arn: str, message: Message) -> str:
        *_, account, name = queue_arn.split(":")
        queue = self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
        # On a FIFO queue it must not be taken for a duplicate of the original.
        fifo = {"MessageGroupId": message.group, "MessageDeduplicationId": message.id}
        self._sqs.send_message(
            QueueUrl=queue["QueueUrl"],
            MessageBody=message.body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in message.attributes.items()
                if name not in _OF_EVENTBRIDGE
            },
            **(fifo if message.group else {}),  # type: ignore[arg-type]
        )
        return name

    def _arns(self) -> tuple[str, str]:
        """Its own ARN, and that of its one source queue.

        Raises:
            QueueError: its policy names no source queue, or several.
        """
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=["QueueArn", "RedriveAllowPolicy"]
        )["Attributes"]
        policy = reading.parse_json_object(attributes.get("RedriveAllowPolicy", ""))
        match policy.get("sourceQueueArns"):
            case [str(source)]:
                return attributes["QueueArn"], source
        raise QueueError(
            f"The RedriveAllowPolicy of {self.name} does not name exactly one queue, so its "
            "messages cannot be moved. Deploy the template again with another PolicyRevision."
        )

    def _wait_for_move(
        self, arn: str, progress: Progress
    ) -> ListMessageMoveTasksResultEntryTypeDef:
        """Wait for the end of the task that moves the messages, and return it."""

        def ended_tasks() -> list[ListMessageMoveTasksResultEntryTypeDef]:
            tasks = self._sqs.list_message_move_tasks(SourceArn=arn)["Results"]
            for task in tasks:
                moved = task["ApproximateNumberOfMessagesMoved"]
                progress(moved, task.get("ApproximateNumberOfMessagesToMove", moved))
            return [task for task in tasks if task["Status"] not in _MOVING]

        return wait_until(ended_tasks, poll_seconds=_POLL_SECONDS)[0]


class UndeliverableError(Exception):
    """A message does not say where it belongs."""


class _DeliveredFromHere(DeadLetterQueue):
    """A dead-letter queue whose messages came from no queue."""

    def redrive(
        self, progress: Progress = _ignore_progress, per_second: int = PER_SECOND
    ) -> RedriveResult:
        """Deliver every message again, and delete those that were accepted.

        Args:
            progress: called after each message.
            per_second: how many messages to deliver a second.
        """
        result = RedriveResult()
        total, done = self.depth(), 0
        stay: list[Message] = []
        began = time.monotonic()
        try:
            for messages in self.receive_all():
                for message in messages:
                    time.sleep(max(began + done / per_second - time.monotonic(), 0))
                    try:
                        result.moved[self.redrive_one(message)] += 1
                    except (UndeliverableError, QueueError, ClientError, BotoCoreError) as error:
                        result.failures.append(reason(error))
                        stay.append(message)
                    done += 1
                    progress(done, max(total, done))
        finally:
            self.put_back(stay)
        return result

    def _invoke(self, function: str, payload: bytes) -> str:
        self._clients.functions.invoke(
            FunctionName=function, InvocationType="Event", Payload=payload
        )
        return function.rpartition(":")[2]


class _Invocation(msgspec.Struct):
    functionArn: str  # noqa: N815 - Lambda's name


class _InvocationRecord(msgspec.Struct):
    """The record that Lambda sends to an on-failure destination; the payload stays unparsed."""

    requestContext: _Invocation  # noqa: N815
    requestPayload: msgspec.Raw  # noqa: N815


class FailedInvocations(_DeliveredFromHere):
    """The queue in which Lambda parks events on which a function kept failing."""

    def _deliver(self, message: Message) -> str:
        try:
            record = msgspec.json.decode(message.body, type=_InvocationRecord)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UndeliverableError(
                f"It is not Lambda's record of an invocation: {error}"
            ) from error
        arn = record.requestContext.functionArn
        return self._invoke(without_qualifier(arn), bytes(record.requestPayload))


class UndeliveredEvents(_DeliveredFromHere):
    """The queue in which EventBridge parks events that it could not deliver."""

    def _deliver(self, message: Message) -> str:
        target = message.attributes.get("TARGET_ARN", "")
        match target.split(":"):
            case ["arn", _, "sqs", _, _, _]:
                return self._send(target, message)
            case ["arn", _, "lambda", *_]:
                return self._invoke(without_qualifier(target), _encode(message.body))
            case _:
                raise UndeliverableError(
                    f"Its TARGET_ARN is neither a queue's nor a function's: {target or 'none'}"
                )


def _encode(body: str) -> bytes:
    try:
        return body.encode()
    except UnicodeError as error:
        raise UndeliverableError(f"It is not Unicode text: {error}") from error


class DeadLetters:
    """The dead-letter queues of one stack."""

    def __init__(self, session: boto3.Session, outputs: Mapping[str, str]) -> None:
        """Take the stack's outputs, which have the queues' URLs."""
        self._clients = Clients(session)
        self._outputs = outputs

    def queues(self) -> list[DeadLetterQueue]:
        """The dead-letter queues, each of the class that can redrive it."""
        return [
            _queue_class(step)(
                self._clients, self._outputs[url_output(step.dead_letter_queue)], step
            )
            for step in STEPS
            if step.dead_letter_queue
        ]

    def queue(self, logical_id: str) -> DeadLetterQueue:
        """A dead-letter queue by its logical id, such as PaymentsDLQ."""
        return next(q for q in self.queues() if q.step.dead_letter_queue == logical_id)

    def depths(self) -> dict[str, int]:
        """How many messages are in each, by the queue's name."""
        return {queue.name: queue.depth() for queue in self.queues()}

    def oldest_age(self, queue: str) -> timedelta | None:
        """How long the oldest message has been in a queue; None while CloudWatch has no metric.

        Args:
            queue: the queue's name.
        """
        now = datetime.now(UTC)
        datapoints = self._clients.cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - _METRIC_WINDOW,
            EndTime=now,
            Period=_METRIC_PERIOD_SECONDS,
            Statistics=["Maximum"],
        )["Datapoints"]
        if not datapoints:
            return None
        newest = max(datapoints, key=lambda datapoint: datapoint["Timestamp"])
        return timedelta(seconds=newest["Maximum"])


def _queue_class(step: Step) -> type[DeadLetterQueue]:
    """Who parks messages decides how they are redriven: SQS moves only what came from a queue."""
    if step.queue:
        return DeadLetterQueue
    return FailedInvocations if step.function else UndeliveredEvents


def without_qualifier(function_arn: str) -> str:
    """A function's ARN without a version or alias at its end."""
    parts = function_arn.split(":")
    return ":".join(parts[:_FUNCTION_ARN_PARTS])


def order_id_in(body: str) -> str | None:
    """The id of the order that a parked message is about; None when it does not say.

    The message is an event, an order update, or Lambda's record of an event.
    """
    event = event_in(body)
    detail = event.get("detail", event)
    order_id = detail.get("order_id") if isinstance(detail, dict) else None
    return order_id if isinstance(order_id, str) else None


def event_in(body: str) -> dict[str, Any]:
    """The event or order update in a message, whoever parked it; empty when there is none."""
    parked = reading.parse_json_object(body)
    inner = parked.get("requestPayload", parked)
    return inner if isinstance(inner, dict) else {}


def reason(error: Exception) -> str:
    """Why a call failed: the operation, the error's code and its message."""
    if isinstance(error, ClientError):
        details = error.response["Error"]
        return f"{error.operation_name}: {details['Code']}: {details['Message']}"
    return str(error)
