"""The entries of a PutEvents call, each checked with its own source, detail-type and bus.

MiniStack 1.5.33 asks the caller's policies about each bus that a call names, without the condition
keys `events:source` and `events:detail-type`. On AWS they hold what the entry says ("Using IAM
policy conditions in Amazon EventBridge", EventBridge user guide): a policy that lets a function
publish its own events only must hold here, and not refuse it everything. One entry that is refused
refuses the whole call with AccessDenied; nothing of it reaches the bus.
"""

import json
from functools import partial
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id

from orderctl.localcloud import seams

_ACTION = "events:PutEvents"
# Takes the entries from where the request is read to where it is checked.
_ENTRIES = "orderctl:entries"
_KEYS = {"Source": "events:source", "DetailType": "events:detail-type"}


def install() -> None:
    """Check each entry."""
    request_context = seams.original(iam_actions, "request_tag_context")
    bus_arns = seams.original(iam_actions, "eventbridge_resource_arns")
    enforce = seams.original(iam_evaluator, "enforce")

    def context_with_entries(
        service: str, action: str, body: bytes, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        context: dict[str, Any] = request_context(service, action, body, parameters)
        return context | {_ENTRIES: _entries(body)} if action == _ACTION else context

    def enforce_each(
        access_key: str,
        action: str,
        service: str,
        region: str,
        *resource: str,
        service_context: dict[str, Any] | None = None,
        **named: str,
    ) -> object:
        check = partial(enforce, access_key, action, service, region)
        context = dict(service_context or {})
        entries = context.pop(_ENTRIES, [])
        if not entries:
            return check(*resource, service_context=context, **named)
        for entry in entries:
            alone = json.dumps({"Entries": [entry]}).encode()
            (bus_arn,) = bus_arns(alone, region, get_account_id())
            if denied := check(bus_arn, service_context=context | condition_keys(entry)):
                return denied
        return None

    seams.replace(iam_actions, "request_tag_context", context_with_entries)
    # The other buses are checked with their entries, above.
    seams.replace(iam_actions, "eventbridge_resource_arns", lambda *request: bus_arns(*request)[:1])
    seams.replace(iam_evaluator, "enforce", enforce_each)


def condition_keys(entry: dict[str, Any]) -> dict[str, str]:
    """The condition keys of an entry. What it does not say, or not as text, has no key."""
    return {key: entry[field] for field, key in _KEYS.items() if isinstance(entry.get(field), str)}


def _entries(body: bytes) -> list[dict[str, Any]]:
    """The entries of a request; none if it cannot be read."""
    try:
        entries = json.loads(body)["Entries"]
    except (ValueError, KeyError, TypeError):
        return []
    return (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
