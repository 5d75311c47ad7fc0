"""Incidents that are made from the console: one at a time, ended by itself, by hand or with it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from orderctl.console.changes import Form
from orderctl.console.collector import Open, Pipelines, explained
from orderctl.console.texts import clock
from orderctl.errors import OrderctlError
from orderctl.pipeline.incidents import INCIDENTS, Incidents

LONGEST_SECONDS: Final = 600
_UNDONE_WITHIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Happening:
    """An incident that goes on."""

    name: str
    until: datetime
    over: threading.Event = field(default_factory=threading.Event)
    """Set when it is to end."""
    undone: Future[None] = field(default_factory=Future)
    """Done when everything is put back."""

    def in_words(self) -> str:
        """That it goes on, and how long."""
        if self.over.is_set():
            return f"{self.name} has ended, and is being put right."
        return f"{self.name} goes on, made on purpose, until {clock(self.until)} UTC."


class Practice:
    """What goes wrong on purpose just now. It needs no open page."""

    def __init__(self, open_pipeline: Open) -> None:
        """Take what opens the pipeline."""
        self._open = open_pipeline
        self._lock = threading.Lock()
        self._now: Happening | None = None

    @property
    def now(self) -> Happening | None:
        """The incident that goes on, or has not been put right yet; None if there is none."""
        happening = self._now
        return happening if happening and not happening.undone.done() else None

    @property
    def trouble(self) -> str:
        """What went wrong with the last one that was not meant to; empty if nothing did."""
        happening = self._now
        error = happening.undone.exception() if happening and happening.undone.done() else None
        return str(error) if error else ""

    def start(self, _pipelines: Pipelines, sent: Form) -> str:
        """Have an incident happen for a while, in a thread of its own; it is undone at its end.

        Raises:
            OrderctlError: there is no such incident, it cannot be made, or another one goes on.
        """
        name, seconds = sent.get("incident", ""), _seconds(sent.get("seconds", ""))
        if name not in INCIDENTS:
            raise OrderctlError(f"There is no incident {name}.")
        happening = Happening(name, datetime.now(UTC) + timedelta(seconds=seconds))
        with self._lock:
            if self.now:
                raise OrderctlError(f"{self.now.in_words()} End it first, or wait.")
            self._now = happening
        begun: Future[list[str]] = Future()
        threading.Thread(target=self._practise, args=(happening, begun), daemon=True).start()
        left = begun.result()
        before = f"Undone what was left of: {', '.join(left)}. " if left else ""
        expected = "; ".join(INCIDENTS[name].expect)
        return f"{before}{name} goes on for {seconds} s. Expect: {expected}."

    def end(self, _pipelines: Pipelines, _sent: Form) -> str:
        """End the incident that goes on, and put everything back.

        Raises:
            OrderctlError: there is none, or it could not be undone.
        """
        if not (happening := self.now):
            raise OrderctlError("No incident goes on: it has ended by itself.")
        self.close()
        if self.trouble:
            raise OrderctlError(self.trouble)
        return f"{happening.name} has ended. {INCIDENTS[happening.name].ends}"

    def close(self) -> None:
        """End what goes on, and wait a little until it is put right."""
        if happening := self.now:
            happening.over.set()
            wait_for([happening.undone], _UNDONE_WITHIN_SECONDS)

    def _practise(self, happening: Happening, begun: Future[list[str]]) -> None:
        """Make it, have it go on, and undo it.

        Whoever asked for it is told of an error while it begins, and the page of a later one.
        """
        try:
            with explained():
                incidents = Incidents(self._open())
                left = incidents.undo_left()
                with incidents.happening(happening.name) as incident:
                    begun.set_result(left)
                    while not happening.over.is_set() and datetime.now(UTC) < happening.until:
                        incident.go_on()
                    happening.over.set()
        except Exception as error:
            if begun.done():
                happening.undone.set_exception(error)
            else:
                happening.undone.set_result(None)
                begun.set_exception(error)
        else:
            happening.undone.set_result(None)


def _seconds(text: str) -> int:
    """How long an incident lasts.

    Raises:
        OrderctlError: it is no number of seconds in the range.
    """
    if not text.strip().isdecimal() or not 1 <= int(text[:9]) <= LONGEST_SECONDS:
        raise OrderctlError(f"Seconds: {text!r} is not a whole number from 1 to {LONGEST_SECONDS}.")
    return int(text)
