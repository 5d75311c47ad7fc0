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
metric DestinationDeliveryFailures, or DeadLetterErrors.

MiniStack's function for it is replaced as a whole. Here a minute of waiting is a second. Records
go out through the API, signed as the role; destinations can be queues and topics.
"""

import contextvars
import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
from botocore.exceptions import ClientError
from ministack.core import lambda_runtime
from ministack.core.responses import request_scope
from ministack.services import cloudwatch, lambda_svc

from orderctl.localcloud import seams

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


def install() -> None:
    """Make every asynchronous invocation follow these rules."""
    seams.replace(lambda_svc, "invoke_async_with_retry", _invoke)


def _invoke(function: dict[str, Any], event: object) -> None:
    """Start an asynchronous invocation and return at once."""
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(_process, function, event), daemon=True, name="async-invocation"
    ).start()


def _process(function: dict[str, Any], event: object) -> None:
    arn = function["config"]["FunctionArn"]
    _, _, _, region, account, *_ = arn.split(":")
    with request_scope(account, region):
        settings = _settings(function)
        try:
            outcome = _execute(arn, event, settings)
        except LookupError:
            _log.warning("%s was deleted while an event waited for it", arn)
        else:
            _send_outcome(function["config"], settings, event, outcome)


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


def _execute(arn: str, event: object, settings: dict[str, Any]) -> _Outcome:
    """Try an event until it succeeds or may not be tried again."""
    retries = settings.get("MaximumRetryAttempts", _MAX_ATTEMPTS_DEFAULT)
    deadline = time.monotonic() + settings.get("MaximumEventAgeInSeconds", _MAX_AGE_DEFAULT)
    throttle_delay = _FIRST_THROTTLE_DELAY
    attempts = 0
    while True:
        result = lambda_svc._execute_function(_current(arn), event)
        if result.get("throttle"):
            delay = throttle_delay
            throttle_delay = min(2 * throttle_delay, _LONGEST_THROTTLE_DELAY)
        else:
            attempts += 1
            if not result.get("error"):
                return _Outcome("Success", attempts, result)
            if attempts > retries:
                return _Outcome("RetriesExhausted", attempts, result)
            delay = _ERROR_DELAYS[attempts - 1]
        if time.monotonic() + delay > deadline:
            return _Outcome("EventAgeExceeded", attempts, result)
        time.sleep(delay)


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
