"""One run: everything that follows from one seed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from simulation.asynchronous import AsynchronousInvocations
from simulation.bus import Bus, Event
from simulation.card_processor import CardProcessor
from simulation.circuit import CONSUMER, Circuit
from simulation.coroutines import Coroutine
from simulation.dynamodb import DynamoDB, Holding, Item
from simulation.faults import FAULTS, Faults
from simulation.invariants import AtRest, Watch
from simulation.lambdas import Invocation, Lambdas, MakeCoroutine
from simulation.queues import MOST_REDRIVES, EventSource, Message, Queues
from simulation.requests import CARD_PROCESSOR, Request
from simulation.rooms import API, Rooms
from simulation.rules import BOOKS, BY_ITSELF, ENDS
from simulation.schedule import Schedule
from simulation.scheduler import BEGINNING, NeverQuietError, Scheduler
from simulation.shelves import Shelver, stand
from simulation.story import Line, Story, Violation
from simulation.template import Topology
from simulation.topic import Topic
from simulation.weather import DELIVERY, HELD_BY_OTHERS, Weather, denials, outages, ramp_ups
from simulation.witness import Change, Witness, number, text
from simulation.workload import Plan, Workload
from simulation.world import World

_REDRIVES: Final = 4
_HELD_SECONDS: Final = (0.012, 0.03, 0.3, 3.0)
"""How long a transaction holds its items, by turns: longer than on AWS, too, so that others meet it
and give up for the time being."""
_REPLAYED: Final = 16
"""One in so many seeds has its events replayed when all is over."""
_LATER_SECONDS: Final = 400 * 86_400
"""How much later: past every window in which somebody remembers what came before."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    seed: int
    violation: str | None
    """What did not hold."""
    short_story: str
    """The schedule of the orders that the violation is about."""
    lines: tuple[Line, ...]
    """The whole schedule."""
    orders: int
    invocations: int
    struck: Counter[str]
    """How often each kind of fault struck."""

    @property
    def story(self) -> str:
        """The whole schedule, to be read."""
        return "\n".join(map(str, self.lines))


def run(seed: int, topology: Topology, rooms: Rooms) -> Result:
    """Run one seed."""
    random = Random(seed)
    plan = Plan.draw(random)
    replays = seed % _REPLAYED == 0
    world = _draw_world(random, plan, topology)
    held_seconds = _HELD_SECONDS[seed % len(_HELD_SECONDS)]
    simulation = Simulation(world, plan, rooms, replays=replays, held_seconds=held_seconds)
    violation = simulation.run()
    world.weather.struck[HELD_BY_OTHERS] += simulation.conflicts
    return Result(
        seed=seed,
        violation=str(violation) if violation else None,
        short_story=world.story.about(violation.orders) if violation else "",
        lines=world.story.lines(),
        orders=len(simulation.plan.orders),
        invocations=world.witness.invocations,
        struck=world.weather.struck,
    )


def _draw_world(random: Random, plan: Plan, topology: Topology) -> World:
    scheduler = Scheduler()
    rates = DELIVERY | {fault.name: fault.rate for fault in FAULTS}
    calls = [(API, "events")]
    calls += [(name, "dynamodb") for name, f in topology.functions.items() if f.queue]
    return World(
        random=random,
        scheduler=scheduler,
        weather=Weather(
            random,
            rates,
            ramp_ups(random, _targets(topology), plan.seconds),
            denials(random, calls, plan.seconds),
            outages(random, plan.seconds),
        ),
        story=Story(scheduler),
        witness=Witness(),
        topology=topology,
    )


def _targets(topology: Topology) -> list[str]:
    """The tables and the bus, which may have to ramp up."""
    return [*topology.tables, topology.bus]


class Simulation:
    """The pipeline in a world, from the first call to the books."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        rooms: Rooms,
        database: type[DynamoDB] = DynamoDB,
        coroutine: MakeCoroutine = Coroutine,
        *,
        bus: type[Bus] = Bus,
        replays: bool = False,
        held_seconds: float = 0.0,
    ) -> None:
        """Begin.

        Args:
            world: where it plays.
            plan: what it plays.
            rooms: the handlers.
            database: what answers for DynamoDB.
            coroutine: what has handlers stop at each of their calls.
            bus: what carries the events.
            replays: whether every event is replayed when all is over.
            held_seconds: how long a transaction holds its items.
        """
        topology = world.topology
        self.world = world
        self.plan = plan
        self._replays = replays
        self._delivered: list[Message] = []
        """What the consumers' queues got from the bus."""
        self._watch = Watch(world, self.plan)
        self._holding = Holding(world.scheduler, held_seconds) if held_seconds else None
        self._tables = database(
            topology.tables, topology.indexes, world.random, self._changed, self._holding
        )
        stand(self._tables, plan)
        self._shelver = Shelver(world, self._perform_on_tables, plan)
        self._processor = CardProcessor(world, self.plan.declined, self.plan.silent)
        self._topic = Topic(world)
        self._bus = bus(world, self._deliver, self._watch.published)
        self._messages = 0
        self._queues = Queues(world)
        self._faults = Faults(world, _targets(topology))
        self._lambdas = Lambdas(world, rooms, self._faults, self._perform, coroutine)
        self._asynchronous = AsynchronousInvocations(world, self._lambdas, self._queues)
        for function in topology.functions.values():
            if function.queue:
                EventSource(world, self._queues[function.queue], function, self._lambdas)
        payments = self._queues[CONSUMER].reader
        assert payments
        self._circuit = Circuit(world, self._tables, self._queues, payments)
        self._others = {
            "lambda": self._circuit.perform,
            "logs": self._log_events,
            "sns": self._topic.perform,
        }
        self._schedule = Schedule(world, self._lambdas)
        self._workload = Workload(world, self.plan, self._lambdas, self._bus, self._queues)

    def run(self) -> Violation | None:
        """Let it all happen, and check it."""
        scheduler = self.world.scheduler
        try:
            self._play()
            self.world.story.tell("the weather", "is calm from here on")
            self.world.weather.calm = True
            scheduler.run()
            self._end_by_itself()
            for _ in range(_REDRIVES):
                self._redrive()
                scheduler.run()
                if self._only_nonsense_is_left():
                    break
            for order_id in self.plan.orders:
                self._workload.look_at(order_id)
            scheduler.run()
            self._check()
            if self._replays:
                self._replay()
                self._check()
        except Violation as violation:
            return violation
        except NeverQuietError:
            return Violation(ENDS, "the pipeline never comes to rest")
        finally:
            self._lambdas.end_all()
            self._shelver.end()
        return None

    @property
    def conflicts(self) -> int:
        """How many writes have met a transaction."""
        return self._holding.met if self._holding else 0

    def _play(self) -> None:
        """Let happen what has faults in it."""
        self._workload.begin()
        self._shelver.begin()
        self._schedule.begin(self.plan.seconds)
        self._circuit.begin(self.plan.seconds)
        self.world.scheduler.run(self.plan.seconds)

    def _check(self) -> None:
        AtRest(
            self.plan,
            self.world.witness,
            self._tables,
            self._processor,
            self._watch.placed,
            self._watch.taken,
            self._queues.left(),
        ).check()

    def _replay(self) -> None:
        """Have the consumers get every event once more, long after: nothing may come of it."""
        scheduler = self.world.scheduler
        self.world.story.tell("the archive", "replays every event, more than a year later")
        for message in list(self._delivered):
            again = Message(f"{message.id}-again", message.body, message.what, message.unreadable)
            queue = self._queues[message.id.rpartition("-")[0]]
            scheduler.after(_LATER_SECONDS, lambda q=queue, m=again: q.send(m))  # type: ignore[misc]
        books = dict(self._tables.items("payments")), dict(self._tables.items("reservations"))
        scheduler.run()
        self._redrive()
        scheduler.run()
        if books != (self._tables.items("payments"), self._tables.items("reservations")):
            raise Violation(BOOKS, "a replay of all events has changed the books")

    def _perform(self, request: Request, invocation: Invocation) -> Any:  # noqa: ANN401
        """Have a function's call take effect."""
        match request.service:
            case "dynamodb":
                return self._perform_on_tables(request, invocation.name)
            case "events":
                return self._bus.perform(request, invocation.function)
            case "sqs":
                if request.operation == "GetQueueAttributes":
                    self._circuit.counted()
                return self._queues.perform(request, invocation.function)
            case service if service == CARD_PROCESSOR:
                self._watch.asked(request, invocation.began)
                return self._processor.perform(request)
            case service:
                return self._others[service](request)

    def _perform_on_tables(self, request: Request, writer: str = "") -> Any:  # noqa: ANN401
        if self._holding:
            self._holding.writer = writer
        try:
            return self._tables.perform(request)
        finally:
            self._watch.balanced()

    def _log_events(self, request: Request) -> dict[str, list[dict[str, Any]]]:
        """``FilterLogEvents`` for warnings."""
        assert request.arguments["filterPattern"] == '"WARNING"'
        function = request.arguments["logGroupName"].rpartition("/")[2]
        since = request.arguments["startTime"] / 1000
        return {
            "events": [
                {
                    "timestamp": int((BEGINNING.timestamp() + line.seconds) * 1000),
                    "message": json.dumps({"level": line.level, **line.facts}),
                }
                for line in self.world.witness.log
                if (line.function, line.level) == (function, "WARNING")
                and BEGINNING.timestamp() + line.seconds >= since
            ]
        }

    def _end_by_itself(self) -> None:
        """Let the caretaker look after what is left, without a hand."""
        self._schedule.go_on_until(lambda: not self._waiting())
        if waiting := self._waiting():
            raise Violation(BY_ITSELF, waiting)

    def _waiting(self) -> str:
        """What still has to end by itself; empty when nothing has."""
        for key, record in self._tables.items("orders").items():
            if "unfinished" in record:
                return f"{key} is {text(record, 'status')} and has not ended"
        if waiting := self._circuit.waiting():
            return waiting
        for queue in self._queues:
            if not queue.reader or not queue.spec.dead_letter_queue:
                continue
            for message in self._queues[queue.spec.dead_letter_queue].messages:
                if not (
                    message.unreadable
                    or message.sent_back >= MOST_REDRIVES
                    or self._queues.was_denied(message, queue)
                ):
                    return f"{message} is still in {queue.spec.dead_letter_queue}"
        return ""

    def _changed(self, table: str, key: str, before: Item | None, after: Item | None) -> None:
        """Take note of a write."""
        world = self.world
        world.witness.changes.append(Change(world.scheduler.now, table, key, before, after))
        world.story.tell(f"table {table}", _told(table, key, before, after))
        self._watch.changed(table, key, before, after)
        if table == "circuits":
            self._circuit.changed(before, after)

    def _deliver(self, target: str, event: Event) -> None:
        """Hand an event to a target of the bus."""
        if target not in self._queues:
            self._asynchronous.hand_over(target, event)
            return
        self._messages += 1
        id_ = f"{target}-{self._messages}"
        message = Message(id_, event.envelope, event.detail_type, event.unreadable)
        self._delivered.append(message)
        self._queues[target].send(message)

    def _redrive(self) -> None:
        """Have a person see to what waits for one, and send everything on its way again."""
        self._processor.silent = frozenset()
        for name, messages in self._queues.left().items():
            parked = list(messages)
            sources = [q for q in self._queues if q.spec.dead_letter_queue == name]
            if not sources and not self._asynchronous.parks_in(name):
                continue
            self.world.story.tell(name, f"is redriven: {', '.join(map(str, parked))}")
            messages.clear()
            for message in parked:
                if sources:
                    message.receives = 0
                    sources[0].send(message)
                else:
                    self._asynchronous.redrive(message)

    def _only_nonsense_is_left(self) -> bool:
        return all(
            message.unreadable for messages in self._queues.left().values() for message in messages
        )


def _told(table: str, key: str, before: Item | None, after: Item | None) -> str:
    """A write, for the story."""
    if table == "stock":
        return f"{key}: {number(before, 'available')} → {number(after, 'available')} available"
    attributes = ("status", "payment", "inventory") if table == "orders" else ("state",)
    changes = [
        f"{text(before, name) or 'nothing'} → {text(after, name) or 'nothing'}"
        for name in attributes
        if text(before, name) != text(after, name)
    ]
    return f"{key}: {', '.join(changes) or 'rewritten'}"
