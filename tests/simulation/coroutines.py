"""Functions that stop at each of their AWS calls, so that others can run in between.

A handler is a plain function, so each invocation has a thread of its own. They take turns by
strict hand-over: a thread runs only between `Coroutine.resume` and its next question, and whoever
resumed it waits meanwhile. So nothing ever runs at the same time, and the order is the scheduler's
alone. A hand-over costs some 40 microseconds; the threads are used again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_PATIENCE_SECONDS: Final = 60


class Crash(BaseException):
    """The function's process has ended. No handler can catch it and go on."""


class StuckError(Exception):
    """A handler runs and runs without asking anything."""


@dataclass(frozen=True, slots=True)
class Asked:
    """It stopped with a question, and waits for the answer."""

    question: Any


@dataclass(frozen=True, slots=True)
class Returned:
    """It came to its end."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """It ended with an exception."""

    error: BaseException


Step = Asked | Returned | Raised


class Coroutine:
    """One call of a function."""

    def __init__(self, body: Callable[[], Any], owner: object) -> None:
        """Prepare a call.

        Args:
            body: the call; it runs in a thread of its own.
            owner: what `owner_here` answers within it.
        """
        self.owner = owner
        self._body = body
        self._thread: _Thread | None = None
        self._dead = False

    def start(self) -> Step:
        """Run up to the first question, or to the end."""
        self._thread = _idle.pop() if _idle else _Thread()
        return self._turn(self._body)

    def resume(self, answer: Any) -> Step:  # noqa: ANN401 - whatever the question was
        """Answer the question, and run up to the next one; an exception is raised there."""
        return self._turn(answer)

    def kill(self) -> None:
        """End it where it stands; nothing it may still ask is heard."""
        self._dead = True
        if self._thread is not None:
            while isinstance(self._turn(Crash()), Asked):
                pass

    def ask(self, question: object) -> Any:  # noqa: ANN401 - whatever the question is
        """Stop with a question; called within the body.

        Raises:
            BaseException: the answer was this exception.
        """
        assert self._thread is not None
        if self._dead:
            raise Crash
        answer = self._thread.hand_back(Asked(question))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _turn(self, given: Any) -> Step:  # noqa: ANN401 - the body, or an answer
        assert self._thread is not None
        step = self._thread.hand_over(self, given)
        if not isinstance(step, Asked):
            _idle.append(self._thread)
            self._thread = None
        return step


def owner_here() -> Any:  # noqa: ANN401 - whoever made the coroutine
    """The owner of the coroutine that is running."""
    thread = threading.current_thread()
    assert isinstance(thread, _Thread), "only a running coroutine has an owner"
    assert thread.coroutine is not None
    return thread.coroutine.owner


class _Thread(threading.Thread):
    """Runs one coroutine at a time, and only while it has the turn."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="coroutine")
        self.coroutine: Coroutine | None = None
        self._given: Any = None
        self._step: Step | None = None
        self._forth = threading.Lock()
        self._back = threading.Lock()
        self._forth.acquire()
        self._back.acquire()
        self.start()

    def hand_over(self, coroutine: Coroutine, given: Any) -> Step:  # noqa: ANN401
        """Let it run until it stops."""
        self.coroutine, self._given = coroutine, given
        self._forth.release()
        if not self._back.acquire(timeout=_PATIENCE_SECONDS):
            raise StuckError(f"a handler has run for {_PATIENCE_SECONDS} s without an AWS call")
        assert self._step is not None
        return self._step

    def hand_back(self, step: Step) -> Any:  # noqa: ANN401
        """Stop, and wait for the next turn."""
        self._step = step
        self._back.release()
        self._forth.acquire()
        return self._given

    def run(self) -> None:
        """Run one body after the other."""
        self._forth.acquire()
        while True:
            try:
                step: Step = Returned(self._given())
            except BaseException as error:
                step = Raised(error)
            self.hand_back(step)


_idle: list[_Thread] = []
