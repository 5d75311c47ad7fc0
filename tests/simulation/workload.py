"""Who orders what, who changes their mind, and who puts nonsense on the bus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final

from simulation.bus import Bus
from simulation.lambdas import Answered, End, Failed, Lambdas
from simulation.queues import Message, Queues
from simulation.requests import orders_in
from simulation.rooms import API
from simulation.rules import ANSWERS, OWN_SOURCE, UNREADABLE, WRITTEN_FIRST
from simulation.story import Violation
from simulation.weather import CLIENT_GONE, LOST_ANSWER
from simulation.witness import ApiAnswer
from simulation.world import World

SKUS: Final = ("apple", "pear", "plum")
UNKNOWN_SKU: Final = "unicorn"
ORDERS: Final = "com.myapp.orders"
PUBLISHER: Final = "another publisher"

_SOURCES: Final = (ORDERS, "com.myapp.payments", "com.myapp.inventory", "com.somebody.else")

_REFUSED: Final = frozenset({400, 404, 409})
_TRIES: Final = 12
_STRANGERS: Final = 0.05
"""The share of orders under whose id another publisher places a different one."""
_SHELVED: Final = 0.25
"""The share of SKUs that stand on several shelves at times."""
_RUSHES: Final = 0.12
"""The share of seeds in which one SKU is wanted all at once."""
_RUSH_SECONDS: Final = 0.1
_UNREADABLE_BODIES: Final = ("no JSON", "[]", '{"detail-type": "order.placed"}', "null")
_UNREADABLE_DETAIL: Final = '{"order_id": "an order", "amount": -1}'


@dataclass(frozen=True, slots=True)
class Order:
    """An order as its client knows it."""

    order_id: str
    amount: Decimal
    currency: str
    lines: dict[str, int]
    """The quantity by SKU."""

    def other(self) -> Order:
        """A different order under the same id."""
        return Order(self.order_id, self.amount + 1, self.currency, self.lines)

    def strangers(self) -> tuple[Order, Order]:
        """What another publisher places under the same id, in ignorance of it."""
        more = {sku: quantity + 1 for sku, quantity in self.lines.items()} or {SKUS[0]: 1}
        return (
            Order(self.order_id, self.amount + 2, self.currency, self.lines),
            Order(self.order_id, self.amount, self.currency, more),
        )

    def fits(self, detail: Mapping[str, Any]) -> bool:
        """Whether what an event tells of an order is so of this one."""
        items = detail.get("items")
        return (
            Decimal(str(detail.get("amount", self.amount))) == self.amount
            and detail.get("currency", self.currency) == self.currency
            and (items is None or {i["sku"]: i["quantity"] for i in items} == self.lines)
        )

    def body(self) -> str:
        """The order as JSON."""
        fields: dict[str, Any] = {
            "order_id": self.order_id,
            "amount": float(self.amount),
            "currency": self.currency,
        }
        if self.lines:
            items = [{"sku": sku, "quantity": number} for sku, number in self.lines.items()]
            fields["items"] = items
        return json.dumps(fields)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run's world is like at its beginning."""

    stock: dict[str, int]
    orders: dict[str, Order]
    declined: frozenset[str]
    """The orders whose cards are declined."""
    silent: frozenset[str]
    """The orders for whose charge the card processor never answers."""
    seconds: float
    """How long there are faults."""
    shelves: dict[str, int] = field(default_factory=dict)
    """The SKUs that stand on several shelves at times, with how many at first."""
    rush: frozenset[str] = frozenset()
    """Orders for one SKU that come all at once."""

    def variants(self, order_id: str) -> Iterator[Order]:
        """The different orders that are sent under an id."""
        if order := self.orders.get(order_id):
            yield order
            yield order.other()
            yield from order.strangers()

    @classmethod
    def draw(cls, random: Random) -> Plan:
        """Draw a seed's plan."""
        orders = [_order(random, f"order-{n}") for n in range(1, random.randint(3, 8) + 1)]
        # Drawn apart, so that runs in which this does not happen stay as they were.
        apart = Random(repr(orders))
        shelves = {sku: apart.randint(1, 3) for sku in SKUS if apart.random() < _SHELVED}
        rush = _rush(apart, len(orders) + 1) if apart.random() < _RUSHES else []
        orders += rush
        return cls(
            shelves=shelves,
            rush=frozenset(order.order_id for order in rush),
            stock={sku: random.randint(1, 10) for sku in SKUS},
            orders={order.order_id: order for order in orders},
            declined=frozenset(o.order_id for o in orders if random.random() < 0.12),
            silent=frozenset(o.order_id for o in orders if random.random() < 0.01),
            seconds=random.choice((30.0, 120.0, 400.0)),
        )


def _order(random: Random, order_id: str) -> Order:
    skus = random.sample(SKUS, random.choice((0, 1, 1, 2, 3)))
    if random.random() < 0.05:
        skus.append(UNKNOWN_SKU)
    return Order(
        order_id,
        amount=Decimal(random.choice(("0", "5", "12.5", "99.99", "1000"))),
        currency=random.choice(("USD", "EUR")),
        lines={sku: random.randint(1, 4) for sku in skus},
    )


def _rush(random: Random, first: int) -> list[Order]:
    """Orders for one SKU."""
    sku = random.choice(SKUS)
    return [
        Order(f"order-{n}", Decimal(5), "USD", {sku: random.randint(1, 2)})
        for n in range(first, first + random.randint(5, 10))
    ]


def _is_of(detail_type: str, source: str) -> bool:
    """Whether a source is the one that publishes events of a type: `payments` has `payment.*`."""
    return source.rpartition(".")[2].startswith(detail_type.partition(".")[0])


class Workload:
    """The clients and publishers of a run."""

    def __init__(
        self, world: World, plan: Plan, lambdas: Lambdas, bus: Bus, queues: Queues
    ) -> None:
        self._world = world
        self._plan = plan
        self._lambdas = lambdas
        self._bus = bus
        self._queues = queues

    def begin(self) -> None:
        """Put everything that clients and publishers will do on the agenda."""
        chance = self._world.random.random
        placed_at = {}
        rush_at = self._moment(0.3) if self._plan.rush else 0.0
        for order in self._plan.orders.values():
            if order.order_id in self._plan.rush:
                placed_at[order.order_id] = self._rush(order, rush_at)
                continue
            when = placed_at[order.order_id] = self._moment(0.5)
            if chance() < 0.7:
                self._order_by_api(order, when)
            else:
                self._at(when, partial(self._publish, "order.placed", order.body()))
                if chance() < 0.2:
                    later = when + self._moment(0.4)
                    self._at(later, partial(self._publish, "order.placed", order.body()))
            self._change_mind(order)
        for target in sorted(self._readers()):
            if chance() < 0.15:
                body = self._world.random.choice(_UNREADABLE_BODIES)
                self._at(self._moment(0.9), partial(self._send_nonsense, target, body))
        if chance() < 0.1:
            self._at(self._moment(0.9), self._publish_nonsense)
        if chance() < 0.2:
            self._at(self._moment(0.9), self._publish_as_somebody_else)
        # Drawn apart, so that runs in which this does not happen stay as they were.
        # Not of the whole plan: how its sets are written depends on the process.
        random = Random(repr(list(self._plan.orders.values())))
        for order in self._plan.orders.values():
            if random.random() < _STRANGERS:
                when = max(0.0, placed_at[order.order_id] + random.uniform(-2, 2))
                body = random.choice(order.strangers()).body()
                self._at(when, partial(self._publish, "order.placed", body))

    def ask(self, method: str, order_id: str, tries: int) -> None:
        """Have an order's client call the API, so often at most."""
        body = self._plan.orders[order_id].body() if method == "POST" else ""
        self._at(0, partial(self._call, method, order_id, body, tries=tries))

    def look_at(self, order_id: str) -> None:
        """Ask the API how an order stands."""
        self._call("GET", order_id, "", tries=1)

    def _order_by_api(self, order: Order, when: float) -> None:
        chance = self._world.random.random
        place = partial(self._call, "POST", order.order_id, order.body(), tries=_TRIES)
        self._at(when, place)
        if chance() < 0.25:
            self._at(when + self._moment(0.4), place)
        if chance() < 0.15:
            other = order.other().body()
            different = partial(self._call, "POST", order.order_id, other, tries=_TRIES)
            self._at(when + 1 + self._moment(0.4), different)
        if chance() < 0.25:
            cancel = partial(self._call, "DELETE", order.order_id, "", tries=_TRIES)
            self._at(when + self._moment(0.4), cancel)

    def _change_mind(self, order: Order) -> None:
        chance = self._world.random.random
        reason = {"order_id": order.order_id, "reason": "changed their mind"}
        if chance() < 0.1:
            self._at(
                self._moment(0.9),
                partial(self._publish, "order.cancel_requested", json.dumps(reason)),
            )
        if chance() < 0.12:
            self._at(
                self._moment(0.9), partial(self._publish, "order.cancelled", json.dumps(reason))
            )

    def _rush(self, order: Order, at: float) -> float:
        """Have an order placed among many; some of them are cancelled soon."""
        chance = self._world.random.random
        when = at + _RUSH_SECONDS * chance()
        self._at(when, partial(self._publish, "order.placed", order.body()))
        if chance() < 0.3:
            reason = {"order_id": order.order_id, "reason": "changed their mind"}
            cancel = partial(self._publish, "order.cancelled", json.dumps(reason))
            self._at(when + self._moment(0.3), cancel)
        return when

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        self._world.scheduler.after(seconds, action)

    def _moment(self, share: float) -> float:
        """A time within that share of the run, soon more often than late."""
        until = self._plan.seconds * share
        return self._world.random.uniform(0, self._world.random.uniform(0, until))

    def _readers(self) -> set[str]:
        functions = self._world.topology.functions.values()
        return {function.queue for function in functions if function.queue}

    # What publishers do

    def _publish(self, detail_type: str, detail: str) -> None:
        order_id = json.loads(detail)["order_id"]
        self._world.story.tell(PUBLISHER, f"puts {detail_type} on the bus ({order_id})")
        self._bus.put(PUBLISHER, ORDERS, detail_type, detail)

    def _publish_nonsense(self) -> None:
        self._world.story.tell(PUBLISHER, "puts an unreadable order.placed on the bus")
        self._bus.put(PUBLISHER, ORDERS, "order.placed", _UNREADABLE_DETAIL, unreadable=UNREADABLE)

    def _publish_as_somebody_else(self) -> None:
        """Put an event on the bus that only another source may tell of, sound otherwise."""
        random = self._world.random
        types = sorted(
            {name for route in self._world.topology.routes for name in route.detail_types}
        )
        detail_type = random.choice(types)
        order = random.choice(list(self._plan.orders.values()))
        source = random.choice([s for s in _SOURCES if not _is_of(detail_type, s)])
        detail = {**json.loads(order.body()), "charge_id": "charge", "reason": "says somebody else"}
        self._world.story.tell(
            PUBLISHER, f"puts {detail_type} on the bus as {source} ({order.order_id})"
        )
        self._bus.put(PUBLISHER, source, detail_type, json.dumps(detail), unreadable=OWN_SOURCE)

    def _send_nonsense(self, queue: str, body: str) -> None:
        self._world.story.tell(PUBLISHER, f"sends an unreadable message to {queue}")
        message = Message(f"{queue}-nonsense", body, "unreadable message", UNREADABLE)
        self._queues[queue].send(message)

    # What clients do

    def _call(self, method: str, order_id: str, body: str, *, tries: int) -> None:
        """Call the API; again after a while, for as long as it says so or nothing."""
        event = {
            "httpMethod": method,
            "resource": "/orders" if method == "POST" else "/orders/{order_id}",
            "path": "/orders" if method == "POST" else f"/orders/{order_id}",
            "pathParameters": None if method == "POST" else {"order_id": order_id},
            "headers": {"Content-Type": "application/json"},
            "body": body or None,
            "isBase64Encoded": False,
        }
        again = partial(self._call, method, order_id, body, tries=tries - 1)
        self._lambdas.invoke(
            API,
            event,
            f"{method} {event['path']} ({order_id})",
            partial(self._answered, method, order_id, body, again if tries > 1 else None),
        )

    def _is_on_the_bus(self, order_id: str) -> bool:
        """Whether anything was published of an order."""
        return any(event.order_id == order_id for event in self._world.witness.published)

    def _answered(
        self, method: str, order_id: str, body: str, again: Callable[[], None] | None, end: End
    ) -> None:
        world = self._world
        if isinstance(end, Failed):
            raise Violation(ANSWERS, f"{end.invocation.name} raised {end.error!r} ({order_id})")
        if isinstance(end, Answered):
            status = end.value["statusCode"]
            if status == 503:
                end.invocation.check_excuse(orders_in(order_id), f"answered {status}")
            world.story.tell(end.invocation.name, f"answers {status} ({order_id})")
            if (method, status) == ("POST", 202) and not self._is_on_the_bus(order_id):
                raise Violation(WRITTEN_FIRST, f"{order_id} was answered 202 and is not on the bus")
            if not world.weather.strikes(LOST_ANSWER):
                world.witness.answers.append(
                    ApiAnswer(
                        world.scheduler.now,
                        method,
                        order_id,
                        body,
                        status,
                        json.loads(end.value["body"]),
                    )
                )
                if status in _REFUSED or status // 100 == 2:
                    return
        if again and world.weather.strikes(CLIENT_GONE):
            world.story.tell("client", f"goes away without an answer ({order_id})")
        elif again:
            self._at(world.random.uniform(0.5, 5), again)
