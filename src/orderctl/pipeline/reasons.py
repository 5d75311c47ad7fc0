"""Finds why a message was parked: in its attributes, its body, or a function's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orderctl.pipeline import reading
from orderctl.pipeline.dead_letters import order_id_in
from orderctl.pipeline.logs import LogLine
from orderctl.pipeline.times import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from orderctl.pipeline.logs import FunctionLog
    from orderctl.pipeline.queues import Message

_FAILURES = ("WARNING", "ERROR")
_COLONS_BEFORE_A_NAME = 6  # arn:aws:lambda:REGION:ACCOUNT:function:NAME


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a message was parked."""

    text: str
    at: str | None = None
    """When that was, if known."""


def of_undelivered(attributes: Mapping[str, str]) -> Reason:
    """Why EventBridge could not deliver an event, from the attributes that it adds."""
    code = attributes.get("ERROR_CODE")
    if code is None:
        return Reason("unknown: EventBridge did not park it (it has no ERROR_CODE)")
    target = attributes.get("TARGET_ARN", "?").rpartition(":")[2]
    rule = attributes.get("RULE_ARN", "?").rpartition("/")[2]
    why = attributes.get("ERROR_MESSAGE") or attributes.get("EXHAUSTED_RETRY_CONDITION") or ""
    return Reason(f"not delivered to {target} by rule {rule}: {code}{why and ': '}{why}")


def of_invocation(body: str) -> Reason:
    """Why Lambda gave up on an event, from its record of the invocation."""
    record = reading.parse_json_object(body)
    context: Any = record.get("requestContext")
    answer = record.get("responsePayload")
    arn = context.get("functionArn") if isinstance(context, dict) else None
    if not isinstance(arn, str) or arn.count(":") < _COLONS_BEFORE_A_NAME:
        return Reason("unknown: Lambda did not park it (it is not a record of an invocation)")
    function = arn.split(":")[_COLONS_BEFORE_A_NAME]
    said = answer.get("errorMessage") if isinstance(answer, dict) else None
    count = reading.to_text(context.get("approximateInvokeCount", "?"))
    condition = reading.to_text(context.get("condition", "failed"))
    why = f": {reading.to_text(said)}" if said else ""
    at = reading.parse_time(record.get("timestamp"))
    return Reason(
        f"{function} failed ({condition}, {count} tries){why}", format_time(at) if at else None
    )


def of_update(attributes: Mapping[str, str]) -> Reason:
    """Why an order update is parked: SNS could not deliver it, or no reader took it."""
    if said := attributes.get("ErrorMessage"):
        return Reason(f"SNS could not deliver it: {said}")
    return Reason("a reader of the order updates received it 3 times and did not delete it")


def of_consumed(message: Message, failures: Sequence[LogLine], function: str) -> Reason:
    """Why a message was received too often: the last failure that its function logged for it.

    Args:
        message: the parked message.
        failures: the failures that the function has logged, oldest first.
        function: the function's name.
    """
    order_id = order_id_in(message.body)
    for line in reversed(failures):
        of_this = line.fields.get("message_id") == message.id
        if of_this or (order_id is not None and line.fields.get("order_id") == order_id):
            why = line.fields.get("reason")
            attempt = line.fields.get("attempt")
            text = line.message + (f": {reading.to_text(why)}" if why else "")
            tries = f" (try {reading.to_text(attempt)})" if attempt else ""
            return Reason(text + tries, format_time(line.at))
    return Reason(
        f"{function} has logged nothing about it: it may have been killed, timed out, or never run"
    )


def failures(log: FunctionLog, since: datetime) -> list[LogLine]:
    """The failures that a function has logged since a time, oldest first."""
    lines: Iterable[LogLine] = (
        line for level in _FAILURES for line in log.read(since, containing=level)
    )
    return sorted((line for line in lines if line.level in _FAILURES), key=lambda line: line.at)


def event_name(event: Mapping[str, Any]) -> str:
    """The name of what is in a message: an event's detail-type or an update's status, else `?`."""
    if name := event.get("detail-type"):
        return reading.to_text(name)
    return f"update {reading.to_text(event['status'])}" if "status" in event else "?"
