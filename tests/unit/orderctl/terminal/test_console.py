"""What is shown in a terminal."""

from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from rich.console import Console

from orderctl.terminal import console


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (12_000, "3 h 20 min"),
        (7_205, "2 h"),
        (187_200, "2 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, shown: str) -> None:
    assert console.duration(timedelta(seconds=seconds)) == shown


def test_a_table_is_aligned_and_never_cut_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    console.table(("order", "age"), [("a" * 64, "3 s"), ("b", "[red]12 min")])
    assert capsys.readouterr().out.splitlines() == [
        f"{'order':<64}   age",
        f"{'a' * 64}   3 s",
        f"{'b':<64}   [red]12 min",
    ]


def test_a_value_cannot_command_the_terminal() -> None:
    assert console.text("gone\x1b[2J\nnew").plain == "gone�[2J�new"


class TestEnter:
    @pytest.fixture
    def keys(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
        """A terminal; what is written here is typed there."""
        ours, theirs = pty.openpty()
        with os.fdopen(theirs) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            yield ours
        os.close(ours)

    def test_it_waits_until_somebody_presses_it(self, keys: int) -> None:
        os.write(keys, b"\n")  # before it was asked for
        asked: list[int] = []

        def goes_on() -> bool:
            asked.append(os.write(keys, b"\n") if len(asked) else 0)
            return True

        assert console.enter_pressed(goes_on)
        assert len(asked) == 2

    def test_it_gives_up_when_there_is_nothing_to_wait_for(self, keys: int) -> None:
        assert not console.enter_pressed(lambda: False)


class TestNarrowTables:
    rows = (("a", "one two three"), ("b", ""), ("c", "four"))

    def lines(self, monkeypatch: pytest.MonkeyPatch, width: int, *, terminal: bool) -> list[str]:
        screen = Console(width=width, force_terminal=terminal, file=io.StringIO())
        monkeypatch.setattr(console, "out", lambda: screen)
        return [line.plain for line in console.table_lines(("x", "what"), self.rows)]

    def test_what_fits_or_is_no_terminal_is_left_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = ["x   what", "a   one two three", "b", "c   four"]
        assert self.lines(monkeypatch, 20, terminal=True) == whole
        assert self.lines(monkeypatch, 5, terminal=False) == whole

    def test_the_last_column_is_wrapped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.lines(monkeypatch, 11, terminal=True) == [
            "x  what",
            "a  one two",
            "   three",
            "b",
            "c  four",
        ]

    def test_or_goes_on_below_where_a_word_would_not_fit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(self.__class__, "rows", (("a long name", "three words here"),))
        assert self.lines(monkeypatch, 16, terminal=True) == [
            "x",
            "   what",
            "a long name",
            "   three words",
            "   here",
        ]
