"""Asynchronous invocations: retries, destinations and dead-letter queues.

MiniStack 1.5.33 tries again, but a throttled call uses up a retry, a destination's record lacks
version, timestamp, request id and the true number of attempts, a function's dead-letter queue
gets that record too instead of the event, there is no on-success destination, and nobody asks
whether the function may send there.

AWS ("How Lambda handles errors and retries with asynchronous invocation" and "Capturing records
of Lambda asynchronous invocations", Lambda developer guide) tries a failed event again after one
and after two minutes, MaximumRetryAttempts times (2 if not set); a throttled one for as long as
MaximumEventAgeInSeconds allows, without using up a retry. Then it sends a record to the
on-failure destination and the event itself to the function's dead-letter queue, both with the
permissions of the function's role. What cannot be sent is lost, and counted in the function's
metric DestinationDeliveryFailures, or DeadLetterErrors. AsyncEventsDropped counts the events that
were given up, sent on or not, and AsyncEventAge tells in milliseconds how long each had waited
when it was tried ("Types of metrics for Lambda functions").

MiniStack's function for it is replaced as a whole. Each function has a queue of its own, as on
AWS, and a few threads that take events off it as they fall due; an event that waits, for its turn
or for its next attempt, holds neither a thread nor a part of the account's concurrency. Here a
minute of waiting is a second. Records go out through the API, signed as the role; destinations can
be queues and topics.
"""

import contextvars
import heapq
import itertools
import json
import logging
import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
from botocore.exceptions import ClientError
from ministack.core import lambda_runtime
from ministack.core.responses import request_scope
from ministack.services import cloudwatch, lambda_svc

from orderctl.localcloud import seams, threads
from orderctl.localcloud.gaps.awslambda.executions import AT_ONCE

_ERROR_DELAYS = (1.0, 2.0)  # on AWS these are minutes
_FIRST_THROTTLE_DELAY = 1.0
_LONGEST_THROTTLE_DELAY = 30.0
_MAX_ATTEMPTS_DEFAULT = 2
_MAX_AGE_DEFAULT = 6 * 60 * 60
_MAX_ERROR_MESSAGE = 1024

_log = logging.getLogger(__name__)

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded"]


@dataclass(frozen=True)
class _Outcome:
    """How an event ended."""

    condition: Condition
    attempts: int
    result: dict[str, Any]


@dataclass
class _Event:
    """An event that a function has not taken yet.

    Attributes:
        function: The function as it was when the event came.
        payload: What it is called with.
        context: The variables of the request that brought it.
        came: When, on the monotonic clock.
        attempts: How often it was tried.
        throttle_delay: How long it waits when it is throttled next.
    """

    function: dict[str, Any]
    payload: object
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    came: float = field(default_factory=time.monotonic)
    attempts: int = 0
    throttle_delay: float = _FIRST_THROTTLE_DELAY

    @property
    def arn(self) -> str:
        """The function's, or its version's."""
        return str(self.function["config"]["FunctionArn"])


class _Queue:
    """The events that wait for one function, and the threads that take them off."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, _Event]] = []
        self._numbers = itertools.count()
        self._pollers = 0

    def put(self, event: _Event, delay: float = 0.0) -> None:
        """Let an event be tried after `delay` seconds."""
        due = time.monotonic() + delay
        with self._changed:
            heapq.heappush(self._waiting, (due, next(self._numbers), event))
            self._changed.notify()
            if self._pollers < AT_ONCE:
                self._pollers += 1
                threads.start(self._poll)

    def _poll(self) -> None:
        while event := self._take():
            try:
                event.context.run(_process, event)
            except Exception:
                _log.exception("an event for %s was lost", event.arn)

    def _take(self) -> _Event | None:
        """The next event when it is due; None when no more are waiting."""
        with self._changed:
            while self._waiting:
                due, _, event = self._waiting[0]
                wait = due - time.monotonic()
                if wait <= 0:
                    heapq.heappop(self._waiting)
                    return event
                self._changed.wait(wait)
            self._pollers -= 1
            return None


_queues: defaultdict[str, _Queue] = defaultdict(_Queue)


def install() -> None:
    """Make every asynchronous invocation follow these rules."""
    seams.replace(lambda_svc, "invoke_async_with_retry", _invoke)


def _invoke(function: dict[str, Any], payload: object) -> None:
    """Take an event for a function and return at once."""
    event = _Event(function, payload)
    _queues[event.arn].put(event)


def _process(event: _Event) -> None:
    """Try an event once; then it is done, or waits for another attempt."""
    _, _, _, region, account, *_ = event.arn.split(":")
    with request_scope(account, region):
        settings = _settings(event.function)
        try:
            outcome = _attempt(event, settings)
        except LookupError:
            _log.warning("%s was deleted while an event waited for it", event.arn)
            return
        if outcome:
            _send_outcome(event.function["config"], settings, event.payload, outcome)
            if outcome.condition != "Success":
                _count(event, "AsyncEventsDropped", 1, "Count")


def _count(event: _Event, metric: str, value: float, unit: str) -> None:
    dimensions = {"FunctionName": event.function["config"]["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", metric, value, unit, dimensions)


def _settings(function: dict[str, Any]) -> dict[str, Any]:
    """The EventInvokeConfig of the function's version; without a qualifier it is for $LATEST."""
    version = function["config"].get("Version", "$LATEST")
    configs = function.get("event_invoke_configs") or {}
    return configs.get(version) or (configs.get("") if version == "$LATEST" else None) or {}


def _current(arn: str) -> dict[str, Any]:
    """The function as it is now: it may have changed while an event waited."""
    function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)
    if not function or not configuration:
        raise LookupError(arn)
    record: dict[str, Any] = lambda_svc._execution_record_for_config(function, configuration)
    return record


def _attempt(event: _Event, settings: dict[str, Any]) -> _Outcome | None:
    """Try an event; None when it is to be tried again, and waits for it."""
    retries = settings.get("MaximumRetryAttempts", _MAX_ATTEMPTS_DEFAULT)
    current = _current(event.arn)
    _count(event, "AsyncEventAge", (time.monotonic() - event.came) * 1000, "Milliseconds")
    result = lambda_svc._execute_function(current, event.payload)
    if result.get("throttle"):
        delay = event.throttle_delay
        event.throttle_delay = min(2 * delay, _LONGEST_THROTTLE_DELAY)
    else:
        event.attempts += 1
        if not result.get("error"):
            return _Outcome("Success", event.attempts, result)
        if event.attempts > retries:
            return _Outcome("RetriesExhausted", event.attempts, result)
        delay = _ERROR_DELAYS[event.attempts - 1]
    longest = settings.get("MaximumEventAgeInSeconds", _MAX_AGE_DEFAULT)
    if time.monotonic() + delay > event.came + longest:
        return _Outcome("EventAgeExceeded", event.attempts, result)
    _queues[event.arn].put(event, delay)
    return None


def _send_outcome(
    configuration: dict[str, Any], settings: dict[str, Any], event: object, outcome: _Outcome
) -> None:
    succeeded = outcome.condition == "Success"
    destinations = settings.get("DestinationConfig") or {}
    destination = destinations.get("OnSuccess" if succeeded else "OnFailure") or {}
    if arn := destination.get("Destination"):
        record = _record(configuration, event, outcome)
        _send(configuration, arn, json.dumps(record), {})
    dead_letter_arn = (configuration.get("DeadLetterConfig") or {}).get("TargetArn")
    if dead_letter_arn and not succeeded:
        _send(configuration, dead_letter_arn, json.dumps(event), _error_attributes(outcome))


def _record(configuration: dict[str, Any], event: object, outcome: _Outcome) -> dict[str, Any]:
    version = configuration.get("Version", "$LATEST")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": version}
    if outcome.condition != "Success":
        response["functionError"] = "Unhandled"
    return {
        "version": "1.0",
        "timestamp": now.replace("+00:00", "Z"),
        "requestContext": {
            "requestId": outcome.result.get("requestId", ""),
            "functionArn": f"{configuration['FunctionArn'].removesuffix(':' + version)}:{version}",
            "condition": outcome.condition,
            "approximateInvokeCount": outcome.attempts,
        },
        "requestPayload": event,
        "responseContext": response,
        "responsePayload": outcome.result.get("body"),
    }


def _error_attributes(outcome: _Outcome) -> dict[str, Any]:
    body = outcome.result.get("body") or {}
    message = str(body.get("errorMessage", ""))[:_MAX_ERROR_MESSAGE] or outcome.condition
    return {
        "RequestID": {"DataType": "String", "StringValue": outcome.result.get("requestId", "-")},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": message},
    }


def _send(configuration: dict[str, Any], arn: str, body: str, attributes: dict[str, Any]) -> None:
    """Send to a queue or a topic as the function's role."""
    _, _, service, region, account, name, *_ = arn.split(":")
    credentials = lambda_runtime.execution_credentials(configuration)
    session = boto3.Session(
        credentials["AWS_ACCESS_KEY_ID"],
        credentials["AWS_SECRET_ACCESS_KEY"],
        credentials["AWS_SESSION_TOKEN"],
        region_name=region,
    )
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    try:
        if service == "sqs":
            session.client("sqs", endpoint_url=endpoint).send_message(
                QueueUrl=f"{endpoint}/{account}/{name}",
                MessageBody=body,
                MessageAttributes=attributes,
            )
        elif service == "sns":
            session.client("sns", endpoint_url=endpoint).publish(
                TopicArn=arn, Message=body, MessageAttributes=attributes
            )
        else:
            _log.warning("the local cloud sends no records of invocations to %s", arn)
    except ClientError as error:
        function = configuration["FunctionName"]
        _log.warning("%s lost a record: %s", function, error)
        # Only what goes to a dead-letter queue has attributes.
        metric = "DeadLetterErrors" if attributes else "DestinationDeliveryFailures"
        cloudwatch.record_metric("AWS/Lambda", metric, 1, "Count", {"FunctionName": function})
