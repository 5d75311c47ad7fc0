"""The schedules: once a minute, sometimes twice at once, sometimes not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from simulation.lambdas import End, Failed, Lambdas
from simulation.rooms import CARETAKER, CIRCUIT_BREAKER
from simulation.rules import REPORTS
from simulation.story import Violation
from simulation.weather import CALLED_TWICE, NOT_CALLED
from simulation.world import World

_MINUTE: Final = 60.0
_ROUNDS: Final = 120
_LONGEST_WAIT: Final = 240.0
"""Later they are called less often than once a minute: that takes less time to simulate."""
_MAY_RAISE: Final = {CARETAKER: "NotLookedAfterError", CIRCUIT_BREAKER: "CircuitNotHandledError"}
"""What each raises when a call of it fails; then its next run goes on."""


class Schedule:
    """Calls the caretaker and the circuit breaker."""

    def __init__(self, world: World, lambdas: Lambdas) -> None:
        self._world = world
        self._lambdas = lambdas

    def begin(self, seconds: float) -> None:
        """Have them called while there are faults."""
        for minute in range(int(seconds // _MINUTE)):
            for function in _MAY_RAISE:
                when = minute * _MINUTE + self._world.random.uniform(0, _MINUTE)
                self._world.scheduler.after(when, partial(self.call, function))

    def go_on_until(self, is_done: Callable[[], bool]) -> None:
        """Have them called, and let everything come to rest in between, until that holds."""
        scheduler, wait = self._world.scheduler, _MINUTE
        for _ in range(_ROUNDS):
            if is_done():
                return
            scheduler.run(scheduler.now + wait)
            for function in _MAY_RAISE:
                self.call(function)
            scheduler.run()
            wait = min(wait * 1.2, _LONGEST_WAIT)

    def call(self, function: str) -> None:
        """Call a function now, unless it is not called, or called twice."""
        weather = self._world.weather
        if weather.strikes(NOT_CALLED):
            self._world.story.tell(function, "is not called")
            return
        for _ in range(2 if weather.strikes(CALLED_TWICE) else 1):
            event = {"source": "aws.events"}
            self._lambdas.invoke(function, event, "a minute has passed", self._ended)

    def _ended(self, end: End) -> None:
        """It may fail when a call of it does, and then the next run goes on."""
        if isinstance(end, Failed):
            name = end.invocation.name
            if type(end.error).__name__ != _MAY_RAISE[end.invocation.function]:
                raise Violation(REPORTS, f"{name} raised {end.error!r}")
