"""One schedule of a scope: the simulation, with every next step chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from math import inf
from typing import Any, Final

from simulation.agenda import (
    ANSWER,
    CALL,
    CARE,
    DELIVER,
    INVOKE,
    Agenda,
    arguments_of,
    name_of,
)
from simulation.alike import Histories
from simulation.asynchronous import Attempt
from simulation.bus import BusOfOneId, Event
from simulation.choices import Choices, ChosenWeather, Dice
from simulation.coroutines import Coroutine
from simulation.dynamodb import READS, RememberedDynamoDB
from simulation.lambdas import Invocation
from simulation.memory import Memory
from simulation.places import Actor, Places
from simulation.queues import EventSource, Message, Queue
from simulation.remembered import RememberedCoroutine
from simulation.rooms import API, CARETAKER, Rooms
from simulation.scheduler import Action
from simulation.scopes import TIMED_OUT, Scope
from simulation.settled import RECORDS, Deed, Standing, settled
from simulation.simulation import Simulation
from simulation.snapshots import Copy
from simulation.spent import is_spent
from simulation.state import Ids, Snapshot, shown
from simulation.story import Silence, Story
from simulation.template import FunctionSpec, QueueSpec, Topology
from simulation.weather import EARLY_RETURN
from simulation.witness import Witness, text
from simulation.workload import Plan
from simulation.world import World

_SOLITARY: Final = frozenset({"PutEvents", "ChangeMessageVisibilityBatch"})
_CARETAKER_WAITS: Final = 301.0
"""In seconds: as long as it leaves an order alone that it hears nothing of."""


_IN_COMMON: Final = (Choices, Dice, Places, Plan, Rooms, Scope, Topology, FunctionSpec, QueueSpec)


class UnforeseenError(Exception):
    """An event that the scope was not to have: steps were taken to commute that may not."""


class OldReadError(Exception):
    """States were taken for equal that differ in what a read may give that is not consistent."""

    def __init__(self, tables: Collection[str]) -> None:
        super().__init__(tables)
        self.tables = frozenset(tables)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that can happen next."""

    actor: Actor
    """The function that does it, and the order that it does it for."""
    happen: Action
    about: object
    """What the function gets: the invocation that has it, messages, an event, or a method."""
    message: Message | None = None
    """What is handed out by it, if that is one message."""
    fault: str = ""
    """The kind of fault that it is, if it is one."""
    call: Action | None = None
    """The call that is answered by it, or that its function does not live to see answered."""

    @property
    def invocation(self) -> Invocation | None:
        """The invocation whose call it is about, if that lives."""
        invocation: Invocation | None = arguments_of(self.call)[0] if self.call else None
        return invocation if invocation and invocation.alive else None

    @property
    def operation(self) -> str:
        """The operation that is called."""
        return str(arguments_of(self.call)[1].operation) if self.call else ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all schedules of a search have in common."""

    scope: Scope
    topology: Topology
    rooms: Rooms
    memory: Memory
    ids: Ids
    places: Places | None
    """Which steps commute; None to take none for that."""
    past: frozenset[str]
    """The tables of which it matters how items were before, as somebody may still read that."""
    shared: frozenset[type] | None
    """The types of what all schedules have in common; None if no run can be copied."""
    histories: Histories | None
    """Those of which only the last try of each request is told; None to tell all answers."""

    @classmethod
    def of(
        cls,
        scope: Scope,
        topology: Topology,
        rooms: Rooms,
        *,
        commuting: bool,
        past: frozenset[str] = frozenset(),
        alike: bool = True,
    ) -> Ground:
        """Take a scope and the pipeline."""
        places = _places(scope, topology) if commuting else None
        memory, shared = Memory(rooms.handlers), None
        # One with a memory of its own stands in the middle of its code, and cannot be copied.
        if not any(memory.has(rooms.handlers[name]) for name in _played(topology)):
            handlers = map(type, rooms.handlers.values())
            shared = frozenset({cls, *_IN_COMMON, *handlers})
        ids = Ids(topology)
        histories = Histories(topology, rooms, ids) if alike else None
        return cls(scope, topology, rooms, memory, ids, places, past, shared, histories)


class Exploration(Simulation):
    """One schedule."""

    def __init__(self, ground: Ground, choices: Choices, *, silent: bool = False) -> None:
        """Begin.

        Args:
            ground: where it plays.
            choices: the schedule's.
            silent: whether nobody wants to read its story.
        """
        self.agenda, self._dice, self._choices = Agenda(), Dice(), choices
        self._has_begun = False
        self._ground, self._scope, self._places = ground, ground.scope, ground.places
        self._caretaker_left = self._scope.caretaker
        self._promised: dict[str, Deed] = {}
        """What is to come of messages that it does not matter of when they come, by receipt."""
        self.end = b""
        """The state in which everything has come to rest; none before that."""
        world = World(
            random=self._dice,
            scheduler=self.agenda,
            weather=ChosenWeather(self._dice, self._scope.kinds, self._scope.free),
            story=(Silence if silent else Story)(self.agenda),
            witness=Witness(),
            topology=ground.topology,
        )
        ground.memory.forget()
        super().__init__(
            world,
            self._scope.plan,
            ground.rooms,
            RememberedDynamoDB,
            self._begin_coroutine,
            bus=BusOfOneId,
        )
        self.agenda.queues, self.agenda.tells = self._queues, self._scope.told
        for environments in self._lambdas.memories.values():
            del environments[1:]

    @classmethod
    def goes_on(cls, copy: Copy, choices: Choices) -> Exploration:
        """A copy of a run, with another schedule that begins in the same way.

        Args:
            copy: of the run, in a state that it had just entered.
            choices: the schedule's.
        """
        run: Exploration = copy.thing()
        run._choices = choices
        return run

    def _play(self) -> None:
        self._dice.chooser = self._choices
        if not self._has_begun:
            self._begin()
        while step := self._next_step():
            self._take(step)
            while begun := self._just_begun():
                self._take(begun[self._choices.choose(len(begun))])
        self.end = self._describe()
        self._choices.enter(lambda: self.end)
        self._dice.chooser = None
        # In an order that follows from the state, as everything does from here on.
        self.agenda.withheld.sort(key=lambda action: self._ground.ids.strip(shown(action)))
        self.agenda.close()

    def _begin(self) -> None:
        self._has_begun = True
        for order_id in self.plan.orders:
            self._workload.ask("POST", order_id, self._scope.tries)
        for order_id in self._scope.cancels:
            self._workload.ask("DELETE", order_id, self._scope.tries)

    def _begin_coroutine(self, body: Callable[[], Any], owner: object) -> Coroutine:
        """What a handler does follows from what it is given, unless it remembers something."""
        assert isinstance(body, partial)
        if self._ground.memory.has(body.func):
            return Coroutine(body, owner)
        assert isinstance(owner, Invocation)
        histories = self._ground.histories
        beginning = histories.beginning(owner) if histories else None
        return RememberedCoroutine(body, owner, beginning)

    def _describe(self) -> bytes:
        return self.snapshot().digest(self._ground.ids)

    def _copied(self) -> Copy | None:
        return Copy.of(self, self._ground.shared) if self._ground.shared else None

    def snapshot(self) -> Snapshot:
        """The state."""
        assert isinstance(self._tables, RememberedDynamoDB)
        return Snapshot(
            self.world,
            self.plan,
            parts=(self._watch, self._processor, self._topic, self._asynchronous),
            tables=self._tables.text() + self._tables.past(sorted(self._ground.past)),
            is_repeated=self._tables.had,
            queues=self._queues,
            running=self._lambdas.running,
            settled_at=self._watch.settled_at,
            pending=(*self.agenda.pending, *self.agenda.withheld),
            others=(
                self._caretaker_left,
                self.agenda.standing,
                self._ground.memory.kept(),
                [(request, fault.name) for request, fault in self._faults.lasting],
            ),
        )

    # What can happen next

    def _next_step(self) -> Step | None:
        """Choose; None if nothing can happen any more."""
        steps = list(self._steps())
        if not steps:
            return None
        worth_taking = partial(self._worth_taking, steps)
        return steps[self._choices.choose_step(worth_taking, self._describe, self._copied)]

    def _just_begun(self) -> list[Step]:
        """The first call of what has just begun: that it began earlier makes no difference."""
        return [
            step
            for action in self.agenda.pending
            if name_of(action) == ANSWER and arguments_of(action)[0].calls == 1
            if arguments_of(action)[0].alive
            for step in self._steps_of(action)
        ]

    def _worth_taking(self, steps: list[Step]) -> list[int]:
        """The numbers of the steps that cannot come later as well, and do not lead to the same."""
        if self._places is None:
            return self._without_equals(steps, range(len(steps)))
        if first := self._spent_call(steps) or self._solitary_call(steps):
            return first
        # The caretaker may touch everything.
        cared_for = self._caretaker_left or any(s.actor.function == CARETAKER for s in steps)
        if cared_for:
            return self._without_equals(steps, range(len(steps)))
        if first := self._settled_message(steps) or self._undisturbed(steps, self._places):
            return first
        actors = [self._with_what_it_gets(step) for step in steps]
        return self._without_equals(steps, self._places.reduce(actors, self._published()))

    def _with_what_it_gets(self, step: Step) -> Actor:
        return replace(step.actor, gets=frozenset(_types(step.about)))

    def _published(self) -> dict[str, set[str]]:
        """The types of the events that were published so far, by order."""
        types: dict[str, set[str]] = {}
        for event in self.world.witness.published:
            types.setdefault(event.order_id, set()).add(event.detail_type)
        return types

    def _solitary_call(self, steps: list[Step]) -> list[int]:
        """The first call of those that touch nothing of others, and what else can become of it.

        To publish only adds messages, and when a message is delivered again is nobody else's
        concern. So it is taken at once, unless its own message may come back meanwhile.
        What order-api answers when it has published is held against how the order stands then.
        """
        if self._scope.at_once > 1 and self._may_strike(EARLY_RETURN):
            return []
        found = [
            n
            for n, step in enumerate(steps)
            if step.operation in _SOLITARY and step.actor.function not in (API, CARETAKER)
        ]
        first = [steps[n].call for n in found[:1]]
        return [n for n, step in enumerate(steps) if step.call in first]

    def _spent_call(self, steps: list[Step]) -> list[int]:
        """A call that comes too late to do anything, of a function that is not there any more."""
        for number, step in enumerate(steps):
            if step.call and not step.invocation and not step.fault:
                _, request, *_ = arguments_of(step.call)
                tables = self._ground.topology.tables
                if is_spent(request, tables, self._tables.items, self._processor.cancelled):
                    return [number]
        return []

    def _settled_message(self, steps: list[Step]) -> list[int]:
        """A message of which it does not matter whether it comes now or later.

        What it changes could meet the write of another invocation, or be read by somebody else;
        so it changes nothing where there may be one.
        """
        alone = self._scope.at_once == 1 and self._scope.batch == 1 and not self._scope.told
        for number, step in enumerate(steps):
            if step.message and not step.fault:
                deed = self._settled(step.actor, step.message)
                if deed and (alone or not deed.changes):
                    return [number]
        return []

    def _settled(self, actor: Actor, message: Message) -> Deed | None:
        """What comes of a message, if it does not matter when it comes."""
        if actor.function not in RECORDS:
            return None
        table, attributes = RECORDS[actor.function]
        record = self._tables.items(table).get(actor.order_id)
        state = tuple(text(record, attribute) for attribute in attributes)
        return settled().get(Standing(actor.function, state, message.what))

    def _undisturbed(self, steps: list[Step], places: Places) -> list[int]:
        """The steps of an invocation that is alone in its place, and stays so until it has ended.

        None begins beside it, as its function has one at work at a time, and no other function
        gets anything there.
        """
        if self._scope.at_once > 1:
            return []
        where = [places.of(step.actor) for step in steps]
        for place, step in zip(where, steps, strict=True):
            if step.invocation and places.has_one_function(step.actor):
                here = [n for n, other in enumerate(where) if other == place]
                if all(steps[n].invocation is step.invocation for n in here):
                    return here
        return []

    def _without_equals(self, steps: list[Step], numbers: Iterable[int]) -> list[int]:
        """Of steps that hand out equal messages the first."""
        found: dict[object, int] = {}
        for number in numbers:
            message = steps[number].message
            found.setdefault(self._alike(message) if message else number, number)
        return list(found.values())

    def _alike(self, message: Message) -> object:
        """The same for equal messages, of which it does not matter which, unless one is named."""
        named = any(message.id in shown(action) for action in self.agenda.pending)
        return (
            message.id if named else "",
            message.body,
            message.receives,
            message.redrives,
            message.sent_back,
        )

    def _steps(self) -> Iterator[Step]:
        for action in self.agenda.pending:
            yield from self._steps_of(action)
        for queue in self._queues:
            if queue.reader:
                yield from self._polls(queue, queue.reader)
        # When minutes pass, whatever was at work has ended.
        if self._caretaker_left and not self._lambdas.running:
            yield Step(Actor(CARETAKER, ""), self._call_caretaker, None)

    def _steps_of(self, action: Action) -> Iterator[Step]:
        actor, about = self._actor(action), arguments_of(action)[:2]
        if name_of(action) in (DELIVER, INVOKE) and self._is_busy(actor):
            return
        call = action if name_of(action) == ANSWER else None
        yield Step(actor, partial(self.agenda.take, action), about, call=call)
        if name_of(action) == ANSWER and self._may_strike(TIMED_OUT):
            invocation, request, *_ = arguments_of(action)
            if invocation.alive and request.operation not in READS:
                time_out = partial(self.agenda.time_out, invocation)
                yield Step(actor, time_out, about, fault=TIMED_OUT, call=call)

    def _actor(self, action: Action) -> Actor:
        arguments = arguments_of(action)
        match name_of(action):
            case name if name == ANSWER:
                return Actor(arguments[0].function, _only(arguments[0].orders))
            case name if name == DELIVER:
                return Actor(arguments[0], arguments[1].order_id)
            case name if name == INVOKE:
                return Actor(arguments[0].function, arguments[0].event.order_id)
            case name if name == CALL:
                return Actor(API, arguments[1])
            case name:
                assert name == CARE, name
                return Actor(CARETAKER, "")

    def _polls(self, queue: Queue, reader: EventSource) -> Iterator[Step]:
        """What a queue can hand out: any messages in any order."""
        now = self.agenda.now
        visible = [message for message in queue.messages if message.visible_at <= now]
        visible = [m for m in visible if not self._is_busy(self._reader_of(reader, [m]))]
        for size in range(1, min(self._scope.batch, len(visible)) + 1):
            for batch in permutations(visible, size):
                poll = partial(self._poll, reader, list(batch))
                message = batch[0] if size == 1 else None
                yield Step(self._reader_of(reader, batch), poll, batch, message=message)
        if self._may_strike(EARLY_RETURN):
            for message in queue.messages:
                actor = self._reader_of(reader, [message])
                if message.visible_at > now and not self._is_busy(actor):
                    poll = partial(self._poll, reader, [message])
                    yield Step(actor, poll, [message], fault=EARLY_RETURN)

    def _reader_of(self, reader: EventSource, batch: Iterable[Message]) -> Actor:
        return Actor(reader.function, _only({order for m in batch for order in m.orders}))

    def _is_busy(self, actor: Actor) -> bool:
        """Whether as many invocations as may are at work on an order."""
        running = (
            invocation
            for invocation in self._lambdas.running
            if (invocation.function, _only(invocation.orders)) == (actor.function, actor.order_id)
        )
        return len(list(running)) >= self._scope.at_once

    def _may_strike(self, kind: str) -> bool:
        return bool(self._choices.faults) and kind in self._scope.kinds

    # What happens

    def _take(self, step: Step) -> None:
        if step.fault:
            self._choices.faults -= 1
            self.world.weather.struck[step.fault] += 1
        published, tables = self.world.witness.published, self._tables.text()
        before, promised = len(published), self._promised_in(step)
        invocation, faults = step.invocation, self._choices.faults
        lasting = self._lasting(invocation)
        self.agenda.happen(step.happen)
        if invocation and self._ground.histories:
            left, both = self._choices.faults, (lasting, self._lasting(invocation))
            self._ground.histories.note(invocation, faults - left, left, both)
        self._let_go()
        assert not self._tables.items("circuits"), "the state leaves the circuit breaker out"
        if not self._tables.looked_back <= self._ground.past:
            raise OldReadError(self._tables.looked_back)
        self._check_memories()
        if len(published) > before:
            self._check_published(step, before)
        if promised and self._places:
            if not promised.changes and self._tables.text() != tables:
                raise UnforeseenError(f"{step.actor.function} was to change nothing")
            if any(event.detail_type != promised.publishes for event in published[before:]):
                raise UnforeseenError(f"{step.actor.function} was to tell {promised.publishes}")

    def _lasting(self, invocation: Invocation | None) -> str:
        """The kind of the fault that is to strike the call of an invocation once more, if any."""
        calls = (
            arguments_of(action)[1]
            for action in self.agenda.pending
            if name_of(action) == ANSWER and arguments_of(action)[0] is invocation
        )
        request = next(calls, None)
        return next((fault.name for asked, fault in self._faults.lasting if asked == request), "")

    def _promised_in(self, step: Step) -> Deed | None:
        """What is to come of an invocation that a step belongs to, if that is known."""
        receipts = _receipts(step.invocation) if step.invocation else ()
        return next((self._promised[r] for r in receipts if r in self._promised), None)

    def _poll(self, reader: EventSource, batch: list[Message]) -> None:
        for message in batch:
            message.visible_at = self.agenda.now
        deed = len(batch) == 1 and self._settled(self._reader_of(reader, batch), batch[0])
        self._dice.batch = batch
        reader.poll()
        if deed:
            self._promised[batch[0].receipt] = deed

    def _call_caretaker(self) -> None:
        self._caretaker_left -= 1
        self.agenda.let_pass(_CARETAKER_WAITS)
        self.world.story.tell(CARETAKER, "is called, five minutes later")
        self._schedule.call(CARETAKER)

    def _let_go(self) -> None:
        """Have what nobody works on any more come back: at any moment from now on."""
        running = self._lambdas.running
        held = {receipt for invocation in running for receipt in _receipts(invocation)}
        cared_for = any(invocation.function == CARETAKER for invocation in running)
        for queue in self._queues:
            for message in queue.messages:
                if queue.reader:
                    message.visible_at = inf if message.receipt in held else self.agenda.now
                elif not cared_for:
                    message.visible_at = min(message.visible_at, self.agenda.now)

    def _check_memories(self) -> None:
        """Check that what functions remember makes no difference: the state leaves it out."""
        for name, environments in self._lambdas.memories.items():
            for memory in filter(None, environments):
                assert memory.keys() == {"tries"}, f"{name} remembers more than its last tries"
                tries = memory["tries"]
                assert self._scope.faults < tries.least * tries.failed_share, "it may say they fail"

    def _check_published(self, step: Step, before: int) -> None:
        """Check that a step published what it was to be able to, if anything."""
        if self._places is None:
            return
        actor, published = self._with_what_it_gets(step), self.world.witness.published
        for number, event in enumerate(published[before:], before):
            earlier = {e.detail_type for e in published[:number] if e.order_id == event.order_id}
            if actor.function == CARETAKER and event.detail_type not in self._scope.never:
                continue
            of_its_order = actor.order_id in ("", event.order_id)
            if not of_its_order or not self._places.expects(actor, event.detail_type, earlier):
                raise UnforeseenError(f"{event.publisher}: {event.detail_type}")


def _places(scope: Scope, topology: Topology) -> Places:
    orders = [order.order_id for order in scope.orders]
    waiting = () if scope.told else {route.target for route in topology.routes}
    return Places(topology, scope.never, orders, waiting, orders_apart=scope.batch == 1)


def _played(topology: Topology) -> set[str]:
    """The functions that schedules call."""
    targets = {route.target for route in topology.routes}
    called = {f.name for f in topology.functions.values() if targets & {f.name, f.queue}}
    return {API, CARETAKER, *called}


def _types(about: object) -> Iterator[str]:
    """The types of the events in something that a function gets, or the API's method."""
    match about:
        case Invocation():
            yield from _types(about.event)
        case Message():
            yield about.what
        case Event():
            yield about.detail_type
        case Attempt():
            yield about.event.detail_type
        case {"Records": records}:
            for record in records:
                yield json.loads(record["body"])["detail-type"]
        case {"detail-type": str(name)} | {"httpMethod": str(name)} | str(name):
            yield name
        case list() | tuple():
            for each in about:
                yield from _types(each)


def _receipts(invocation: Invocation) -> Iterator[str]:
    event = invocation.event
    assert isinstance(event, dict)
    for record in event.get("Records", ()):
        yield record["receiptHandle"]


def _only(orders: Iterable[str]) -> str:
    """The one order, or none if there are several."""
    found = list(orders)
    return found[0] if len(found) == 1 else ""
