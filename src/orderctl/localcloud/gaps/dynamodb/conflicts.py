"""Transactions that take a while, and what meets them.

MiniStack 1.5.33 does a transaction in an instant, so nothing ever meets one. On AWS a
TransactWriteItems holds its items for the milliseconds that it takes ("Transaction conflict
handling in DynamoDB", DynamoDB developer guide). Meanwhile a PutItem, UpdateItem or DeleteItem of
one of them gets a TransactionConflictException; another TransactWriteItems and a TransactGetItems
are cancelled, with the reason TransactionConflict for each such item and its own reason for each
other action; and the same transaction again, by its token, gets a TransactionInProgressException
("TransactWriteItems", DynamoDB API reference). A statement of a BatchExecuteStatement fails alone.
Reads that are no transactions go on.

AWS counts what was refused in the metric TransactionConflict of the table, and what was done as
samples of SuccessfulRequestLatency ("DynamoDB metrics and dimensions", DynamoDB developer guide).

Here a transaction waits for as long as it was told, holding its items, and then does its work.
BatchWriteItem and ExecuteTransaction, of which AWS does not say it, meet nothing.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
)
from ministack.services import cloudwatch, dynamodb

from orderctl.localcloud import seams

_Answer = tuple[int, dict[str, str], bytes]
_Target = tuple[object, ...]

_REASON = "TransactionConflict"
_MESSAGE = "Transaction is ongoing for the item"
_SINGLE_WRITES = frozenset({"DeleteItem", "PutItem", "UpdateItem"})
_TRANSACTIONS = frozenset({"TransactGetItems", "TransactWriteItems"})
_STATEMENTS = frozenset({"BatchExecuteStatement", "ExecuteStatement"})

# The items that transactions hold, with the token of each.
_held: dict[_Target | None, object] = {}


def install(seconds: float) -> None:
    """Let transactions take a while.

    Args:
        seconds: How long each takes; with 0 nothing ever meets one.
    """
    handle = seams.original(dynamodb, "handle_request")

    async def handle_transactions(
        method: str, path: str, headers: dict[str, str], body: bytes, query: object
    ) -> _Answer:
        async def do(content: bytes) -> _Answer:
            answer: _Answer = await handle(method, path, headers, content, query)
            return answer

        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation != "TransactWriteItems" and not _held:
            return await do(body)
        try:
            request = json.loads(body)
            targets = _targets(operation, request)
            refused = _refused(operation, request, targets)
        except (ValueError, KeyError, TypeError, AttributeError):
            return await do(body)  # MiniStack says what is wrong with it
        if refused:
            return refused
        if operation == "TransactWriteItems":
            with _holding(targets, request):
                await asyncio.sleep(seconds)
                answer = await do(body)
            _count_done(operation, answer, targets, seconds)
            return answer
        met = [target in _held for target in targets]
        return await (_the_others(request, met, do) if any(met) else do(body))

    if seconds:
        seams.replace(dynamodb, "handle_request", handle_transactions)


@contextmanager
def _holding(targets: Sequence[_Target | None], request: Mapping[str, Any]) -> Iterator[None]:
    """Hold the items of a transaction for as long as the block takes."""
    _held.update(dict.fromkeys(targets, request.get("ClientRequestToken") or object()))
    try:
        yield
    finally:
        for target in targets:
            _held.pop(target, None)


def _targets(operation: str, request: dict[str, Any]) -> list[_Target | None]:
    """The items that a request names, if it meets transactions at all.

    Raises:
        Exception: It cannot be read.
    """
    if operation in _TRANSACTIONS:
        return [_target(action) for action in _actions(request)]
    if operation in _SINGLE_WRITES:
        return [_target(request)]
    if operation in _STATEMENTS:
        return [_written_by(statement) for statement in request.get("Statements", [request])]
    return []


def _refused(
    operation: str, request: dict[str, Any], targets: Sequence[_Target | None]
) -> _Answer | None:
    """The answer to a request that transactions keep from being done at all."""
    holders = [_held.get(target) for target in targets]
    _count_conflicts(targets)
    if not any(holders) or operation == "BatchExecuteStatement":
        return None
    if operation not in _TRANSACTIONS:
        return _error("TransactionConflictException", _MESSAGE)
    if request.get("ClientRequestToken") in holders:
        return _error("TransactionInProgressException", "The transaction is in progress.")
    return _cancelled(_actions(request), holders)


def _count_conflicts(targets: Sequence[_Target | None]) -> None:
    """Count each item that is held, in its table's metric."""
    for target in targets:
        if target and target in _held:
            table = {"TableName": str(target[2])}
            cloudwatch.record_metric("AWS/DynamoDB", "TransactionConflict", 1, "Count", table)


def _count_done(
    operation: str, answer: _Answer, targets: Sequence[_Target | None], seconds: float
) -> None:
    """Count a request that was done, in the metric of each of its tables."""
    if answer[0] == HTTPStatus.OK:
        for table in {str(target[2]) for target in targets if target}:
            of = {"TableName": table, "Operation": operation}
            cloudwatch.record_metric(
                "AWS/DynamoDB", "SuccessfulRequestLatency", seconds * 1000, "Milliseconds", of
            )


def _actions(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [action for each in request["TransactItems"] for action in each.values()]


def _target(action: Mapping[str, Any]) -> _Target:
    """The item that an action names."""
    return _item(action["TableName"], action.get("Key", action.get("Item")))


def _item(table_name: str, attributes: Any) -> _Target:  # noqa: ANN401 - DynamoDB's JSON
    table_name = dynamodb._normalize_table_name(table_name)
    table = dynamodb._tables[table_name]
    names = [name for name in (table["pk_name"], table["sk_name"]) if name]
    key = [dynamodb._extract_key_val(attributes[name]) for name in names]
    return (get_account_id(), get_region(), table_name, *key)


def _written_by(statement: Mapping[str, Any]) -> _Target | None:
    """The item that a PartiQL statement writes; None for one that reads."""
    parsed = dynamodb._parse_partiql(statement["Statement"], statement.get("Parameters", []))
    if parsed["op"] == "SELECT":
        return None
    equal = {name: value for name, operator, value in parsed["conditions"] if operator == "="}
    return _item(parsed["table"], parsed.get("item") or equal)


async def _the_others(
    request: Mapping[str, Any],
    met: Sequence[bool],
    do: Callable[[bytes], Awaitable[_Answer]],
) -> _Answer:
    """Do the statements of a batch that meet no transaction."""
    pairs = [*zip(request["Statements"], met, strict=True)]
    responses: list[object] = []
    if free := [statement for statement, is_met in pairs if not is_met]:
        status, headers, body = await do(json.dumps({**request, "Statements": free}).encode())
        if status != HTTPStatus.OK:
            return status, headers, body
        responses = json.loads(body)["Responses"]
    done = iter(responses)
    failed = {"Error": {"Code": _REASON, "Message": _MESSAGE}}
    answer: _Answer = json_response(
        {"Responses": [failed if is_met else next(done) for is_met in met]}
    )
    return answer


def _cancelled(actions: Sequence[Mapping[str, Any]], holders: Sequence[object]) -> _Answer:
    """Why a transaction is cancelled of which some actions meet another."""
    reasons = [
        {"Code": _REASON, "Message": _MESSAGE} if holder else _reason(action)
        for action, holder in zip(actions, holders, strict=True)
    ]
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    )
    name = "TransactionCanceledException"
    status, headers, _ = _error(name, message)
    document = {"__type": name, "message": message, "CancellationReasons": reasons}
    return status, headers, json.dumps(document).encode()


def _reason(action: Mapping[str, Any]) -> dict[str, Any]:
    """The reason of an action that meets nothing."""
    condition = action.get("ConditionExpression")
    if not condition:
        return {"Code": "None"}
    table = dynamodb._tables[dynamodb._normalize_table_name(action["TableName"])]
    key = dynamodb._extract_key_from_item(table, action.get("Key", action.get("Item")))
    item = dynamodb._get_item_by_key(table, key)
    values, names = (action.get(f"ExpressionAttribute{kind}", {}) for kind in ("Values", "Names"))
    if dynamodb._evaluate_condition(condition, item or {}, values, names):
        return {"Code": "None"}
    reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    wants_item = action.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return reason | ({"Item": item} if wants_item and item else {})


def _error(code: str, message: str) -> _Answer:
    answer: _Answer = error_response_json(code, message, 400)
    return answer
