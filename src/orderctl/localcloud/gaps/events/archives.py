"""EventBridge archives as resources of a stack, and replays that go to chosen rules.

MiniStack 1.5.33 has archives, but CloudFormation does not know AWS::Events::Archive. Its replays
go to every rule, whatever FilterArns says, show no progress, and are not stopped by CancelReplay.

AWS ("Archiving and replaying events", EventBridge user guide; StartReplay and DescribeReplay,
EventBridge API reference) replays the events of a span of time, to the rules in FilterArns if
there are any. Each carries `replay-name`, and is not archived again. EventLastReplayedTime is the
time of the last event that was replayed; a cancelled replay stops.

A replay runs on the event loop, step by step, as everything that touches a queue (see queues.py).
"""

import asyncio
import json
import time
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    request_scope,
)
from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

from orderctl.localcloud import seams

_TYPE = "AWS::Events::Archive"
_EVENTS_PER_STEP = 50
_STEP_SECONDS = 0.05

_Answer = tuple[int, dict[str, str], bytes]

_chosen_rules: ContextVar[frozenset[str] | None] = ContextVar("chosen_rules", default=None)
_running: set[asyncio.Task[None]] = set()


def install() -> None:
    """Add the resource type, and replace replays."""
    types: Any = seams.original(provisioners, "_RESOURCE_HANDLERS")
    types[_TYPE] = {"create": _create, "update": _update, "delete": _delete}
    invoke_target = seams.original(eventbridge, "_invoke_target")

    def invoke_chosen_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: object = None
    ) -> None:
        chosen = _chosen_rules.get()
        if chosen is None or rule["Arn"] in chosen:
            invoke_target(target, event, rule, view)

    seams.replace(eventbridge, "_invoke_target", invoke_chosen_target)
    seams.replace(eventbridge, "_start_replay", _start_replay)
    seams.replace(eventbridge, "_cancel_replay", _cancel_replay)


def _create(
    logical_id: str, properties: dict[str, Any], stack_name: str
) -> tuple[str, dict[str, str]]:
    name = properties.get("ArchiveName") or f"{stack_name}-{logical_id}"
    answer = _checked(eventbridge._create_archive(_request(name, properties)))
    return name, {"Arn": answer["ArchiveArn"]}


def _update(
    physical_id: str, before: dict[str, Any], properties: dict[str, Any], stack_name: str
) -> tuple[str, dict[str, str]]:
    if properties["SourceArn"] != before["SourceArn"]:
        _delete(physical_id, before)
    elif properties.get("ArchiveName", physical_id) == physical_id:
        answer = _checked(eventbridge._update_archive(_request(physical_id, properties)))
        return physical_id, {"Arn": answer["ArchiveArn"]}
    return _create(physical_id, properties, stack_name)


def _delete(physical_id: str, _properties: dict[str, Any]) -> None:
    eventbridge._delete_archive({"ArchiveName": physical_id})


def _request(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The API's request for a resource's properties."""
    pattern = properties.get("EventPattern", "")
    return {
        "ArchiveName": name,
        "EventSourceArn": properties["SourceArn"],
        "Description": properties.get("Description", ""),
        "EventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern),
        "RetentionDays": int(properties.get("RetentionDays", 0)),
    }


def _checked(answer: _Answer) -> dict[str, Any]:
    status, _, body = answer
    content: dict[str, Any] = json.loads(body)
    if status != HTTPStatus.OK:
        raise ValueError(f"{_TYPE}: {content.get('message', content)}")
    return content


def _start_replay(data: dict[str, Any]) -> _Answer:
    name, source = data.get("ReplayName", ""), data.get("EventSourceArn", "")
    destination = data.get("Destination") or {}
    start, end = (
        eventbridge._coerce_timestamp(data.get(limit, 0))
        for limit in ("EventStartTime", "EventEndTime")
    )
    archive = eventbridge._archives.get(source.rpartition("/")[2])
    if not name or start >= end:
        return _invalid("A replay needs a name, and an EventStartTime before its EventEndTime.")
    if name in eventbridge._replays:
        return _error("ResourceAlreadyExistsException", f"Replay {name} already exists.")
    if archive is None or archive["ArchiveArn"] != source:
        return _error("ResourceNotFoundException", f"Archive {source} does not exist.")
    if destination.get("Arn") != archive["EventSourceArn"]:
        return _invalid("Destination.Arn must be the event bus that the archive is of.")
    replay = {
        "ReplayName": name,
        "ReplayArn": f"arn:aws:events:{get_region()}:{get_account_id()}:replay/{name}",
        "Description": data.get("Description", ""),
        "EventSourceArn": source,
        "EventStartTime": start,
        "EventEndTime": end,
        "Destination": destination,
        "State": "STARTING",
        "ReplayStartTime": time.time(),
    }
    eventbridge._replays[name] = replay
    events = [e for e in archive.get("Events", ()) if start <= e["Time"] < end]
    task = asyncio.create_task(_run(replay, events, get_account_id(), get_region()))
    _running.add(task)
    task.add_done_callback(_running.discard)
    return _state_of(replay)


async def _run(
    replay: dict[str, Any], events: list[dict[str, Any]], account: str, region: str
) -> None:
    """Put the events on the bus again, for the chosen rules alone."""
    arns = replay["Destination"].get("FilterArns")
    _chosen_rules.set(frozenset(arns) if arns else None)
    replay["State"] = "RUNNING"
    for number, event in enumerate(events):
        if number % _EVENTS_PER_STEP == 0:
            await asyncio.sleep(_STEP_SECONDS)
        if replay["State"] != "RUNNING":
            return
        with request_scope(account, region):
            eventbridge._dispatch_event(event | {"ReplayName": replay["ReplayName"]})
        replay["EventLastReplayedTime"] = event["Time"]
    replay["State"] = "COMPLETED"
    replay["ReplayEndTime"] = time.time()


def _cancel_replay(data: dict[str, Any]) -> _Answer:
    name = data.get("ReplayName", "")
    replay = eventbridge._replays.get(name)
    if replay is None:
        return _error("ResourceNotFoundException", f"Replay {name} does not exist.")
    if replay["State"] not in ("STARTING", "RUNNING"):
        return _error("IllegalStatusException", f"Replay {name} is {replay['State']}.")
    replay["State"] = "CANCELLED"
    replay["ReplayEndTime"] = time.time()
    return _state_of(replay)


def _state_of(replay: dict[str, Any]) -> _Answer:
    answer: _Answer = json_response({name: replay[name] for name in ("ReplayArn", "State")})
    return answer


def _invalid(message: str) -> _Answer:
    return _error("ValidationException", message)


def _error(code: str, message: str) -> _Answer:
    answer: _Answer = error_response_json(code, message, 400)
    return answer
