"""`make flash-sale`: everybody wants the same at once, in virtual time, with the real handler.

inventory-processor runs as deployed, on MiniStack's tables. A transaction holds its items while it
lasts, and cancels what meets it. Played are the queue, its consumers, and how long calls take.
Nothing fails here but for what others hold: no order may be parked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from orders.stock import shelf_keys
from simulation.clients import Refusal
from simulation.coroutines import Asked, Coroutine, Returned, Step
from simulation.dynamodb import DynamoDB, Evaluated, Holding, _call
from simulation.lambdas import Pause
from simulation.requests import Request
from simulation.rooms import Handler, load
from simulation.scheduler import Scheduler
from simulation.template import FunctionSpec, topology

_FUNCTION: Final = "inventory-processor"
_PLENTY: Final = 10**9
_RECEIVES: Final = 3
_CALL_SECONDS: Final = {
    "BatchGetItem": 0.006,
    "BatchExecuteStatement": 0.008,
    "TransactWriteItems": 0.004,
    "PutEvents": 0.015,
}
"""How long a call takes; a transaction also as long as it holds its items."""
_MESSAGE_SECONDS: Final = 0.001
"""The handler's own work for a message, at 256 MB."""
_POLL_SECONDS: Final = 0.02
_ENVELOPE: Final = {
    "source": "com.myapp.orders",
    "detail-type": "order.placed",
    "time": "2026-08-18T09:30:00Z",
}
_MOST_ACTIONS: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is played."""

    orders: int
    rate: float
    """Orders a second; 0: all at once."""
    skus: int = 1
    shelves: int = 1
    held_seconds: float = 0.03
    consumers: int = 10
    batch: int = 10
    window: float = 0.0
    """How long a consumer waits for its batch to be full, in seconds."""
    stock: int = _PLENTY


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it."""

    seconds: float
    """From the last order to the end of all."""
    reserved: int
    rejected: int
    parked: int
    failed: int
    """How often a message failed, and was received again."""
    sent_anew: int
    """How often one was sent anew, as others were at the same shelf."""
    transactions: int
    conflicts: int
    """How many of them met another one."""
    slowest: float
    """How long an order took at most, in seconds."""


LOADS: Final = (
    Load(500, 0, skus=500),
    Load(500, 0),
    Load(500, 0, held_seconds=0.012),
    Load(500, 0, shelves=20),
    Load(500, 0, batch=100, window=1.0),
    Load(3000, 50),
    Load(6000, 100),
    Load(6000, 100, held_seconds=0.012),
    Load(6000, 100, consumers=50),
    Load(6000, 100, consumers=50, shelves=20),
    Load(6000, 100, batch=100, window=1.0),
    Load(2000, 0, stock=500),
    Load(2000, 0, stock=500, shelves=20),
)


class _Tables(DynamoDB):
    """The tables, without a look at each change."""

    def _evaluate(self, request: Request) -> Evaluated:
        return (*_call(request.operation, request.arguments), {})


@dataclass(slots=True)
class _Message:
    id: str
    body: str
    sent_at: float
    receives: int = 0
    hidden: int = 0
    """How often it was hidden: the end of an earlier time counts no more."""


class _Environment:
    """An execution environment: the owner of a coroutine, and its Lambda context."""

    aws_request_id = "flash-sale"

    def __init__(self, sale: Sale, timeout: float) -> None:
        self.memory: dict[str, Any] = {}
        self.coroutine: Coroutine | None = None
        self._sale = sale
        self._deadline = sale.scheduler.now + timeout

    def ask(self, request: Request) -> Any:  # noqa: ANN401 - the service's answer
        assert self.coroutine
        return self.coroutine.ask(request)

    def sleep(self, seconds: float) -> None:
        assert self.coroutine
        self.coroutine.ask(Pause(seconds))

    def uniform(self, least: float, most: float) -> float:
        return self._sale.random.uniform(least, most)

    def sample(self, population: list[Any], count: int) -> list[Any]:
        return self._sale.random.sample(population, count)

    def say(self, *_: object) -> None:
        pass

    def new_token(self) -> str:
        return f"{self._sale.random.getrandbits(128):032x}"

    def instant(self) -> datetime:
        return self._sale.scheduler.instant()

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - self._sale.scheduler.now) * 1000))


class Sale:
    """A queue, its consumers and the tables."""

    def __init__(self, load: Load, handler: Handler, spec: FunctionSpec, hidden: float) -> None:
        self.scheduler = Scheduler(_MOST_ACTIONS)
        self.random = Random(repr(load))
        self._load = load
        self._handler = handler
        self._spec = spec
        self._hidden_seconds = hidden
        self._visible: deque[_Message] = deque()
        self._waiting = 0
        """How many consumers have nothing to do."""
        self._messages: dict[str, _Message] = {}
        self._parked: list[_Message] = []
        self._failed = self._anew = 0
        self._ended: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        held = Holding(self.scheduler, load.held_seconds)
        self._holding = held
        tables = topology()
        self._tables = _Tables(tables.tables, tables.indexes, self.random, lambda *_: None, held)
        for number in range(load.skus):
            self._stand(f"sku-{number}")

    def run(self) -> Outcome:
        """Let it happen."""
        load = self._load
        for number in range(load.orders):
            at = number / load.rate if load.rate else 0.0
            self.scheduler.after(at, partial(self._send, number))
        last = (load.orders - 1) / load.rate if load.rate else 0.0
        for _ in range(load.consumers):
            self.scheduler.after(self.random.uniform(0, _POLL_SECONDS), self._poll)
        self.scheduler.run()
        states = Counter(self._states())
        return Outcome(
            seconds=max(self._ended.values(), default=0.0) - last,
            reserved=states["reserved"],
            rejected=states["rejected"],
            parked=len(self._parked),
            failed=self._failed,
            sent_anew=self._anew,
            transactions=self.calls["TransactWriteItems"],
            conflicts=self._holding.met,
            slowest=max(self._ended[id_] - m.sent_at for id_, m in self._messages.items()),
        )

    def _states(self) -> Iterable[str]:
        _, answer = _call("Scan", {"TableName": "reservations", "ConsistentRead": True})
        return [item["state"]["S"] for item in answer["Items"]]

    def _stand(self, sku: str) -> None:
        for number, key in enumerate(shelf_keys(sku, self._load.shelves)):
            available = str(self._load.stock // self._load.shelves)
            item = {"sku": {"S": key}, "available": {"N": available}}
            if not number:
                item["shelves"] = {"N": str(self._load.shelves)}
            self._tables.put("stock", item)

    # The queue

    def _send(self, number: int) -> None:
        sku = f"sku-{number % self._load.skus}"
        detail = {
            "order_id": f"order-{number}",
            "amount": 5,
            "items": [{"sku": sku, "quantity": 1}],
        }
        body = json.dumps({**_ENVELOPE, "detail": detail})
        message = _Message(f"m{number}", body, self.scheduler.now)
        self._messages[message.id] = message
        self._show(message, 0)

    def _send_anew(self, entry: dict[str, Any]) -> None:
        self._anew += 1
        body = entry["MessageBody"]
        first = next(m for m in self._messages.values() if m.body == body)
        anew = _Message(f"{first.id}~{self._anew}", body, first.sent_at)
        self._messages[anew.id] = anew
        self._hide(anew, entry["DelaySeconds"])

    def _show(self, message: _Message, hidden: int) -> None:
        if message.id not in self._ended and message.hidden == hidden:
            self._visible.append(message)
            if self._waiting:
                self._waiting -= 1
                self.scheduler.after(self._load.window or _POLL_SECONDS, self._poll)

    def _hide(self, message: _Message, seconds: float) -> None:
        message.hidden += 1
        self.scheduler.after(seconds, partial(self._show, message, message.hidden))

    def _poll(self) -> None:
        """Have a consumer take a batch, if there is one."""
        batch: list[_Message] = []
        while self._visible and len(batch) < self._load.batch:
            message = self._visible.popleft()
            if message.receives == _RECEIVES:
                self._parked.append(message)
                self._ended[message.id] = self.scheduler.now
                continue
            message.receives += 1
            self._failed += message.receives > 1
            self._hide(message, self._hidden_seconds)
            batch.append(message)
        if not batch:
            self._waiting += 1
            return
        environment = _Environment(self, self._spec.timeout)
        records = [
            {
                "messageId": message.id,
                "receiptHandle": message.id,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
            }
            for message in batch
        ]
        body = partial(self._handler, {"Records": records}, environment)
        environment.coroutine = Coroutine(body, environment)
        takes = _MESSAGE_SECONDS * len(batch)
        start = environment.coroutine.start
        self.scheduler.after(takes, lambda: self._step(environment, batch, start()))

    # The consumers

    def _step(self, environment: _Environment, batch: list[_Message], step: Step) -> None:
        assert environment.coroutine
        resume = environment.coroutine.resume

        def go_on(answer: object) -> None:
            self._step(environment, batch, resume(answer))

        if isinstance(step, Asked) and isinstance(step.question, Pause):
            self.scheduler.after(step.question.seconds, partial(go_on, None))
        elif isinstance(step, Asked):
            self._call(step.question, go_on)
        else:
            assert isinstance(step, Returned), step
            failed = {failure["itemIdentifier"] for failure in step.value["batchItemFailures"]}
            for message in batch:
                if message.id not in failed:
                    self._ended[message.id] = self.scheduler.now
            rest = self._load.window if len(self._visible) < self._load.batch else 0
            self.scheduler.after(rest, self._poll)

    def _call(self, request: Request, go_on: Callable[[object], None]) -> None:
        """Have a call take effect, and its answer come when its time is over."""
        self.calls[request.operation] += 1
        takes = _CALL_SECONDS.get(request.operation, 0.01) * self.random.uniform(0.7, 1.5)

        def happen() -> None:
            answer, lasts = self._answer(request), 0.0
            if request.operation == "TransactWriteItems" and not isinstance(answer, Refusal):
                lasts = self._load.held_seconds
            self.scheduler.after(takes / 2 + lasts, partial(go_on, answer))

        self.scheduler.after(takes / 2, happen)

    def _answer(self, request: Request) -> object:
        if request.service == "events":
            entries = request.arguments["Entries"]
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in entries]}
        if request.operation == "SendMessageBatch":
            for entry in request.arguments["Entries"]:
                self._send_anew(entry)
            return {"Successful": [], "Failed": []}
        if request.service == "sqs":
            for entry in request.arguments["Entries"]:
                message = self._messages[entry["ReceiptHandle"]]
                self._hide(message, entry["VisibilityTimeout"])
            return {"Successful": [], "Failed": []}
        try:
            return self._tables.perform(request)
        except Refusal as refusal:
            return refusal


def play(load: Load) -> Outcome:
    """Play a load with the handler as it is."""
    parts = topology()
    spec = parts.functions[_FUNCTION]
    assert spec.queue
    handler = load_rooms()
    return Sale(load, handler, spec, parts.queues[spec.queue].visibility_timeout).run()


def load_rooms() -> Handler:
    """The handler of inventory, as deployed."""
    return load(topology()).handlers[_FUNCTION]


def main() -> int:
    """Play loads, and print what becomes of them."""
    parser = argparse.ArgumentParser(prog="python -m simulation.flash_sale", description=__doc__)
    parser.add_argument(
        "--held", type=float, help="milliseconds that a transaction holds its items"
    )
    arguments = parser.parse_args()
    table = Table("orders", "SKUs", "shelves", "consumers", "batch", "held", "all ended after")
    for name in ("slowest", "parked", "sold", "sold out", "sent anew", "transactions", "conflicts"):
        table.add_column(name)
    failed = False
    for each in LOADS:
        played = replace(each, held_seconds=arguments.held / 1000) if arguments.held else each
        outcome = play(played)
        failed |= outcome.parked > 0 or outcome.reserved > played.stock
        at = f"{played.rate:g} a second" if played.rate else "at once"
        row = [f"{played.orders:,} {at}", played.skus, played.shelves, played.consumers]
        row += [played.batch, f"{played.held_seconds * 1000:g} ms", f"{outcome.seconds:.1f} s"]
        row += [f"{outcome.slowest:.1f} s", outcome.parked, outcome.reserved, outcome.rejected]
        row += [outcome.sent_anew, outcome.transactions, outcome.conflicts]
        table.add_row(*map(str, row))
    Console(width=150).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
