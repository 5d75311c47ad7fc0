"""The operator who changes on how many shelves a SKU stands, with orderctl, while orders flow."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from orderctl.pipeline.stock import Stock, StockError
from orders.stock import shelf_keys
from simulation.clients import Refusal
from simulation.coroutines import Asked, Coroutine, Raised, Step
from simulation.dynamodb import DynamoDB
from simulation.lambdas import Pause
from simulation.requests import Perform, Request
from simulation.rules import STOCK
from simulation.story import Violation
from simulation.workload import Plan
from simulation.world import World

_OPERATOR: Final = "operator"
_OUTPUTS: Final = {"StockTableName": "stock", "ReservationsTableName": "reservations"}
_MOST_SHELVES: Final = 4


def at_first(plan: Plan) -> dict[str, int]:
    """How much there is on each shelf at the beginning, by its key."""
    levels = {}
    for sku, quantity in plan.stock.items():
        count = plan.shelves.get(sku, 1)
        for number, key in enumerate(shelf_keys(sku, count)):
            levels[key] = quantity // count + (number < quantity % count)
    return levels


def stand(tables: DynamoDB, plan: Plan) -> None:
    """Put the stock of a plan on its shelves."""
    for key, available in at_first(plan).items():
        item = {"sku": {"S": key}, "available": {"N": str(available)}}
        if key in plan.stock:
            item |= {"put_in": {"N": str(plan.stock[key])}}
            item |= {"shelves": {"N": str(n)}} if (n := plan.shelves.get(key, 1)) > 1 else {}
        tables.put("stock", item)


class Cancelled(Exception):  # noqa: N818 - stands for boto3's
    """A transaction was cancelled."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.response = refusal.members


class Shelver:
    """Somebody with a terminal, who may also close it."""

    def __init__(self, world: World, perform: Perform, plan: Plan) -> None:
        self._world = world
        self._perform = perform
        self._plan = plan
        self._running: list[Coroutine] = []

    def begin(self) -> None:
        """Have the number of shelves changed now and then."""
        random = self._world.random
        for sku in self._plan.shelves:
            for _ in range(random.randint(0, 3)):
                begins = random.uniform(0, self._plan.seconds * 0.6)
                change = partial(self._change, sku, random.randint(1, _MOST_SHELVES))
                self._world.scheduler.after(begins, change)

    def end(self) -> None:
        """Let nothing run on when the run is over."""
        for coroutine in self._running:
            coroutine.kill()

    def _change(self, sku: str, count: int) -> None:
        self._world.story.tell(_OPERATOR, f"has {sku} stand on {count} shelves")
        client = SimpleNamespace(
            batch_get_item=partial(self._ask, "BatchGetItem"),
            transact_write_items=partial(self._ask, "TransactWriteItems"),
            exceptions=SimpleNamespace(TransactionCanceledException=Cancelled),
        )
        stock = Stock(client, _OUTPUTS, self._sleep)  # type: ignore[arg-type]
        coroutine = Coroutine(partial(stock.set_shelves, sku, count), self)
        self._running.append(coroutine)
        self._step(coroutine, partial(coroutine.start))

    def _ask(self, operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - as boto3
        return self._here().ask(Request("dynamodb", operation, arguments))

    def _sleep(self, seconds: float) -> None:
        self._here().ask(Pause(seconds))

    def _here(self) -> Coroutine:
        return self._running[-1]

    def _step(self, coroutine: Coroutine, go_on: Any) -> None:  # noqa: ANN401 - starts or resumes
        # What it asks is asked by the one that runs.
        self._running.remove(coroutine)
        self._running.append(coroutine)
        step: Step = go_on()
        if isinstance(step, Asked):
            if isinstance(step.question, Pause):
                takes, answer = step.question.seconds, partial(lambda: None)
            else:
                takes = self._world.weather.latency()
                answer = partial(self._answer, step.question)
            self._world.scheduler.after(takes, partial(self._resume, coroutine, answer))
            return
        self._running.remove(coroutine)
        if isinstance(step, Raised) and not isinstance(step.error, StockError):
            raise Violation(STOCK, f"stock shelves raised {step.error!r}")

    def _answer(self, request: Request) -> Any:  # noqa: ANN401
        try:
            return self._perform(request)
        except Refusal as refusal:
            return Cancelled(refusal)

    def _resume(self, coroutine: Coroutine, answer: Any) -> None:  # noqa: ANN401
        self._step(coroutine, lambda: coroutine.resume(answer()))
