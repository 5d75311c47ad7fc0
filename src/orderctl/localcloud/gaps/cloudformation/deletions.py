"""What a deletion leaves behind for a while: the name of a queue, and the rule of an archive.

MiniStack 1.5.33 gives a deleted queue's name away at once, and deletes a bus with its rules. So a
stack that is deleted and deployed again at once works here, and would not on AWS:

- "You must wait 60 seconds after deleting a queue before you can create another with the same
  name" (QueueDeletedRecently, CreateQueue, SQS API reference). Here it is HELD_NAME_SECONDS.
- A bus with rules is not deleted (DeleteEventBus, EventBridge API reference), and an archive is a
  managed rule on its bus ("Archiving events", EventBridge user guide). AWS does not say how soon
  after its archive that rule goes; here it takes a second.
"""

import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import eventbridge, sqs
from ministack.services.cloudformation import provisioners

from orderctl.localcloud import seams
from orderctl.localcloud.state import HELD_NAME_SECONDS

_MANAGED_RULE_SECONDS = 1
_BUS = "AWS::Events::EventBus"
_QUEUE = "AWS::SQS::Queue"
_DELETED_RECENTLY = (
    "You must wait 60 seconds after deleting a queue before you can create another with the same "
    "name."
)
_HAS_RULES = "EventBus can't be deleted since it has rules."

_Key = tuple[str, str, str]
# Until when a queue's name, or a bus's managed rule, is there.
_names: dict[_Key, float] = {}
_managed_rules: dict[_Key, float] = {}


def install() -> None:
    """Keep names and rules for a while, for the APIs and for stacks."""
    handlers: Any = seams.original(provisioners, "_RESOURCE_HANDLERS")
    actions: Any = seams.original(sqs, "_HANDLERS")
    create, delete = actions["CreateQueue"], actions["DeleteQueue"]
    create_of_stack, delete_of_stack = handlers[_QUEUE]["create"], handlers[_QUEUE]["delete"]
    delete_bus_of_stack = handlers[_BUS]["delete"]

    def create_queue(data: dict[str, Any], url: str) -> object:
        if (wanted := data.get("QueueName", "")) and _is_held(_names, wanted):
            raise sqs._Err("QueueDeletedRecently", _DELETED_RECENTLY, 400)
        return create(data, url)

    def delete_queue(data: dict[str, Any], url: str) -> object:
        answer = delete(data, url)
        _hold(_names, data.get("QueueUrl", url).rpartition("/")[2], HELD_NAME_SECONDS)
        return answer

    def create_queue_of_stack(logical_id: str, properties: dict[str, Any], stack: str) -> object:
        if _is_held(_names, properties.get("QueueName", "")):
            raise ValueError(_DELETED_RECENTLY)
        return create_of_stack(logical_id, properties, stack)

    def delete_queue_of_stack(physical_id: str, properties: dict[str, Any]) -> None:
        delete_of_stack(physical_id, properties)
        _hold(_names, physical_id.rpartition("/")[2], HELD_NAME_SECONDS)

    def delete_bus_of_stack_without_rules(physical_id: str, properties: dict[str, Any]) -> None:
        if _has_rules(physical_id):
            raise ValueError(_HAS_RULES)
        delete_bus_of_stack(physical_id, properties)

    actions |= {"CreateQueue": create_queue, "DeleteQueue": delete_queue}
    handlers[_QUEUE] |= {"create": create_queue_of_stack, "delete": delete_queue_of_stack}
    handlers[_BUS]["delete"] = delete_bus_of_stack_without_rules
    _replace("_delete_event_bus", _delete_bus)
    _replace("_delete_archive", _delete_archive)


def _replace(name: str, wrapped: Callable[..., Any]) -> None:
    original = seams.original(eventbridge, name)
    seams.replace(eventbridge, name, lambda data: wrapped(original, data))


def _delete_bus(delete: Callable[..., Any], data: dict[str, Any]) -> object:
    if _has_rules(data.get("Name", "")):
        return error_response_json("ValidationException", _HAS_RULES, 400)
    return delete(data)


def _delete_archive(delete: Callable[..., Any], data: dict[str, Any]) -> object:
    if archive := eventbridge._archives.get(data.get("ArchiveName")):
        bus = archive["EventSourceArn"].rpartition("/")[2]
        _hold(_managed_rules, bus, _MANAGED_RULE_SECONDS)
    return delete(data)


def _has_rules(bus: str) -> bool:
    rules = (r for r in eventbridge._rules.values() if r.get("EventBusName") == bus)
    archives = (
        a for a in eventbridge._archives.values() if a["EventSourceArn"].rpartition("/")[2] == bus
    )
    return _is_held(_managed_rules, bus) or any(rules) or any(archives)


def _hold(held: dict[_Key, float], name: str, seconds: float) -> None:
    held[get_account_id(), get_region(), name] = time.time() + seconds


def _is_held(held: dict[_Key, float], name: str) -> bool:
    return held.get((get_account_id(), get_region(), name), 0) > time.time()
