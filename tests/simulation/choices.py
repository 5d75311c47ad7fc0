"""The chooser: what is left to chance elsewhere is a choice here, to be made in every way.

`Dice` and `ChosenWeather` stand where a seed's `Random` and `Weather` stand: whatever these are
asked becomes a choice, or has one answer where that is all the scope has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableSequence, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from math import comb
from random import Random
from typing import Any, Final, TypeVar

from simulation.snapshots import Copy
from simulation.weather import Weather

T = TypeVar("T")

_NEVER: Final = 0.999


class SeenError(Exception):
    """This state was entered before, and every way on from it was gone."""

    def __init__(self, schedules: int) -> None:
        super().__init__(schedules)
        self.schedules = schedules
        """How many schedules go on from it."""


class LoopError(Exception):
    """This state leads back to itself."""


@dataclass(slots=True)
class Branch:
    """A point of a schedule: a choice, or a state that it passes through."""

    ways: int
    steps: Sequence[int] = ()
    """What the ways are, if they are steps: their numbers among all that could come next."""
    state: bytes | None = None
    copy: Copy | None = None
    """The run when it entered the state."""
    left: tuple[int, int | None] = (0, None)
    """The faults and the detours that were left then."""
    way: int = 0
    """The way that is being gone."""
    schedules: int = 0
    """How many schedules the ways had that were gone."""


class Choices:
    """One schedule's choices: those that are given, and then the first way everywhere."""

    def __init__(
        self, branches: MutableSequence[Branch], faults: int, detours: int | None, seen: Seen
    ) -> None:
        """Begin a schedule.

        Args:
            branches: what was chosen before and is to be chosen again; grows by what is new.
            faults: how many may strike.
            detours: how often another way than the first may be gone; None for any number.
            seen: the states that were entered before.
        """
        self.faults = faults
        self.detours = detours
        self._branches = branches
        self._seen = seen
        self._passed = 0

    def skip(self) -> Copy | None:
        """Take as made what led to the last state of which there is a copy, which is answered."""
        for number in range(len(self._branches) - 1, -1, -1):
            branch = self._branches[number]
            if branch.copy:
                self._passed = number
                self.faults, self.detours = branch.left
                return branch.copy
        return None

    @property
    def is_repeating(self) -> bool:
        """Whether the next choice was made before."""
        return self._passed < len(self._branches)

    def choose(self, ways: int) -> int:
        """Choose one of so many ways."""
        if ways == 1 or self.detours == 0:
            return 0
        if self._passed == len(self._branches):
            self._branches.append(Branch(ways))
        branch = self._branches[self._passed]
        assert branch.ways == ways, "the schedule does not replay"
        self._passed += 1
        if branch.way and self.detours is not None:
            self.detours -= 1
        return branch.way

    def strikes(self) -> bool:
        """Choose whether a fault strikes, if one may."""
        if not self.faults or not self._choose_fault():
            return False
        self.faults -= 1
        return True

    def enter(self, describe: Callable[[], bytes]) -> None:
        """Pass through a state.

        Args:
            describe: says which; it is not asked for what is only repeated.

        Raises:
            SeenError: it was entered before, with as many faults and detours left.
            LoopError: it was entered before in this very schedule.
        """
        if self._passed == len(self._branches):
            state = describe() + bytes((self.faults, 255 if self.detours is None else self.detours))
            if state in self._seen:
                if (schedules := self._seen[state]) is None:
                    raise LoopError
                raise SeenError(schedules)
            self._seen[state] = None
            self._branches.append(Branch(1, state=state, left=(self.faults, self.detours)))
        self._passed += 1

    def choose_step(
        self,
        find: Callable[[], Sequence[int]],
        describe: Callable[[], bytes],
        copy: Callable[[], Copy | None],
    ) -> int:
        """Choose the next step.

        Args:
            find: says which come into question, by number; not asked for what is only repeated.
            describe: see `enter`.
            copy: copies the run, unless it cannot be copied.
        """
        if self._passed == len(self._branches):
            steps = find()
            self.enter(describe)
            if self.faults or len(steps) > 1:  # else the run hardly comes back to here
                self._branches[-1].copy = copy()
            self._branches.append(Branch(1 if self.detours == 0 else len(steps), steps))
        else:
            self._passed += 1
        branch = self._branches[self._passed]
        self._passed += 1
        if branch.way and self.detours is not None:
            self.detours -= 1
        return branch.steps[branch.way]

    def _choose_fault(self) -> bool:
        # A fault is counted as one, and is no detour.
        detours, self.detours = self.detours, None
        way = self.choose(2)
        self.detours = detours
        return bool(way)


Seen = dict[bytes, int | None]
"""How many schedules go on from a state; None while its ways are being gone."""


class Dice(Random):
    """A `Random` that has every number in turn, where a number matters."""

    def __init__(self) -> None:
        super().__init__(0)
        self.chooser: Choices | None = None
        """None while nothing is left to chance."""
        self.batch: list[Any] | None = None
        """What the queue that is polled next hands out."""

    def uniform(self, a: float, b: float) -> float:
        """The least."""
        return a

    def random(self) -> float:
        """As good as 1, or else 0: to be compared with a rate."""
        return 0.0 if self._choose(2) else _NEVER

    def getrandbits(self, k: int) -> int:
        """An id."""
        return 0

    def randint(self, a: int, b: int) -> int:
        """Any number of the range."""
        if self.batch is not None:
            return len(self.batch)
        return a + self._choose(b - a + 1)

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        """Any element; of equal ones the first."""
        different = [value for number, value in enumerate(seq) if value not in seq[:number]]
        return different[self._choose(len(different))]

    def sample(self, population: Sequence[T], k: int, *, counts: Any = None) -> list[T]:  # noqa: ANN401
        """Any so many of them, in their order."""
        if self.batch is not None:
            batch, self.batch = self.batch, None
            return batch
        way = self._choose(comb(len(population), k))
        return list(next(c for n, c in enumerate(combinations(population, k)) if n == way))

    def _choose(self, ways: int) -> int:
        return self.chooser.choose(ways) if self.chooser else 0


class ChosenWeather(Weather):
    """Faults that strike wherever they may, and as many as the scope has."""

    def __init__(self, dice: Dice, costly: Collection[str], free: Collection[str]) -> None:
        """Begin.

        Args:
            dice: the schedule's.
            costly: the kinds of faults of which a schedule has only so many.
            free: the kinds that may strike any number of times.
        """
        super().__init__(dice, {})
        self._dice = dice
        self._costly = costly
        self._free = free

    def strikes(self, kind: str) -> bool:
        """Whether this kind of fault happens now."""
        struck = self._may_strike(kind)
        self.struck[kind] += struck
        return struck

    def skew(self, invocation: str) -> timedelta:
        """None: what a run writes must not depend on how its invocations are numbered."""
        return timedelta()

    def _may_strike(self, kind: str) -> bool:
        choices = self._dice.chooser
        if choices is None:
            return False
        if kind in self._free:
            return bool(choices.choose(2))
        return kind in self._costly and choices.strikes()
