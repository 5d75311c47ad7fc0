"""The condition key `dynamodb:LeadingKeys`, for calls that write one item.

MiniStack 1.5.33 does not know it, so a policy that lets somebody write certain items only would
refuse them all. On AWS it holds the partition keys that a call is about ("Using IAM policy
conditions for fine-grained access control", DynamoDB developer guide).
"""

import json
from typing import Any

from ministack.core import iam_actions
from ministack.services import dynamodb

from orderctl.localcloud import seams

# Where each call has the item, or its key.
_ITEMS = {
    "dynamodb:DeleteItem": "Key",
    "dynamodb:PutItem": "Item",
    "dynamodb:UpdateItem": "Key",
}


def install() -> None:
    """Add the key to what the caller's policies are asked about."""
    request_context = seams.original(iam_actions, "request_tag_context")

    def with_leading_keys(
        service: str, action: str, body: bytes, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        context: dict[str, Any] = request_context(service, action, body, parameters)
        if action in _ITEMS and (key := _partition_key(body, _ITEMS[action])):
            context["dynamodb:LeadingKeys"] = [key]
        return context

    seams.replace(iam_actions, "request_tag_context", with_leading_keys)


def _partition_key(body: bytes, member: str) -> str | None:
    """The value of the partition key in a request; None if it has none that is text."""
    try:
        request = json.loads(body)
        schema = dynamodb._tables[request["TableName"]]["KeySchema"]
        name = next(key["AttributeName"] for key in schema if key["KeyType"] == "HASH")
        value = request[member][name]["S"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
