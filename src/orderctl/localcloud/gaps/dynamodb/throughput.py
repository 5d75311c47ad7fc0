"""The most that a table on demand takes, if its OnDemandThroughput says so.

MiniStack 1.5.33 keeps a table's MaxWriteRequestUnits and takes any number of writes all the same.

AWS throttles what exceeds it, table by table ("DynamoDB maximum throughput for on-demand tables",
DynamoDB developer guide): a write gets a ThrottlingException; a statement of a
BatchExecuteStatement fails alone, with ThrottlingError; and a transaction is cancelled, with
ThrottlingError for each such action. It is best effort there, and here an allowance for each second
of the clock. An item counts one unit here, whatever its size, and two in a transaction. Reads are
not limited here.
"""

import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import dynamodb

from orderctl.localcloud import seams

_Answer = tuple[int, dict[str, str], bytes]

_SINGLE_WRITES = frozenset({"DeleteItem", "PutItem", "UpdateItem"})
_LIMITED = _SINGLE_WRITES | {"BatchExecuteStatement", "TransactWriteItems"}
_MESSAGE = "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
_FAILED = {"Code": "ThrottlingError", "Message": _MESSAGE}

_used: Counter[str] = Counter()
"""The units that were used in this second, by table."""
_second: list[int] = [0]


def install() -> None:
    """Throttle writes of tables that say how many they take."""
    handle = seams.original(dynamodb, "handle_request")

    async def handle_limited(
        method: str, path: str, headers: dict[str, str], body: bytes, query: object
    ) -> _Answer:
        async def do(content: bytes) -> _Answer:
            answer: _Answer = await handle(method, path, headers, content, query)
            return answer

        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in _LIMITED or not (limits := _limits()):
            return await do(body)
        try:
            request = json.loads(body)
            taken = [_takes(table, units, limits) for table, units in _uses(operation, request)]
        except (ValueError, KeyError, TypeError, AttributeError):
            return await do(body)  # MiniStack says what is wrong with it
        if all(taken):
            return await do(body)
        if operation == "BatchExecuteStatement":
            return await _the_others(request, taken, do)
        return _cancelled(taken) if operation == "TransactWriteItems" else _throttled()

    seams.replace(dynamodb, "handle_request", handle_limited)


def _limits() -> dict[str, int]:
    """How many units each table takes a second, of those that say so."""
    found = {}
    for name, table in dynamodb._tables.items():
        most = (table.get("OnDemandThroughput") or {}).get("MaxWriteRequestUnits", -1)
        if most > 0:
            found[name] = most
    return found


def _uses(operation: str, request: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The tables that the parts of a request write to, each with the units that it takes.

    Raises:
        Exception: It cannot be read.
    """
    if operation in _SINGLE_WRITES:
        return [(request["TableName"], 1)]
    if operation == "TransactWriteItems":
        actions = (action for each in request["TransactItems"] for action in each.values())
        return [(action["TableName"], 2) for action in actions]
    statements = request["Statements"]
    parsed = [dynamodb._parse_partiql(s["Statement"], s.get("Parameters", [])) for s in statements]
    return [(each["table"], 0 if each["op"] == "SELECT" else 1) for each in parsed]


def _takes(table: str, units: int, limits: Mapping[str, int]) -> bool:
    """Whether a table takes this in this second; if so it counts."""
    now = int(time.monotonic())
    if now != _second[0]:
        _second[0] = now
        _used.clear()
    name = dynamodb._normalize_table_name(table)
    # Otherwise what takes more than a second's allowance would never be done.
    first = not _used[name]
    if units and name in limits and not first and _used[name] + units > limits[name]:
        return False
    _used[name] += units
    return True


async def _the_others(
    request: Mapping[str, Any],
    taken: Sequence[bool],
    do: Callable[[bytes], Awaitable[_Answer]],
) -> _Answer:
    """Do the statements of a batch that are not too much."""
    free = [statement for statement, fits in zip(request["Statements"], taken, strict=True) if fits]
    responses: list[object] = []
    if free:
        status, headers, body = await do(json.dumps({**request, "Statements": free}).encode())
        if status != HTTPStatus.OK:
            return status, headers, body
        responses = json.loads(body)["Responses"]
    done = iter(responses)
    answer: _Answer = json_response(
        {"Responses": [next(done) if fits else {"Error": _FAILED} for fits in taken]}
    )
    return answer


def _throttled() -> _Answer:
    answer: _Answer = error_response_json("ThrottlingException", _MESSAGE, HTTPStatus.BAD_REQUEST)
    return answer


def _cancelled(taken: Sequence[bool]) -> _Answer:
    reasons = [{"Code": "None"} if each else _FAILED for each in taken]
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    )
    name = "TransactionCanceledException"
    status, headers, _ = error_response_json(name, message, HTTPStatus.BAD_REQUEST)
    document = {"__type": name, "message": message, "CancellationReasons": reasons}
    return status, headers, json.dumps(document).encode()
