"""Reads what the local cloud has recorded of an order: each execution, its messages, its calls.

AWS has no such records: X-Ray does not know which order a batch is about, and what it records costs
money. So on AWS there is nothing to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from orderctl.localcloud.state import TRACES_PATH
from orderctl.pipeline import reading
from orderctl.pipeline.attempts import Attempt, Call
from orderctl.pipeline.dead_letters import event_in
from orderctl.pipeline.stack import is_of_aws

if TYPE_CHECKING:
    import boto3

_SERVICE: Final = "orderctl"
_TIMEOUT_SECONDS: Final = 10
_READS: Final = ("Get", "BatchGet", "Query", "Scan", "List", "Describe", "Receive", "Filter")
_OPERATION: Final = "operation"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the local cloud knows of an order."""

    attempts: tuple[Attempt, ...]
    since: datetime
    """It may have forgotten what began before."""


def recorded(
    session: boto3.Session, endpoint: str, order_id: str, step_of: Mapping[str, str]
) -> Recorded | None:
    """Ask the local cloud for an order's executions.

    Args:
        session: the local cloud's root user.
        endpoint: the address at which AWS is called.
        order_id: the order.
        step_of: the step of each function, by the function's name.

    Returns:
        None where nobody keeps such records: on AWS.

    Raises:
        BotoCoreError: the local cloud did not answer.
    """
    credentials = session.get_credentials()
    if is_of_aws(endpoint) or credentials is None:
        return None
    request = AWSRequest("GET", f"{endpoint}{TRACES_PATH}?{urlencode({'naming': order_id})}")
    signer = SigV4Auth(credentials.get_frozen_credentials(), _SERVICE, session.region_name)
    signer.add_auth(request)
    http = URLLib3Session(proxies={}, timeout=_TIMEOUT_SECONDS)
    try:
        answer = http.send(request.prepare())
        told = reading.parse_json_object(answer.content)
    finally:
        http.close()
    if answer.status_code != HTTPStatus.OK or "executions" not in told:
        return None
    return Recorded(tuple(_attempts(told["executions"], step_of)), _moment(told["since"]))


def _attempts(executions: list[Mapping[str, Any]], step_of: Mapping[str, str]) -> Iterator[Attempt]:
    for execution in executions:
        step = step_of.get(execution["function"])
        if step and not _only_reads(execution):
            yield from _of(execution, step)


def _only_reads(execution: Mapping[str, Any]) -> bool:
    """Whether it has only looked at the order, as GET does: that is no attempt."""
    if any(message["id"] for message in execution["naming"]):
        return False
    return all(
        call[_OPERATION].startswith(_READS) for call in execution["calls"] if call["names_it"]
    )


def _of(execution: Mapping[str, Any], step: str) -> Iterator[Attempt]:
    """The attempts of an execution: one for each message about the order that it got."""
    alone = execution["records"] == 1 and bool(execution["naming"])
    shown = [call for call in execution["calls"] if alone or call["names_it"]]
    first = True
    for message in execution["naming"] or [{}]:
        event = event_in(message.get("body", ""))
        detail = event.get("detail")
        told_at = reading.parse_time(detail.get("at")) if isinstance(detail, dict) else None
        yield Attempt(
            step=step,
            request_id=execution["request_id"],
            event=_event(event),
            event_id=reading.to_text(event.get("id", "")),
            published_at=told_at,
            message=message.get("id") or "",
            number=message.get("attempt"),
            sent_at=_moment_or_none(message.get("sent_at")),
            began_at=_moment(execution["began"]),
            loaded_at=_moment_or_none(execution["loaded"]),
            ended_at=_moment_or_none(execution["ended"]),
            failed=message.get("failed", False) or bool(execution["error"]),
            says=(execution["error"],) if execution["error"] else (),
            # Its calls are told once, whatever the number of messages that they were made for.
            calls=tuple(map(_call, shown)) if first else (),
            messages=execution["records"],
            other_calls=len(execution["calls"]) - len(shown),
        )
        first = False


def _event(event: Mapping[str, Any]) -> str:
    """What a function was called with: an event of the bus, or a request to the API."""
    if "httpMethod" in event:
        return f"{reading.to_text(event['httpMethod'])} {reading.to_text(event.get('resource'))}"
    return reading.to_text(event.get("detail-type", ""))


def _call(call: Mapping[str, Any]) -> Call:
    return Call(
        service=call["service"],
        operation=call[_OPERATION],
        on=", ".join(call["on"]),
        began_at=_moment(call["began"]),
        ended_at=_moment_or_none(call["ended"]),
        error=call["error"],
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _moment(seconds)
