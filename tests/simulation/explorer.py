"""The search: every schedule of a scope, depth first.

A run cannot be copied, as its handlers stand in the middle of their code; so each schedule begins
anew, makes the choices of the one before up to the last at which a way is left, and goes that. It
ends where it enters a state that was entered before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from simulation.alike import UnlikeError
from simulation.choices import Branch, Choices, LoopError, Seen, SeenError
from simulation.exploration import Exploration, Ground, OldReadError, UnforeseenError
from simulation.rooms import Rooms
from simulation.rules import ENDS
from simulation.scopes import Scope
from simulation.story import Violation
from simulation.template import Topology


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule in which something did not hold."""

    violation: str
    short_story: str
    story: str
    faults: int
    detours: int


@dataclass(slots=True)
class Report:
    """How far a search has come."""

    scope: str
    faults: int
    detours: int | None = None
    runs: int = 0
    """How many schedules were run, from the beginning to the end or to a state that was seen."""
    states: int = 0
    invocations: int = 0
    schedules: int = 0
    """How many schedules there are, whether run to their end or not; 0 before it is complete."""
    share: float = 0.0
    """How much of the tree was gone through: an estimate."""
    seconds: float = 0.0
    failure: Failure | None = None
    complete: bool = False


@dataclass(slots=True)
class Search:
    """One search: a scope with so many faults at most."""

    scope: Scope
    topology: Topology
    rooms: Rooms
    detours: int | None = None
    commuting: bool = True
    """Whether steps that commute are taken in one order only."""
    past: frozenset[str] = frozenset()
    """The tables whose items may be read as they were before; the search finds out which."""
    alike: bool = True
    """Whether of the tries of a request only the last is told; the search finds out if it can."""
    remembering: bool = True
    """Whether states are entered once only."""
    copying: bool = True
    """Whether runs go on from copies, and not from the beginning."""
    seen: Seen = field(default_factory=dict)
    ends: set[bytes] = field(default_factory=set)
    """The states in which schedules ended."""

    def run(self, on_progress: Callable[[Report], bool] = lambda _: True) -> Report:
        """Go through all schedules, up to the first that fails.

        Args:
            on_progress: is told now and then; False ends the search.
        """
        while True:
            try:
                return self._run(on_progress)
            except OldReadError as read:
                self.past |= read.tables
            except UnlikeError:
                self.alike = False
            self.seen.clear()
            self.ends.clear()

    def _run(self, on_progress: Callable[[Report], bool]) -> Report:
        ground = Ground.of(
            self.scope,
            self.topology,
            self.rooms,
            commuting=self.commuting,
            past=self.past,
            alike=self.alike,
        )
        if not self.copying:
            ground = replace(ground, shared=None)
        report = Report(self.scope.name, self.scope.faults, self.detours)
        began = time.monotonic()
        branches: list[Branch] = []
        while True:
            if not self.remembering:
                self.seen.clear()
            choices = Choices(branches, self.scope.faults, self.detours, self.seen)
            run = self._begin(ground, choices)
            before = run.world.witness.invocations
            violation, schedules = self._outcome(run)
            report.runs += 1
            report.invocations += run.world.witness.invocations - before
            if violation:
                report.failure = self._failure(ground, branches)
            report.states, report.seconds = len(self.seen), time.monotonic() - began
            if violation:
                return report
            if not self._go_on(branches, schedules, report):
                if ground.histories:
                    report.complete = ground.histories.check(lambda: on_progress(report))
                    report.seconds = time.monotonic() - began
                return report
            if report.runs % 50 == 0:
                report.share = _share(branches)
                if not on_progress(report):
                    return report

    def _begin(self, ground: Ground, choices: Choices) -> Exploration:
        """A run, from the last state on at which it goes another way than the one before."""
        if copy := choices.skip():
            return Exploration.goes_on(copy, choices)
        return Exploration(ground, choices, silent=True)

    def _outcome(self, run: Exploration) -> tuple[Violation | None, int]:
        """What a run breaks, if anything, and how many schedules it stands for."""
        try:
            violation = run.run()
        except SeenError as seen:
            return None, seen.schedules
        except LoopError:
            return Violation(ENDS, "it comes back to where it was, and can do so for ever"), 1
        self.ends.add(run.end)
        return violation, 1

    def _go_on(self, branches: list[Branch], schedules: int, report: Report) -> bool:
        """Go to the last branch at which a way is left; False if there is none."""
        while branches:
            last = branches[-1]
            last.schedules += schedules
            last.way += 1
            if last.way < last.ways:
                return True
            schedules = last.schedules
            if last.state:
                self.seen[last.state] = schedules
            branches.pop()
        report.schedules, report.share, report.complete = schedules, 1.0, True
        return False

    def _failure(self, ground: Ground, branches: list[Branch]) -> Failure:
        """Run a schedule that fails once more, from the beginning and aloud."""
        choices = Choices(branches, self.scope.faults, self.detours, self.seen)
        run = Exploration(ground, choices)
        violation, _ = self._outcome(run)
        assert violation, "the schedule does not replay"
        story = run.world.story
        return Failure(
            str(violation),
            story.about(violation.orders),
            story.text(),
            self.scope.faults - choices.faults,
            (self.detours or 0) - (choices.detours or 0),
        )


def explore(
    scope: Scope,
    topology: Topology,
    rooms: Rooms,
    on_progress: Callable[[Report], bool] = lambda _: True,
) -> Iterator[Report]:
    """Go through a scope: without faults, with one, and so on, up to the first schedule that fails.

    That has as few faults as any. Of those with as few it is then one with the fewest detours:
    steps that are not the one that came up first.
    """
    for faults in range(scope.faults + 1):
        report = _search(replace(scope, faults=faults), topology, rooms, on_progress)
        if report.failure:
            yield _shorten(replace(scope, faults=faults), topology, rooms, report)
            return
        yield report
        if not report.complete:
            return


def _search(
    scope: Scope,
    topology: Topology,
    rooms: Rooms,
    on_progress: Callable[[Report], bool],
    detours: int | None = None,
) -> Report:
    """Search; anew without what was expected of the scope, should that turn out to be wrong."""
    try:
        return Search(scope, topology, rooms, detours).run(on_progress)
    except UnforeseenError:
        less_expected = replace(scope, never=frozenset())
    try:
        return Search(less_expected, topology, rooms, detours).run(on_progress)
    except UnforeseenError:
        return Search(scope, topology, rooms, detours, commuting=False).run(on_progress)


def _shorten(scope: Scope, topology: Topology, rooms: Rooms, report: Report) -> Report:
    """The same with the schedule that fails after the fewest detours."""
    detours = 0
    while True:
        shorter = _search(scope, topology, rooms, lambda _: True, detours)
        if shorter.failure:
            report.failure = shorter.failure
            return report
        detours += 1


def _share(branches: list[Branch]) -> float:
    share, part = 0.0, 1.0
    for branch in branches:
        part /= branch.ways
        share += part * branch.way
    return share
