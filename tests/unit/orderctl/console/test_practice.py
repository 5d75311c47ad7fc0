"""Incidents from the console: one at a time, ended by hand or with it, and always put right."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from orderctl.console import practice
from orderctl.console.collector import Pipelines
from orderctl.console.practice import Practice
from orderctl.errors import OrderctlError
from orderctl.waiting import wait_until

NO_PIPELINES = cast(Pipelines, None)
PATIENCE_SECONDS = 10


class Made:
    """Incidents that only count; `stuck` has their undoing wait."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.undone: list[str] = []
        self.left: list[str] = []
        self.fails_to_begin = self.fails_to_end = False
        self.may_be_undone = threading.Event()
        self.may_be_undone.set()

    def undo_left(self) -> list[str]:
        return self.left

    @contextmanager
    def happening(self, name: str) -> Iterator[Made]:
        if self.fails_to_begin:
            raise OrderctlError("Nothing is in stock.")
        self.begun.append(name)
        yield self
        self.may_be_undone.wait(PATIENCE_SECONDS)
        if self.fails_to_end:
            raise OrderctlError("The connection is gone.")
        self.undone.append(name)

    def go_on(self) -> None:
        threading.Event().wait(0.01)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made()
    monkeypatch.setattr(practice, "Incidents", lambda _pipeline: made)
    return made


@pytest.fixture
def practised(made: Made) -> Iterator[Practice]:
    practised = Practice(cast(Any, lambda: None))
    yield practised
    made.may_be_undone.set()
    practised.close()


def start(practised: Practice, name: str = "poison", seconds: str = "60") -> str:
    return practised.start(NO_PIPELINES, {"incident": name, "seconds": seconds})


def end(practised: Practice) -> str:
    return practised.end(NO_PIPELINES, {})


def test_a_second_one_is_refused_and_does_not_undo_the_first(
    practised: Practice, made: Made
) -> None:
    start(practised)
    with pytest.raises(OrderctlError, match=r"poison goes on.*until .* End it first, or wait"):
        start(practised, "stock-out")
    assert (made.begun, made.undone) == (["poison"], [])


def test_it_can_be_ended_by_hand_and_then_another_can_begin(
    practised: Practice, made: Made
) -> None:
    start(practised)
    assert "poison has ended." in end(practised)
    assert made.undone == ["poison"]
    start(practised, "stock-out")
    assert practised.now
    assert practised.now.name == "stock-out"


def test_it_ends_by_itself(practised: Practice, made: Made) -> None:
    start(practised, seconds="1")
    assert wait_until(lambda: made.undone, patience_seconds=PATIENCE_SECONDS, poll_seconds=0.05)
    assert wait_until(
        lambda: not practised.now, patience_seconds=PATIENCE_SECONDS, poll_seconds=0.05
    )
    with pytest.raises(OrderctlError, match="No incident goes on"):
        end(practised)


def test_it_ends_with_the_console(practised: Practice, made: Made) -> None:
    start(practised)
    practised.close()
    assert made.undone == ["poison"]


def test_none_begins_while_another_is_put_right(
    practised: Practice, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(practice, "_UNDONE_WITHIN_SECONDS", 0.01)
    start(practised)
    made.may_be_undone.clear()
    end(practised)
    with pytest.raises(OrderctlError, match="is being put right"):
        start(practised, "stock-out")


def test_what_cannot_begin_is_told_and_leaves_nothing(practised: Practice, made: Made) -> None:
    made.fails_to_begin = True
    with pytest.raises(OrderctlError, match="Nothing is in stock"):
        start(practised)
    assert practised.now is None
    assert not practised.trouble


def test_what_could_not_be_put_right_is_told(practised: Practice, made: Made) -> None:
    made.fails_to_end = True
    start(practised)
    with pytest.raises(OrderctlError, match="The connection is gone"):
        end(practised)
    assert practised.trouble == "The connection is gone."
    assert practised.now is None


def test_what_was_left_of_another_is_undone_first_and_told(practised: Practice, made: Made) -> None:
    made.left = ["slow-table"]
    assert start(practised).startswith("Undone what was left of: slow-table. poison goes on")


@pytest.mark.parametrize("seconds", ["", "0", "601", "1.5", "x", "9" * 5000, "²"])
def test_its_length_is_checked(practised: Practice, made: Made, seconds: str) -> None:
    with pytest.raises(OrderctlError, match=r"Seconds: .* is not a whole number from 1 to 600"):
        start(practised, seconds=seconds)
    assert not made.begun
