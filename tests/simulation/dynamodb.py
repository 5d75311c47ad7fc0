"""DynamoDB: MiniStack's, in this process, and watched.

Every condition is evaluated by MiniStack. Added is only what it lacks: a read that is not
consistent may be old, and so may an index; and a transaction holds its items for a while, in which
no other write may touch them ("Transaction conflict handling in DynamoDB", developer guide). Reads
that are no transaction are not held up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from hashlib import blake2b
from random import Random
from typing import Any, Final

from ministack.services import dynamodb as ministack

from simulation.clients import Refusal
from simulation.requests import Request, named
from simulation.scheduler import Scheduler
from simulation.sealed import Sealed

Item = dict[str, Any]
Watcher = Callable[[str, str, Item | None, Item | None], None]
"""Is told of each change: table, key, item before, item after."""

Evaluated = tuple[int, dict[str, Any], dict[str, dict[str, Item]]]
"""A status, an answer, and what is then in the tables that were written to, by table and key."""

HELD: Final = "TransactionConflict"
READS: Final = {"BatchGetItem", "GetItem", "Query", "Scan"}
_OLD_READS: Final = 0.5
"""The share of reads that are old, of those that may be."""


class Holding:
    """What transactions that are under way hold."""

    def __init__(self, scheduler: Scheduler, seconds: float) -> None:
        """Say how long a transaction holds its items."""
        self._scheduler = scheduler
        self._seconds = seconds
        self._until: dict[tuple[str, str], tuple[float, str, str]] = {}
        self.writer = ""
        """The invocation that writes now; empty for anybody else."""
        self.met = 0
        """How many writes met a transaction."""

    def find(self, targets: Iterable[tuple[str, str]], token: str) -> set[tuple[str, str]]:
        """Which of these items another transaction holds.

        Its own repetition does not meet it; nor does who was answered, for whom it is over.
        """
        met = set()
        for target in targets:
            until, holder, writer = self._until.get(target, (0.0, "", ""))
            is_own = holder == token or (self.writer and self.writer == writer)
            if until > self._scheduler.now and not is_own:
                met.add(target)
        self.met += bool(met)
        return met

    def hold(self, targets: Iterable[tuple[str, str]], token: str) -> None:
        """Have a transaction hold its items."""
        until = self._scheduler.now + self._seconds
        self._until |= dict.fromkeys(targets, (until, token, self.writer))


def written(request: Request, keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """The table and key of each item that a write names, in its order.

    Args:
        request: the write.
        keys: the key attribute by table name.
    """
    arguments = request.arguments
    if request.operation == "TransactWriteItems":
        actions = [what for action in arguments["TransactItems"] for what in action.values()]
    elif request.operation == "BatchExecuteStatement":
        return [written_by(statement, keys) for statement in arguments["Statements"]]
    else:
        actions = [arguments]
    return [
        (table := what["TableName"], what.get("Key", what.get("Item"))[keys[table]]["S"])
        for what in actions
    ]


def written_by(statement: Mapping[str, Any], keys: Mapping[str, str]) -> tuple[str, str]:
    """The table and key that a PartiQL statement names: its parameters stand for its ?s."""
    text = statement["Statement"]
    table = text.split('"')[1]
    place = text.index(f"'{keys[table]}': ?" if text.startswith("INSERT") else f'"{keys[table]}"=?')
    return table, statement["Parameters"][text[:place].count("?")]["S"]


class DynamoDB:
    """The pipeline's tables."""

    def __init__(
        self,
        tables: Mapping[str, str],
        indexes: Mapping[str, Mapping[str, Any]],
        random: Random,
        watcher: Watcher,
        holding: Holding | None = None,
    ) -> None:
        """Make the tables, empty.

        Args:
            tables: the key attribute by table name.
            indexes: what CreateTable has for a table's indexes, by table name.
            random: decides which reads are old.
            watcher: is told of each change.
            holding: what transactions hold; None if each is over at once.
        """
        self._keys = dict(tables)
        self._holding = holding
        self._indexes = indexes
        self._random = random
        self._watcher = watcher
        self._now: dict[str, dict[str, Item]] = {table: {} for table in tables}
        self._before: dict[str, dict[str, Item | None]] = {table: {} for table in tables}
        self.looked_back: set[str] = set()
        """The tables of which somebody has read what may be old."""
        self._create()

    def perform(self, request: Request) -> Any:  # noqa: ANN401 - the operation's answer
        """Have a request take effect.

        Raises:
            Refusal: DynamoDB refuses it.
        """
        if self._holding and request.operation not in READS:
            return self._perform_unless_held(request, self._holding)
        return self._perform(request)

    def _perform_unless_held(self, request: Request, holding: Holding) -> Any:  # noqa: ANN401
        """Have a write take effect, as far as no transaction holds what it touches."""
        token = str(request.arguments.get("ClientRequestToken", ""))
        targets = written(request, self._keys)
        met = holding.find(targets, token)
        if request.operation == "TransactWriteItems":
            if met:
                raise self._conflict(request, [target in met for target in targets])
            answer = self._perform(request)
            holding.hold(targets, token)
            return answer
        if not met:
            return self._perform(request)
        if request.operation == "BatchExecuteStatement":
            return self._statements(request, [target in met for target in targets])
        raise Refusal("TransactionConflictException")

    def _statements(self, request: Request, met: Sequence[bool]) -> dict[str, Any]:
        """Have those statements take effect that meet no transaction."""
        free = [
            s for s, is_met in zip(request.arguments["Statements"], met, strict=True) if not is_met
        ]
        made = iter(
            self._perform(request.with_arguments(Statements=free))["Responses"] if free else ()
        )
        conflict = {"Error": {"Code": HELD, "Message": "Transaction is ongoing for the item"}}
        return {"Responses": [conflict if is_met else next(made) for is_met in met]}

    def _conflict(self, request: Request, met: Sequence[bool]) -> Refusal:
        """Why a transaction is cancelled of which some actions have met another one."""
        codes = [
            HELD if is_met else self._reason(action)
            for action, is_met in zip(request.arguments["TransactItems"], met, strict=True)
        ]
        return Refusal(
            "TransactionCanceledException",
            f"Transaction cancelled, please refer cancellation reasons [{', '.join(codes)}]",
            CancellationReasons=[{"Code": code} for code in codes],
        )

    def _reason(self, action: Mapping[str, Any]) -> str:
        """What one action of a transaction meets, if it were alone."""
        ((_, what),) = action.items()
        condition = what.get("ConditionExpression")
        if not condition:
            return "None"
        key = self._keys[what["TableName"]]
        check = {
            "TableName": what["TableName"],
            "Key": {key: what.get("Key", what.get("Item"))[key]},
            "ConditionExpression": condition,
        }
        for name in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            if used := {n: v for n, v in what.get(name, {}).items() if n in condition}:
                check[name] = used
        status, answer = _call("TransactWriteItems", {"TransactItems": [{"ConditionCheck": check}]})
        return "None" if status == 200 else str(answer["CancellationReasons"][0]["Code"])

    def _perform(self, request: Request) -> Any:  # noqa: ANN401
        status, answer, after = self._evaluate(request)
        for table, items in after.items():
            self._compare(table, items)
        if status != 200:
            code = answer.pop("__type").rpartition("#")[2]
            raise Refusal(code, answer.pop("message", ""), **answer)
        if request.operation == "BatchGetItem":
            for table, wanted in request.arguments["RequestItems"].items():
                items = answer["Responses"][table]
                answer["Responses"][table] = self._aged(table, items, wanted)
        if request.operation == "Query" and "Items" in answer:
            answer = self._lagging(request.arguments, answer)
        if request.operation == "GetItem" and "Item" in answer:
            aged = self._aged(request.arguments["TableName"], [answer["Item"]], request.arguments)
            answer = {"Item": aged[0]} if aged else {}
        return answer

    def put(self, table: str, item: Item) -> None:
        """Have an item in a table from the beginning."""
        _call("PutItem", {"TableName": table, "Item": item})
        self._now[table][item[self._keys[table]]["S"]] = item

    def text(self) -> str:
        """All items."""
        return json.dumps(self._now, sort_keys=True)

    def past(self, tables: Iterable[str]) -> str:
        """The items of some tables as they were before their last change."""
        return json.dumps({table: self._before[table] for table in tables}, sort_keys=True)

    def items(self, table: str) -> dict[str, Item]:
        """What is in a table, by key."""
        return self._now[table]

    def _create(self) -> None:
        """Make the tables in MiniStack."""
        ministack.reset()
        for table, key in self._keys.items():
            _call(
                "CreateTable",
                {
                    "TableName": table,
                    "BillingMode": "PAY_PER_REQUEST",
                    "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
                    **self._indexes.get(table, {}),
                },
            )

    def _evaluate(self, request: Request) -> Evaluated:
        """Have MiniStack evaluate a request, and look at the tables that a write names."""
        status, answer = _call(request.operation, request.arguments)
        if request.operation in READS:
            return status, answer, {}
        return status, answer, {table: self._scan(table) for table in named(request, self._keys)}

    def _scan(self, table: str) -> dict[str, Item]:
        _, answer = _call("Scan", {"TableName": table, "ConsistentRead": True})
        return {item[self._keys[table]]["S"]: item for item in answer["Items"]}

    def _compare(self, table: str, after: dict[str, Item]) -> None:
        """Tell of what has changed in a table."""
        before, self._now[table] = self._now[table], after
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                self._before[table][name] = before.get(name)
                self._watcher(table, name, before.get(name), after.get(name))

    def _aged(self, table: str, items: list[Item], read: Mapping[str, Any]) -> list[Item]:
        """What an eventually consistent read may give instead: items as they were before."""
        if read.get("ConsistentRead"):
            return items
        self.looked_back.add(table)
        aged: list[Item | None] = []
        for item in items:
            key = item[self._keys[table]]["S"]
            old = key in self._before[table] and self._random.random() < _OLD_READS
            aged.append(self._before[table][key] if old else item)
        return [item for item in aged if item is not None]

    def _lagging(self, query: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """What the index ``unfinished`` may give instead, as it follows its table later.

        It may not have yet what is new in it, and still have what has left it.
        """
        table = query["TableName"]
        self.looked_back.add(table)
        key, shard = self._keys[table], query["ExpressionAttributeValues"][":shard"]
        items = []
        for item in answer["Items"]:
            before = self._before[table].get(item[key]["S"], item)
            is_new = before is None or "unfinished" not in before
            if not is_new or self._random.random() >= _OLD_READS:
                items.append(item)
        shown = {item[key]["S"] for item in answer["Items"]}
        for name, before in self._before[table].items():
            has_left = before and before.get("unfinished") == shard and name not in shown
            if has_left and self._random.random() < _OLD_READS:
                items.append({key: {"S": name}})
        return {**answer, "Items": items}


_CHANGED: Final = ("_now", "_before", "_written", "_tokens")
"""What changes with the writes, by name."""


class RememberedDynamoDB(DynamoDB):
    """The same, for runs that ask the same again and again of tables that have the same in them.

    What MiniStack has evaluated once is not evaluated again: an answer follows from the request,
    from what is in the tables, and from whether the request is the repetition of a transaction.
    MiniStack itself is only brought to where the run is when it has to evaluate something.
    """

    memory: Final[dict[bytes, tuple[str, dict[str, dict[str, Item]]]]] = {}
    """A status and an answer, and what is then in the tables, by what they follow from."""

    def put(self, table: str, item: Item) -> None:
        """Have an item in a table from the beginning."""
        arguments = {"TableName": table, "Item": item}
        self._written.append(Request("dynamodb", "PutItem", arguments))
        self._now[table][item[self._keys[table]]["S"]] = item
        self._text = ""

    def text(self) -> str:
        """See DynamoDB."""
        self._text = self._text or super().text()
        return self._text

    def _compare(self, table: str, after: dict[str, Item]) -> None:
        self._text = ""
        super()._compare(table, after)

    def _create(self) -> None:
        self._text = ""
        self._written: list[Request] = []
        """All writes so far."""
        self._up_to_date = False
        """Whether MiniStack knows of them."""
        self._tokens: set[str] = set()

    def _evaluate(self, request: Request) -> Evaluated:
        key = self._key(request)
        is_known = key in self.memory and not self._up_to_date
        if not is_known and not self._up_to_date:
            self._catch_up()
        if request.operation not in READS:
            self._written.append(request)
        if is_known:
            text, after = self.memory[key]
            status, answer = json.loads(text)
            return status, answer, after
        status, answer, after = super()._evaluate(request)
        self.memory[key] = json.dumps((status, answer)), after
        return status, answer, after

    def _key(self, request: Request) -> bytes:
        token = request.arguments.get("ClientRequestToken", "")
        arguments = {**request.arguments, "ClientRequestToken": token in self._tokens}
        self._tokens.add(token)
        facts = f"{request.operation} {json.dumps(arguments)} {self.text()}"
        return blake2b(facts.encode(), digest_size=16).digest()

    def had(self, token: str) -> bool:
        """Whether a transaction came before that had this token."""
        return token in self._tokens

    def _catch_up(self) -> None:
        super()._create()
        for request in self._written:
            _call(request.operation, request.arguments)
        self._up_to_date = True

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has of it: the same items and writes. MiniStack is not copied."""
        sealed = {name: Sealed(self._own(name)) for name in _CHANGED}
        return {**vars(self), **sealed, "_up_to_date": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Have all this."""
        vars(self).update(state)
        for name in _CHANGED:
            setattr(self, name, state[name].value)
            setattr(self, name, self._own(name))

    def _own(self, name: str) -> Any:  # noqa: ANN401 - whatever has that name
        """Something that is changed, of which the parts are not."""
        if name == "_before":
            return {table: dict(items) for table, items in self._before.items()}
        return copy(getattr(self, name))


def _call(operation: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Call MiniStack's service; it never waits for anything, so no event loop is needed."""
    coroutine = ministack.handle_request(
        "POST",
        "/",
        {"x-amz-target": f"DynamoDB_20120810.{operation}"},
        json.dumps(arguments).encode(),
        {},
    )
    try:
        coroutine.send(None)
    except StopIteration as end:
        status, _, body = end.value
        return status, json.loads(body)
    raise AssertionError("MiniStack's DynamoDB waits for something")
