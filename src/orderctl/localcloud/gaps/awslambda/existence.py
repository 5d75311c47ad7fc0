"""What an event source mapping and a permission name must be there, and must fit.

MiniStack 1.5.33 takes a mapping of a queue that does not exist, or whose visibility timeout is
shorter than its function's timeout, and, in a template, a mapping or a permission of a function
that does not exist.

AWS refuses each ("CreateEventSourceMapping" and "AddPermission", Lambda API reference; for the
timeouts "Creating and configuring an Amazon SQS event source mapping", Lambda developer guide). Six
times the function's timeout is AWS's advice only, and is not enforced there either.

The seams are MiniStack's function that creates a mapping, and its handlers of these resource
types, which CloudFormation's engine finds in a table by the type's name.
"""

from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from orderctl.localcloud import seams

_Properties = dict[str, Any]
_MAPPING = "AWS::Lambda::EventSourceMapping"
_PERMISSION = "AWS::Lambda::Permission"
_INVALID = "InvalidParameterValueException"


def install() -> None:
    """Refuse what names something that is not there, or does not fit."""
    create = seams.original(lambda_svc, "_create_esm")

    def create_if_it_fits(data: _Properties) -> object:
        # MiniStack itself looks for the function here.
        if why := _wrong_queue(data):
            return error_response_json(_INVALID, why, 400)
        return create(data)

    seams.replace(lambda_svc, "_create_esm", create_if_it_fits)
    _check_first(_MAPPING, lambda properties: _no_function(properties) or _wrong_queue(properties))
    _check_first(_PERMISSION, _no_function)


def _check_first(resource_type: str, fault: Callable[[_Properties], str | None]) -> None:
    """Fail a resource of a stack if something is wrong with it, before it is created or updated."""
    handlers: Any = seams.original(provisioners, "_RESOURCE_HANDLERS")
    create, update = handlers[resource_type]["create"], handlers[resource_type]["update"]

    def checked_create(logical_id: str, properties: _Properties, stack: str) -> object:
        _refuse(fault(properties))
        return create(logical_id, properties, stack)

    def checked_update(
        physical_id: str, old: _Properties, new: _Properties, *more: object
    ) -> object:
        _refuse(fault(new))
        return update(physical_id, old, new, *more)

    handlers[resource_type] |= {"create": checked_create, "update": checked_update}


def _refuse(why: str | None) -> None:
    if why:
        raise ValueError(why)


def _no_function(properties: _Properties) -> str | None:
    name = str(properties.get("FunctionName", ""))
    plain, _ = lambda_svc._resolve_name_and_qualifier(name)
    return None if plain in lambda_svc._functions else f"Function not found: {name}"


def _wrong_queue(properties: _Properties) -> str | None:
    """What is wrong with the queue of a mapping; None for another kind of source."""
    arn = str(properties.get("EventSourceArn", ""))
    if ":sqs:" not in arn:
        return None
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        return (
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService."
            f"NonExistentQueue. The specified queue does not exist: {arn}"
        )
    name, _ = lambda_svc._resolve_name_and_qualifier(str(properties.get("FunctionName", "")))
    function = lambda_svc._functions.get(name)
    timeout = int(function["config"].get("Timeout", 3)) if function else 0
    hidden = int(queue["attributes"].get("VisibilityTimeout", 30))
    if hidden >= timeout:
        return None
    return (
        f"Queue visibility timeout: {hidden} seconds is less than Function timeout: "
        f"{timeout} seconds"
    )
