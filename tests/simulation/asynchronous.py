"""Asynchronous invocations: what EventBridge hands to a function, and Lambda's retries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from simulation.bus import Event
from simulation.lambdas import Answered, End, Failed, Lambdas, Throttled
from simulation.queues import Message, Queues
from simulation.requests import listed, orders_in
from simulation.story import Violation
from simulation.world import World

_WAITS_SECONDS: Final = (60.0, 120.0)
_THROTTLED_SECONDS: Final = (1.0, 30.0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A function's, at an event."""

    function: str
    event: Event
    number: int


class AsynchronousInvocations:
    """Tries a failed event twice more, then hands it to the on-failure destination."""

    def __init__(self, world: World, lambdas: Lambdas, queues: Queues) -> None:
        self._world = world
        self._lambdas = lambdas
        self._queues = queues
        self._parked: dict[str, Attempt] = {}
        self._count = 0

    def hand_over(self, function: str, event: Event) -> None:
        """Have a function called with an event."""
        self._try(Attempt(function, event, 1))

    def parks_in(self, queue: str) -> bool:
        """Whether a queue is the on-failure destination of a function."""
        functions = self._world.topology.functions.values()
        return any(function.failure_queue == queue for function in functions)

    def redrive(self, message: Message) -> None:
        """Have a parked event's function called anew."""
        attempt = self._parked.pop(message.id)
        self.hand_over(attempt.function, attempt.event)

    def _try(self, attempt: Attempt) -> None:
        self._lambdas.invoke(
            attempt.function,
            json.loads(attempt.event.envelope),
            f"{attempt.event.detail_type}{listed(orders_in(attempt.event.order_id))}",
            partial(self._ended, attempt),
        )

    def _ended(self, attempt: Attempt, end: End) -> None:
        world, event = self._world, attempt.event
        if isinstance(end, Answered):
            world.story.tell(end.invocation.name, "ends")
            if event.unreadable:
                raise Violation(
                    event.unreadable,
                    f"{end.invocation.name} took {event.detail_type} as done",
                )
            return
        if isinstance(end, Failed) and not event.unreadable and event.order_id:
            end.invocation.check_excuse(orders_in(event.order_id), f"raised {end.error!r}")
        if isinstance(end, Throttled):
            wait = world.random.uniform(*_THROTTLED_SECONDS)
            world.scheduler.after(wait, partial(self._try, attempt))
            return
        spec = world.topology.functions[attempt.function]
        if attempt.number <= spec.retries:
            again = Attempt(attempt.function, event, attempt.number + 1)
            wait = _WAITS_SECONDS[attempt.number - 1]
            world.scheduler.after(wait, partial(self._try, again))
            return
        self._park(attempt, spec.failure_queue)

    def _park(self, attempt: Attempt, queue: str | None) -> None:
        event = attempt.event
        if queue is None:
            self._world.story.tell(attempt.function, f"is given up for {event.detail_type}")
            return
        self._count += 1
        body: dict[str, Any] = {
            "requestContext": {"condition": "RetriesExhausted"},
            "requestPayload": json.loads(event.envelope),
        }
        message = Message(
            f"{queue}-{self._count}", json.dumps(body), event.detail_type, event.unreadable
        )
        self._parked[message.id] = attempt
        self._world.story.tell(attempt.function, f"is given up for {message}; parked in {queue}")
        self._queues[queue].send(message)
