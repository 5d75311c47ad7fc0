"""The IAM actions that batch calls and PartiQL statements are checked as.

MiniStack 1.5.33 names an IAM action after the API operation. On AWS a batch call of SQS needs the
permission of its single call ("Amazon SQS API permissions", SQS developer guide), so does one of
SNS ("Actions, resources, and condition keys for Amazon SNS"), and a PartiQL
statement needs `dynamodb:PartiQLInsert`, `PartiQLUpdate`, `PartiQLDelete` or `PartiQLSelect` on the
table it names ("IAM security policies with PartiQL for DynamoDB", DynamoDB developer guide). There
are no actions `sqs:DeleteMessageBatch` and `dynamodb:BatchExecuteStatement` that a policy could
allow, so a least-privilege role that works on AWS would be refused here.

It takes the call that reads one event source mapping for the one that lists them all, and knows no
action for those that change or delete one ("Actions, resources, and condition keys for AWS Lambda",
Service Authorization Reference).
"""

import json
import re
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions

from orderctl.localcloud import seams

_BATCH_CALLS = {
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
_MAPPING = re.compile(r"/2015-03-31/event-source-mappings/[^/]+/?")
_MAPPING_CALLS = {
    "GET": "GetEventSourceMapping",
    "PUT": "UpdateEventSourceMapping",
    "DELETE": "DeleteEventSourceMapping",
}
_STATEMENT = re.compile(
    r"""\s*(INSERT|UPDATE|DELETE|SELECT)\b.*?(?:\b(?:INTO|FROM)\s+|(?<=UPDATE)\s+)"?([\w.-]+)""",
    re.IGNORECASE | re.DOTALL,
)
_STATEMENT_CALLS: dict[str, Callable[[dict[str, Any]], list[dict[str, Any]]]] = {
    "dynamodb:ExecuteStatement": lambda request: [request],
    "dynamodb:BatchExecuteStatement": lambda request: request.get("Statements", []),
    "dynamodb:ExecuteTransaction": lambda request: request.get("TransactStatements", []),
}


def install() -> None:
    """Check these calls as AWS does."""
    extract_action = seams.original(iam_actions, "extract_iam_action")
    lambda_action = seams.original(iam_actions, "_lambda_action")
    transaction_checks = seams.original(iam_actions, "dynamodb_transaction_checks")

    def extract_iam_action(*request: object) -> str | None:
        action: str | None = extract_action(*request)
        return _BATCH_CALLS.get(action, action) if action else None

    def action_of_lambda(method: str, path: str) -> str | None:
        if _MAPPING.fullmatch(path):
            return _MAPPING_CALLS.get(method)
        action: str | None = lambda_action(method, path)
        return action

    def dynamodb_transaction_checks(
        action: str, body: bytes, region: str, account: str
    ) -> list[tuple[str, str]]:
        if action in _STATEMENT_CALLS:
            return statement_checks(action, body, f"arn:aws:dynamodb:{region}:{account}:table/")
        checks: list[tuple[str, str]] = transaction_checks(action, body, region, account)
        return checks

    seams.replace(iam_actions, "extract_iam_action", extract_iam_action)
    seams.replace(iam_actions, "_lambda_action", action_of_lambda)
    # Its checks stand instead of one for the call as a whole.
    seams.replace(iam_actions, "dynamodb_transaction_checks", dynamodb_transaction_checks)


def statement_checks(action: str, body: bytes, table_arn_prefix: str) -> list[tuple[str, str]]:
    """The action and the table of each PartiQL statement in a request.

    Args:
        action: The IAM action as MiniStack names it.
        body: The request.
        table_arn_prefix: What stands before a table's name in its ARN.

    Returns:
        Nothing for a request that cannot be read; it is then checked as a whole, and refused.
    """
    try:
        request: dict[str, Any] = json.loads(body)
        statements = [str(s["Statement"]) for s in _STATEMENT_CALLS[action](request)]
    except (ValueError, KeyError, TypeError):
        return []
    named = [match for match in map(_STATEMENT.match, statements) if match]
    if len(named) < len(statements):
        return []
    return [(f"dynamodb:PartiQL{m[1].capitalize()}", table_arn_prefix + m[2]) for m in named]
