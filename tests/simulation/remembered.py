"""Handlers that are not run again where it is known what they do.

A handler goes by its event, by the answers to its calls, and by the time. What one did is
remembered; when it would do the same again, it is not run. It is brought to where the run is when
something new is to be known of it, and then has to ask again what it asked before. It goes by what
its execution environment remembers, too, and may change that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from simulation.coroutines import Asked, Coroutine, Step
from simulation.lambdas import Invocation, Moment, Pause
from simulation.requests import Request
from simulation.state import shown

_Deed = tuple[Step, tuple[tuple[str, str, dict[str, object]], ...], dict[str, Any]]
"""What a handler did up to its next question or its end.

With what it logged meanwhile, and what its environment remembered then.
"""

_TIMES: Final = re.compile(r"'(?:VisibilityTimeout|DelaySeconds)': \d+")
"""In a request: time is left out, and these follow from a message's id."""
_TOKEN: Final = re.compile(r"'ClientRequestToken': '[^']*'")

_deeds: Final[dict[int, tuple[object, dict[bytes, _Deed]]]] = {}
"""By the id of a handler: the handler, and what it did by all that it went by."""


class UnsteadyError(Exception):
    """A handler did something else than before, though it had the same to go by."""


class Beginning(NamedTuple):
    """How an invocation began."""

    function: str
    event: str
    """As JSON, with ids anew."""
    instant: datetime


class Asking:
    """What is told of a handler: its answers, of a request's tries the last, and what it asks."""

    def __init__(self) -> None:
        self._before: list[str] = []
        """What it was answered to its requests, but for the last."""
        self._request = self._answer = ""
        self._tries: list[str] = []
        """What came between the tries of the last request."""
        self.text = ""
        """All of it, or how it has ended."""
        self.is_pausing = False
        self.has_ended = False

    def follow(self, step: Step, answer: str = "") -> None:
        """Take the handler's next step into account, and the answer that led to it."""
        if not self.is_pausing:
            self._answer = answer
        question = step.question if isinstance(step, Asked) else None
        self.has_ended = question is None
        self.is_pausing = isinstance(question, Pause)
        told = _TIMES.sub("", shown(step))
        if isinstance(question, Pause):
            self._tries.append(f"{question.seconds}")
        elif isinstance(question, Request):
            self._ask(_TOKEN.sub("", told))
        self.text = f"{self._before} {self._tries} {told}"

    def _ask(self, request: str) -> None:
        if request == self._request:
            self._tries.append("again")
            return
        if self._request:
            self._before.append(self._answer)
        self._request, self._tries = request, []


class RememberedCoroutine(Coroutine):
    """A call of a function, which is run only where it is not known what it does."""

    def __init__(
        self, body: Callable[[], Any], owner: object, beginning: Beginning | None = None
    ) -> None:
        """See Coroutine; the beginning is given if only the last try of each request is told."""
        super().__init__(body, owner)
        assert isinstance(owner, Invocation)
        self._invocation = owner
        self.beginning = beginning
        self._find_known()
        self._key = _hash(b"", f"{owner.name} {owner.instant()} {owner.event}")
        self._answers: list[Any] = []
        self.answered: list[tuple[str, Any]] = []
        """The answers to its calls so far, as texts and as they are."""
        self.asked = Asking()
        self._deeds: list[Step] = []
        self._memories: list[dict[str, Any]] = []
        """What was remembered before each of them."""
        self._moments: list[Moment] = []
        """When each of them was done."""
        self._runs_behind = 0
        """How many of these the handler has not done in this run."""
        self._is_running = False

    def _find_known(self) -> None:
        assert isinstance(self._body, partial)
        handler = self._body.func
        _, self._known = _deeds.setdefault(id(handler), (handler, {}))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has of it: in that the handler has done nothing."""
        state = {**vars(self), "_thread": None, "_is_running": False}
        return state | {"_known": None, "_runs_behind": len(self._deeds)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Have all this."""
        vars(self).update(state)
        self._find_known()

    def start(self) -> Step:
        """See Coroutine."""
        return self._go_on()

    def resume(self, answer: Any) -> Step:  # noqa: ANN401 - whatever the question was
        """See Coroutine."""
        text = shown(answer)
        self._answers.append(answer)
        if not self.asked.is_pausing:
            self.answered.append((text, answer))
        self._key = _hash(self._key, text)
        return self._go_on(text)

    def kill(self) -> None:
        """See Coroutine."""
        if self._is_running:
            super().kill()
            self._is_running = False

    def _go_on(self, answer: str = "") -> Step:
        memory = self._invocation.memory
        self._memories.append(deepcopy(memory) if memory else {})
        self._moments.append(self._invocation.moment())
        self._key = _hash(self._key, f"{shown(self._memories[-1])} {self._moments[-1].instant}")
        known = self._known.get(self._key)
        if known is None:
            known = self._known[self._key] = self._find_out()
        else:
            self._runs_behind += 1
            for line in known[1]:
                self._invocation.say(*line)
            self._remember(known[2])
        step, *_ = known
        self._deeds.append(step)
        self.asked.follow(step, answer)
        if self.beginning:
            self._invocation.told = self.asked.text
        if not isinstance(step, Asked):
            self.kill()
        return step

    def _find_out(self) -> _Deed:
        """Have the handler do what is known, and then what is not."""
        now = deepcopy(self._invocation.memory)
        for number in range(len(self._deeds) - self._runs_behind, len(self._deeds)):
            self._remember(self._memories[number])
            self._invocation.as_of = self._moments[number]
            if shown(self._turn_to(number)) != shown(self._deeds[number]):
                raise UnsteadyError(f"{self._invocation.name} {self._deeds[number]}")
        self._remember(now)
        self._invocation.as_of = None
        self._runs_behind = 0
        heard = len(self._invocation.said)
        step = self._turn_to(len(self._deeds))
        said = tuple(self._invocation.said[heard:])
        return deepcopy(step), said, deepcopy(self._invocation.memory)

    def _remember(self, memory: dict[str, Any]) -> None:
        """Have the environment remember that, and nothing else."""
        if memory or self._invocation.memory:
            self._invocation.memory.clear()
            self._invocation.memory.update(deepcopy(memory))

    def _turn_to(self, number: int) -> Step:
        if number:
            step = super().resume(self._answers[number - 1])
        else:
            self._invocation.tokens = 0
            step = super().start()
        self._is_running = isinstance(step, Asked)
        return step


def _hash(before: bytes, text: str) -> bytes:
    return blake2b(before + text.encode(), digest_size=16).digest()
