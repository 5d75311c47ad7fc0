"""What is shown in a terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest

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
