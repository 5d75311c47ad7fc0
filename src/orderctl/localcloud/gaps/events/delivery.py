"""EventBridge's deliveries to queues and functions: permissions, retries, dead-letter queues.

MiniStack 1.5.33 delivers to a queue without asking its policy and to a function without asking
its permissions, runs the function once, and drops what it cannot deliver.

AWS ("Using resource-based policies for Amazon EventBridge" and "Using dead-letter queues to
process undelivered events", EventBridge user guide) delivers only where the target's policy lets
events.amazonaws.com do it for that rule. A missing permission or target is not retried: the
event goes straight to the target's dead-letter queue, if that queue's policy allows it, with the
attributes RULE_ARN, TARGET_ARN, ERROR_CODE and ERROR_MESSAGE; otherwise it is dropped. A
function is invoked asynchronously, with its own retries and destinations.

AWS counts all this in the namespace AWS/Events: MatchedEvents and TriggeredRules per event,
Invocations per target, FailedInvocations for those that failed for good, and of these
InvocationsSentToDlq and InvocationsFailedToBeSentToDlq ("Monitoring Amazon EventBridge", same
guide). The dimensions are RuleName on the default bus, and EventBusName with RuleName on others.

The seams are MiniStack's two functions that hand a payload to a queue and to a function, and the
one around them that knows the rule and the target; what matched is counted there, once per event,
with the rule's first target. Targets with a role of their own, targets of
other services, and schedules stay MiniStack's.
"""

import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import cloudwatch, eventbridge, lambda_svc, sqs

from orderctl.localcloud import seams
from orderctl.localcloud.gaps.awslambda.permissions import function_allows
from orderctl.localcloud.gaps.sqs import queues

_SERVICE = "events.amazonaws.com"
_DEFAULT_BUS = "default"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Delivery:
    """The delivery under way: for which rule, to which of its targets."""

    rule: dict[str, Any]
    target: dict[str, Any]

    @property
    def rule_arn(self) -> str:
        """The ARN of the rule."""
        arn: str = self.rule["Arn"]
        return arn

    def count(self, *metrics: str) -> None:
        """Count it in metrics of the rule."""
        dimensions = {"RuleName": self.rule["Name"]}
        bus = self.rule.get("EventBusName", _DEFAULT_BUS)
        if bus != _DEFAULT_BUS:
            dimensions["EventBusName"] = bus
        for metric in metrics:
            cloudwatch.record_metric("AWS/Events", metric, 1, "Count", dimensions)

    def is_first(self) -> bool:
        """Whether it is to the rule's first target."""
        key = eventbridge._rule_key(self.rule["Name"], self.rule.get("EventBusName", _DEFAULT_BUS))
        return bool(eventbridge._targets.get(key, [None])[0] is self.target)


_under_way: ContextVar[_Delivery | None] = ContextVar("delivery_under_way", default=None)


def install() -> None:
    """Make deliveries of rules to queues and functions follow these rules."""
    invoke_target = seams.original(eventbridge, "_invoke_target")
    to_queue = seams.original(eventbridge, "_dispatch_to_sqs")
    to_function = seams.original(eventbridge, "_dispatch_to_lambda")

    def invoke_known_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: object = None
    ) -> None:
        checked = rule["Arn"].startswith("arn:aws:events:") and not target.get("RoleArn")
        delivery = _Delivery(rule, target) if checked else None
        if delivery:
            matched = ("MatchedEvents", "TriggeredRules") if delivery.is_first() else ()
            delivery.count(*matched, "Invocations")
        token = _under_way.set(delivery)
        try:
            invoke_target(target, event, rule, view)
        finally:
            _under_way.reset(token)

    def to_allowed_queue(
        spec: object, payload: str, parameters: dict[str, Any] | None = None
    ) -> None:
        delivery = _under_way.get()
        if delivery is None or _queue_takes(str(spec), delivery, payload):
            to_queue(spec, payload, parameters)

    def to_allowed_function(arn: str, payload: str) -> None:
        delivery = _under_way.get()
        if delivery is None:
            to_function(arn, payload)
        else:
            _invoke_function(arn, delivery, payload)

    seams.replace(eventbridge, "_invoke_target", invoke_known_target)
    seams.replace(eventbridge, "_dispatch_to_sqs", to_allowed_queue)
    seams.replace(eventbridge, "_dispatch_to_lambda", to_allowed_function)


def _queue_takes(arn: str, delivery: _Delivery, payload: str) -> bool:
    """Whether the target queue is there and lets the rule in; if not, the event is put aside."""
    if sqs._queue_by_arn(arn) is None:
        _put_aside(delivery, payload, "NO_RESOURCE", f"The queue {arn} does not exist.")
        return False
    if not sqs.queue_policy_allows(arn, _SERVICE, delivery.rule_arn, get_account_id()):
        message = f"{_SERVICE} is not authorized to perform sqs:SendMessage on {arn}."
        _put_aside(delivery, payload, "NO_PERMISSIONS", message)
        return False
    return True


def _invoke_function(arn: str, delivery: _Delivery, payload: str) -> None:
    function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)
    if not function or not configuration:
        _put_aside(delivery, payload, "NO_RESOURCE", f"The function {arn} does not exist.")
    elif not function_allows(arn, _SERVICE, delivery.rule_arn):
        message = f"{_SERVICE} is not authorized to perform lambda:InvokeFunction on {arn}."
        _put_aside(delivery, payload, "NO_PERMISSIONS", message)
    else:
        record = lambda_svc._execution_record_for_config(function, configuration)
        # Looked up at the call: async_invocations.py replaces it.
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _put_aside(delivery: _Delivery, payload: str, code: str, message: str) -> None:
    """Send an undelivered event to the target's dead-letter queue, or drop it."""
    attributes = {
        "RULE_ARN": delivery.rule_arn,
        "TARGET_ARN": delivery.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
    }
    dead_letter_arn = (delivery.target.get("DeadLetterConfig") or {}).get("Arn", "")
    queue = sqs._queue_by_arn(dead_letter_arn)
    if queue is not None and sqs.queue_policy_allows(
        dead_letter_arn, _SERVICE, delivery.rule_arn, get_account_id()
    ):
        strings = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        }
        queues.put(queue, payload, attributes=strings)
        delivery.count("FailedInvocations", "InvocationsSentToDlq")
    elif dead_letter_arn:
        _log.warning("EventBridge lost an event: %s", attributes)
        delivery.count("FailedInvocations", "InvocationsFailedToBeSentToDlq")
    else:
        delivery.count("FailedInvocations")
        _log.warning("EventBridge dropped an event: %s", attributes)
