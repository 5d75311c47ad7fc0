"""Lambda: runs the handlers, one AWS call at a time, and lets them die."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from simulation.coroutines import Asked, Coroutine, Crash, Raised, Step
from simulation.faults import Faults
from simulation.requests import Request, listed, orders_in
from simulation.rooms import CARETAKER, CIRCUIT_BREAKER, Rooms
from simulation.rules import COMES_TO_AN_END, ONE_MESSAGE, RAMP_UPS, REPORTS
from simulation.story import Violation
from simulation.template import FunctionSpec
from simulation.weather import SLOW_CALL, THROTTLED_INVOCATION
from simulation.witness import Logged
from simulation.world import World

_MOST_CALLS: Final = 500
_ENVIRONMENTS: Final = 2
"""How many execution environments a function has."""
_COVERED_REFUSALS: Final = 4
"""How often the retries of one invocation bear that something is refused."""
_COVERED_SECONDS: Final = 2.0
"""How late in an invocation they still do: later, its other work may leave them no time."""


@dataclass(frozen=True, slots=True)
class Pause:
    """What a handler asks for that sleeps."""

    seconds: float


class Moment(NamedTuple):
    """A time."""

    now: float
    """The model's, in seconds."""
    instant: datetime


class Pending:
    """The answer to a call that takes its time: another function runs first."""

    def __init__(self) -> None:
        self._value: Any = None
        self._then: Callable[[Any], None] | None = None
        self._is_known = False

    def settle(self, value: object) -> None:
        """Give the answer."""
        self._value, self._is_known = value, True
        if self._then:
            self._then(value)

    def then(self, action: Callable[[Any], None]) -> None:
        """Have something done with the answer, once it is there."""
        self._then = action
        if self._is_known:
            action(self._value)


class Invocation:
    """One call of a function: the owner of its coroutine, and its Lambda context."""

    def __init__(
        self,
        world: World,
        spec: FunctionSpec,
        number: int,
        event: object,
        memory: dict[str, Any],
    ) -> None:
        self.function = spec.name
        self.memory = memory
        """What its execution environment remembers."""
        self.name = f"{spec.name}#{number}"
        self.tables = set(spec.environment.values()) & set(world.topology.tables)
        """The tables it works on."""
        self.aws_request_id = self.name
        self.may_raise = spec.failure_queue is not None or spec.name in (CARETAKER, CIRCUIT_BREAKER)
        """Whether it may raise when it fails: it gets its event again, or runs again."""
        self.orders = orders_in(event)
        """The orders that its event names."""
        self.event = event
        self.answers: list[Any] = []
        """What its calls were answered so far."""
        self.told: str | None = None
        """What a state tells of its answers, and what it asks; None for all of its answers."""
        self.said: list[tuple[str, str, dict[str, object]]] = []
        """What it has logged: level, message and facts."""
        self.as_of: Moment | None = None
        """When the handler did what it does again now, unheard; None if it does it anew."""
        self.began = world.scheduler.now
        self.excused: set[str] = set()
        """The orders whose messages may fail, because of a fault or of another invocation."""
        self.ramp_ups = 0
        """How often a table or the bus refused something as it was ramping up."""
        self.alive = True
        self.calls = 0
        self.coroutine: Coroutine | None = None
        self._world = world
        self._deadline = world.scheduler.now + spec.timeout
        self.tokens = 0
        """How many it was given."""
        self._skew = world.weather.skew(self.name)

    def ask(self, request: Request) -> Any:  # noqa: ANN401 - the service's answer
        """Have a request answered; called by the handler's clients."""
        assert self.coroutine is not None
        return self.coroutine.ask(request)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert self.coroutine is not None
        self.coroutine.ask(Pause(seconds))

    def uniform(self, least: float, most: float) -> float:
        """A number that follows from the seed."""
        return self._world.random.uniform(least, most)

    def sample(self, population: Sequence[int], count: int) -> list[int]:
        """Some of them in an order that follows from the seed."""
        return self._world.random.sample(population, count)

    def say(self, level: str, message: str, facts: Mapping[str, object]) -> None:
        """Take a log line of the handler."""
        if self.as_of:
            return
        self.said.append((level, message, dict(facts)))
        line = Logged(self._world.scheduler.now, self.function, level, dict(facts))
        self._world.witness.log.append(line)
        told = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        self._world.story.tell(self.name, f'logs "{message}"' + (f": {told}" if told else ""))

    def moment(self) -> Moment:
        """The time, for the model and as a date."""
        return self.as_of or Moment(self._world.scheduler.now, self._world.scheduler.instant())

    def instant(self) -> datetime:
        """The time, as the handler sees it: by a clock that may be wrong by seconds."""
        return self.moment().instant + self._skew

    def new_token(self) -> str:
        """An id that follows from the seed."""
        self.tokens += 1
        return f"{self.name}-{self.tokens}"

    def new_uuid(self) -> UUID:
        """A UUID that follows from the seed."""
        return UUID(int=self._world.random.getrandbits(128), version=4)

    def meet(self, other: Invocation) -> None:
        """Take note that another invocation runs at the same time."""
        if self.tables & other.tables:
            self.excused |= other.orders
            other.excused |= self.orders

    @property
    def has_patience(self) -> bool:
        """Whether its retries cover one more refusal by something that ramps up."""
        elapsed = self._world.scheduler.now - self.began
        return self.ramp_ups < _COVERED_REFUSALS and elapsed < _COVERED_SECONDS

    def check_excuse(self, orders: frozenset[str], what: str) -> None:
        """Check that what failed has failed for a reason.

        Args:
            orders: the orders it was about.
            what: what the invocation did.

        Raises:
            Violation: no fault and no other invocation touched these orders.
        """
        if not orders & self.excused:
            raise Violation(
                RAMP_UPS if self.ramp_ups else ONE_MESSAGE,
                f"{self.name} {what}, though no fault and nobody else touched it{listed(orders)}",
            )

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds left until the function times out."""
        return max(0, int((self._deadline - self.moment().now) * 1000))


@dataclass(frozen=True, slots=True)
class Answered:
    """The function returned this."""

    value: Any
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised an exception."""

    error: BaseException
    invocation: Invocation


@dataclass(frozen=True, slots=True)
class Died:
    """The function's process ended, or its time did."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """The function was not run at all."""


End = Answered | Failed | Died | Throttled
MakeCoroutine = Callable[[Callable[[], Any], object], Coroutine]
"""Has a body stop at each of its calls, for an owner."""
OnEnd = Callable[[End], None]
Perform = Callable[[Request, Invocation], Any]
"""Has an invocation's request take effect."""


class Lambdas:
    """The functions of the pipeline."""

    def __init__(
        self,
        world: World,
        rooms: Rooms,
        faults: Faults,
        perform: Perform,
        coroutine: MakeCoroutine = Coroutine,
    ) -> None:
        """Take the handlers, what answers their calls, and what has them stop at each."""
        self._coroutine = coroutine
        self._world = world
        self._rooms = rooms
        self._faults = faults
        self._perform = perform
        self.running: list[Invocation] = []
        self._numbers = dict.fromkeys(world.topology.functions, 0)
        self.memories: dict[str, list[dict[str, Any]]] = {
            name: [{} for _ in range(_ENVIRONMENTS)] for name in world.topology.functions
        }
        """What each execution environment of a function remembers."""

    def invoke(self, function: str, event: dict[str, Any], what: str, on_end: OnEnd) -> None:
        """Run a function.

        Args:
            function: its name.
            event: what it is called with.
            what: the same for the story.
            on_end: is told how it ended.
        """
        world = self._world
        spec = world.topology.functions[function]
        if world.weather.strikes(THROTTLED_INVOCATION):
            world.story.tell(function, f"is throttled: {what}")
            on_end(Throttled())
            return
        self._numbers[function] += 1
        # What the handler gets is its own: it went over the wire.
        event = json.loads(json.dumps(event))
        memory = world.random.choice(self.memories[function])
        invocation = Invocation(world, spec, self._numbers[function], event, memory)
        world.witness.invocations += 1
        world.story.tell(invocation.name, f"begins: {what}")
        for other in self.running:
            invocation.meet(other)
        self.running.append(invocation)
        handler = self._rooms.handlers[function]
        invocation.coroutine = self._coroutine(partial(handler, event, invocation), invocation)
        world.scheduler.after(spec.timeout, partial(self._time_out, invocation, on_end))
        self._step(invocation, invocation.coroutine.start(), on_end)

    def end_all(self) -> None:
        """Let nothing run on when the run is over."""
        for invocation in self.running:
            self._kill(invocation)

    def _step(self, invocation: Invocation, step: Step, on_end: OnEnd) -> None:
        """Go on from where the handler has stopped."""
        if isinstance(step, Asked) and isinstance(step.question, Pause):
            seconds = step.question.seconds
            self._world.story.tell(invocation.name, f"waits for {seconds:.2f} s")
            self._world.scheduler.after(seconds, partial(self._resume, invocation, None, on_end))
            return
        if isinstance(step, Asked):
            invocation.calls += 1
            if invocation.calls > _MOST_CALLS:
                raise Violation(
                    COMES_TO_AN_END,
                    f"{invocation.name} has made {_MOST_CALLS} calls{listed(invocation.orders)}",
                )
            takes = self._world.weather.latency()
            if self._world.weather.strikes(SLOW_CALL):
                takes = self._world.random.uniform(1, 9)
                invocation.excused |= invocation.orders
            self._world.scheduler.after(
                takes / 2, partial(self._answer, invocation, step.question, takes / 2, on_end)
            )
            return
        self._end(invocation)
        if isinstance(step, Raised):
            self._world.story.tell(invocation.name, f"raises {step.error!r}")
            if not invocation.may_raise:
                raise Violation(REPORTS, f"{invocation.name} raised {step.error!r}")
            on_end(Failed(step.error, invocation))
        else:
            on_end(Answered(step.value, invocation))

    def _answer(self, invocation: Invocation, request: Request, rest: float, on_end: OnEnd) -> None:
        """Have a call take effect; it is on its way even if the function has timed out."""
        answer = self._faults.answer(
            request,
            lambda r: self._perform(r, invocation),
            invocation.function,
            invocation.orders,
            retries_cover_it=invocation.has_patience,
        )
        invocation.excused |= answer.blamed
        invocation.ramp_ups += answer.ramp_up
        self._world.story.tell(invocation.name, request.operation + answer.told)
        if isinstance(answer.value, Crash):
            self._die(invocation, on_end)
            return
        pending = answer.value if isinstance(answer.value, Pending) else Pending()
        pending.then(
            lambda value: self._world.scheduler.after(
                rest, partial(self._resume, invocation, value, on_end)
            )
        )
        if pending is not answer.value:
            pending.settle(answer.value)

    def _resume(self, invocation: Invocation, value: object, on_end: OnEnd) -> None:
        if invocation.alive:
            assert invocation.coroutine is not None
            invocation.answers.append(value)
            self._step(invocation, invocation.coroutine.resume(value), on_end)

    def _time_out(self, invocation: Invocation, on_end: OnEnd) -> None:
        if invocation.alive:
            self._world.story.tell(invocation.name, "times out")
            self._die(invocation, on_end)

    def _die(self, invocation: Invocation, on_end: OnEnd) -> None:
        if invocation.alive:
            self._kill(invocation)
            self._end(invocation)
            on_end(Died())

    def _kill(self, invocation: Invocation) -> None:
        assert invocation.coroutine is not None
        invocation.coroutine.kill()

    def _end(self, invocation: Invocation) -> None:
        invocation.alive = False
        self.running.remove(invocation)
