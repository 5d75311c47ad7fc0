"""The schedule of the caretaker: once a minute, sometimes twice at once, sometimes not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulation.lambdas import End, Failed, Lambdas
from simulation.rooms import CARETAKER
from simulation.rules import REPORTS
from simulation.story import Violation
from simulation.weather import CARETAKER_ABSENT, CARETAKER_TWICE
from simulation.world import World

_MINUTE: Final = 60.0
_ROUNDS: Final = 120
_LONGEST_WAIT: Final = 240.0
"""Later it is called less often than once a minute: that takes less time to simulate."""


class Schedule:
    """Calls the caretaker."""

    def __init__(self, world: World, lambdas: Lambdas) -> None:
        self._world = world
        self._lambdas = lambdas

    def begin(self, seconds: float) -> None:
        """Have it called while there are faults."""
        for minute in range(int(seconds // _MINUTE)):
            when = minute * _MINUTE + self._world.random.uniform(0, _MINUTE)
            self._world.scheduler.after(when, self._call)

    def go_on_until(self, is_done: Callable[[], bool]) -> None:
        """Have it called, and let everything come to rest in between, until that holds."""
        scheduler, wait = self._world.scheduler, _MINUTE
        for _ in range(_ROUNDS):
            if is_done():
                return
            scheduler.run(scheduler.now + wait)
            self._call()
            scheduler.run()
            wait = min(wait * 1.2, _LONGEST_WAIT)

    def _call(self) -> None:
        weather = self._world.weather
        if weather.strikes(CARETAKER_ABSENT):
            self._world.story.tell(CARETAKER, "is not called")
            return
        for _ in range(2 if weather.strikes(CARETAKER_TWICE) else 1):
            self._lambdas.invoke(CARETAKER, {}, "a minute has passed", self._ended)

    def _ended(self, end: End) -> None:
        """It may fail when a call of it does, and then the next run goes on."""
        if isinstance(end, Failed) and type(end.error).__name__ != "NotLookedAfterError":
            raise Violation(REPORTS, f"{end.invocation.name} raised {end.error!r}")
