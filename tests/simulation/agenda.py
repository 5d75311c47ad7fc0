"""A scheduler without a clock: what is to happen may happen in any order."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from simulation.queues import Queues
from simulation.scheduler import BEGINNING, Action, Scheduler

TICK_SECONDS: Final = 0.001
"""Between two steps, for the story. No handler can tell it: the clock they see stands still."""

ANSWER: Final = "Lambdas._answer"
INVOKE: Final = "AsynchronousInvocations._try"
DELIVER: Final = "Simulation._deliver"
CALL: Final = "Workload._call"
CARE: Final = "Schedule.call"

_RESUME: Final = "Lambdas._resume"
_TIME_OUT: Final = "Lambdas._time_out"
_POLL: Final = "EventSource.poll"
_ORDERED_BY_CHOICE: Final = frozenset({ANSWER, INVOKE, DELIVER, CALL, CARE})


def name_of(action: Action) -> str:
    """The method that an action calls."""
    method: Any = action.func if isinstance(action, partial) else action
    return str(method.__qualname__)


def arguments_of(action: Action) -> tuple[Any, ...]:
    """What an action calls its method with."""
    return action.args if isinstance(action, partial) else ()


class Agenda(Scheduler):
    """Keeps what is to happen until it is chosen; after `close` it is a scheduler like any other.

    - A handler goes on as soon as its call is answered: what it does then touches nothing else.
    - An event is in a queue as soon as it is on the bus: nobody sees the difference.
    - Polls are not kept: whatever is visible may be handed out at any moment.
    - What the bus hands to a function itself is withheld until `close`, unless it `tells`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[Action] = []
        """What may happen next, in the order in which it came up."""
        self.withheld: list[Action] = []
        """What happens when all has come to rest."""
        self.tells = True
        self.queues: Queues | None = None
        self._soon: deque[Action] = deque()
        self._time_outs: dict[Any, Action] = {}
        self._open = True
        self._standing = BEGINNING

    def after(self, seconds: float, action: Action) -> None:
        """Keep an action, whenever it was to happen."""
        if not self._open:
            super().after(seconds, action)
            return
        name = name_of(action)
        if name == _RESUME or (name == DELIVER and self._leads_to_a_queue(action)):
            self._soon.append(action)
        elif name == DELIVER and not self.tells:
            self.withheld.append(action)
        elif name == _TIME_OUT:
            alive = {of: act for of, act in self._time_outs.items() if of.alive}
            self._time_outs = {**alive, arguments_of(action)[0]: action}
        elif name != _POLL:
            assert name in _ORDERED_BY_CHOICE, f"the explorer does not know {name}"
            self.pending.append(action)

    def take(self, action: Action) -> None:
        """Have one of the pending actions happen, and what follows at once."""
        self.pending.remove(action)
        self.happen(action)

    def time_out(self, invocation: object) -> None:
        """Have an invocation's time run out."""
        self.happen(self._time_outs.pop(invocation))

    def happen(self, action: Action) -> None:
        """Have an action happen, and what follows at once."""
        self.now += TICK_SECONDS
        action()
        while self._soon:
            self._soon.popleft()()

    def let_pass(self, seconds: float) -> None:
        """Let the clock that handlers see go on."""
        self.now += seconds
        self._standing += timedelta(seconds=seconds)

    def instant(self) -> datetime:
        """The time as a date."""
        return self._standing if self._open else super().instant()

    @property
    def standing(self) -> datetime:
        """The time that handlers see while the order is chosen."""
        return self._standing

    def close(self) -> None:
        """From here on everything happens at its time."""
        assert not self.pending
        self._open = False
        for action in self.withheld:
            self.after(0, action)

    def _leads_to_a_queue(self, action: Action) -> bool:
        assert self.queues is not None
        return arguments_of(action)[0] in self.queues
