"""Invocations that are told alike, and the proof that they go on alike.

What an invocation does next follows from its event and from all answers that it has had. But that a
call was refused before it was tried again, and with which code, mostly makes no difference to
anything later. So a state tells of the tries of a request only what the last was answered, and how
many there were while the next is on its way (`Asking`). That this is enough is not believed. When a
search has come to its end, every history that an invocation has had is gone on with, by the real
handler, with every answer that was given after one that is told alike, as long as faults are left
for it: all must ask the same, log the same of what is read, end in the same way, and be told alike
again, whatever further answers come. So what was gone through after one of them stands for what
comes after the others (a bisimulation). If ever it does not, the search begins anew and tells of
all answers.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from sys import intern
from typing import Any, Final, NamedTuple

from orders.caretaker.decisions import NEEDS_PERSON
from simulation.agenda import Agenda
from simulation.choices import ChosenWeather, Dice
from simulation.coroutines import Asked, Coroutine
from simulation.lambdas import Invocation, Pause
from simulation.remembered import Asking, Beginning, RememberedCoroutine
from simulation.requests import Request
from simulation.rooms import Rooms
from simulation.scheduler import BEGINNING
from simulation.state import Ids, essence
from simulation.story import Silence
from simulation.template import Topology
from simulation.witness import Witness
from simulation.world import World

_FIRST: Final = 1
"""The number of each invocation that is gone on with."""


class UnlikeError(Exception):
    """Invocations that were told alike go on in different ways."""


class History(NamedTuple):
    """A beginning, and all answers so far."""

    beginning: Beginning
    answers: tuple[str, ...]

    def after(self, answer: str) -> History:
        """The same with one more answer."""
        return History(self.beginning, (*self.answers, answer))


Lasting = str
"""The kind of the fault that strikes the call that is on its way once more; empty if none does."""


class Answer(NamedTuple):
    """An answer, and what is to strike the next call."""

    text: str
    lasting: Lasting


class Standing(NamedTuple):
    """A history, and what is to strike the call that is on its way."""

    history: History
    lasting: Lasting

    def after(self, answer: Answer) -> Standing:
        """How it stands after one more answer."""
        return Standing(self.history.after(answer.text), answer.lasting)


class Outcome(NamedTuple):
    """What a handler does after a history."""

    told: tuple[Beginning, str]
    """What is told of it then."""
    has_ended: bool
    said: tuple[str, ...]
    """What somebody reads of what it logs."""


@dataclass(slots=True)
class Histories:
    """All histories that invocations have had in a search."""

    topology: Topology
    rooms: Rooms
    ids: Ids
    _answers: dict[str, Any] = field(default_factory=dict)
    _left: dict[Standing, int] = field(default_factory=dict)
    """How many faults were left at most."""
    _went_on: dict[Standing, dict[Answer, int]] = field(default_factory=dict)
    """The answers that were given next, and how many faults each took at least."""
    _outcomes: dict[History, Outcome] = field(default_factory=dict)
    _player: _Player | None = None

    def beginning(self, invocation: Invocation) -> Beginning:
        """How an invocation begins."""
        event = self.ids.anew(json.dumps(invocation.event))
        return Beginning(invocation.function, event, invocation.instant())

    def note(
        self, invocation: Invocation, cost: int, left: int, lasting: tuple[Lasting, Lasting]
    ) -> None:
        """Take note of the last answer that an invocation has had.

        Args:
            invocation: which.
            cost: the faults that struck with it.
            left: the faults that are left after it.
            lasting: the fault that was to strike once more before it, and the one after it.
        """
        coroutine = invocation.coroutine
        if not isinstance(coroutine, RememberedCoroutine) or not coroutine.beginning:
            return
        if not coroutine.answered:
            return
        *earlier, text = (intern(text) for text, _ in coroutine.answered)
        answer = coroutine.answered[-1][1]
        history = History(coroutine.beginning, tuple(earlier))
        self._answers[text] = answer
        before = Standing(history, lasting[0])
        given, after = Answer(text, lasting[1]), before.after(Answer(text, lasting[1]))
        answers = self._went_on.setdefault(before, {})
        answers[given] = min(cost, answers.get(given, cost))
        for reached, faults in ((before, left + cost), (after, left)):
            self._left[reached] = max(faults, self._left.get(reached, 0))

    def check(self, on_progress: Callable[[], bool]) -> bool:
        """Go on from each history with all answers that were given after one that is told like it.

        Args:
            on_progress: is called now and then; False ends the check.

        Returns:
            False if it was ended before all were gone on with.

        Raises:
            UnlikeError: they do not go on alike.
        """
        answers: dict[object, dict[Answer, int]] = {}
        for standing, given in sorted(self._went_on.items()):
            known = answers.setdefault(self._told(standing), {})
            for answer, cost in given.items():
                known[answer] = min(cost, known.get(answer, cost))
        expected: dict[object, Outcome] = {}
        gone_on: dict[Standing, int] = {}
        waiting = sorted(self._left.items(), reverse=True)
        while waiting:
            standing, left = waiting.pop()
            if left <= gone_on.get(standing, -1):
                continue
            gone_on[standing] = left
            if len(gone_on) % 100 == 0 and not on_progress():
                return False
            told = self._told(standing)
            for answer, cost in answers.get(told, {}).items():
                if cost > left:
                    continue
                after = standing.after(answer)
                outcome = self._outcome(after.history)
                if outcome != expected.setdefault((told, answer.text), outcome):
                    raise UnlikeError(f"{after.history}: {outcome}")
                if not outcome.has_ended:
                    waiting.append((after, left - cost))
        return True

    def _told(self, standing: Standing) -> object:
        return self._outcome(standing.history).told, standing.lasting

    def _outcome(self, history: History) -> Outcome:
        if history not in self._outcomes:
            self._outcomes[history] = self._find_out(history)
        return self._outcomes[history]

    def _find_out(self, history: History) -> Outcome:
        """Have the real handler go through a history, from where it is if that leads there."""
        if not self._player or not self._player.leads_to(history):
            if self._player:
                self._player.end()
            self._player = self._begin(history.beginning)
        more = history.answers[len(self._player.history.answers) :]
        return self._player.play(history, [(text, self._answers[text]) for text in more])

    def _begin(self, beginning: Beginning) -> _Player:
        world = self._world(beginning.instant)
        spec = self.topology.functions[beginning.function]
        event = json.loads(beginning.event)
        player = _Player(world, spec, _FIRST, event, {})
        body = partial(self.rooms.handlers[spec.name], event, player)
        player.coroutine = Coroutine(body, player)
        player.history = History(beginning, ())
        return player

    def _world(self, instant: datetime) -> World:
        """A world in which nothing happens, at a time."""
        agenda, dice = Agenda(), Dice()
        agenda.let_pass((instant - BEGINNING).total_seconds())
        weather = ChosenWeather(dice, (), ())
        return World(dice, agenda, weather, Silence(agenda), Witness(), self.topology)


class _Player(Invocation):
    """A handler that goes through a history: it stops only where it has no answer yet."""

    history: History
    """What it has had so far."""

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401
        """See Invocation."""
        super().__init__(*arguments)
        self._asked = Asking()
        self._left: deque[tuple[str, Any]] = deque()
        self._text = ""
        """The last answer."""
        self._heard = 0
        """How many lines it had logged before that."""
        self._has_begun = False

    def leads_to(self, history: History) -> bool:
        """Whether a history begins with all that it has had so far."""
        known = len(self.history.answers)
        return self.history == History(history.beginning, history.answers[:known])

    def play(self, history: History, more: Iterable[tuple[str, Any]]) -> Outcome:
        """Go on up to the end of a history; returns what is done after its last answer.

        Args:
            history: all of it.
            more: the answers that it has not had yet.
        """
        assert self.coroutine
        self.history = history
        self._left.extend(more)
        step = self.coroutine.resume(None) if self._has_begun else self.coroutine.start()
        self._has_begun = True
        if not isinstance(step, Asked):
            self._asked.follow(step, self._text)
        said = tuple(
            _read(facts) for level, _, facts in self.said[self._heard :] if level == "WARNING"
        )
        told = history.beginning, essence(self._asked.text)
        return Outcome(told, self._asked.has_ended, said)

    def ask(self, request: Request) -> Any:  # noqa: ANN401 - the service's answer
        """Give the next answer, when there is one."""
        self._asked.follow(Asked(request), self._text)
        if not self._left:
            super().ask(request)
        self._text, answer = self._left.popleft()
        self._heard = len(self.said)
        if isinstance(answer, BaseException):
            raise answer.with_traceback(None)  # it was raised before
        return answer

    def sleep(self, seconds: float) -> None:
        """Let no time pass."""
        self._asked.follow(Asked(Pause(seconds)), self._text)

    def end(self) -> None:
        """Let the handler stand no more."""
        assert self.coroutine
        if not self._asked.has_ended:
            self.coroutine.kill()


def _read(facts: Mapping[str, object]) -> str:
    """What is read of a warning: see `Snapshot`."""
    reason = str(facts.get("reason"))
    mark = next((mark for mark in NEEDS_PERSON if mark in reason), "nothing")
    return f"{mark} of {facts.get('order_id')}"
