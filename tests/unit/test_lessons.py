"""docs/learn: the commands print what the lessons show, and the code that they quote is there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from orderctl import paths
from simulation.sabotages import SABOTAGES
from support.lessons import LESSONS, ON_THE_LOCAL_CLOUD, README, blocks, commands, is_shown


def test_an_omission_stands_for_lines_and_for_text() -> None:
    output = "a\nb\nc 1\nd\n"
    for shown in (output, "…\nd\n", "a\n…\nc …\n…\n", "a\n…\nc …\nd\n", "…\nb\n…\n"):
        assert is_shown(output, shown), shown
    for other in ("a\nb\n", "…\nb\n", "b\n…\n", "a\n…\nb\nd\n", "a\n…\ne\n…\n", ""):
        assert not is_shown(output, other), other


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param(command, shown, id=f"{lesson.stem}: {command}")
        for lesson in LESSONS
        if lesson.name not in ON_THE_LOCAL_CLOUD
        for command, shown in commands(lesson)
    ],
)
def test_a_command_prints_what_the_lesson_shows(command: str, shown: str) -> None:
    # Under another make, make says in which directory it is.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=paths.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert is_shown(result.stdout, shown), result.stdout


def test_every_lesson_is_listed() -> None:
    listed = re.findall(r"\]\((\d\d-[a-z-]+\.md)\)", README.read_text())
    assert listed == [lesson.name for lesson in LESSONS if lesson.name[0].isdigit()]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_quoted_code_and_named_sabotages_are_there(lesson: Path) -> None:
    for block in blocks(lesson, "python"):
        source, _, code = block.partition("\n")
        if source.startswith("# src/"):
            there = (paths.ROOT / source.removeprefix("# ")).read_text(encoding="utf-8")
            assert _without_indents(code) in _without_indents(there), source
    named = set(re.findall(r'SABOTAGE="(.+?)"', lesson.read_text(encoding="utf-8")))
    assert named <= {sabotage.name for sabotage in SABOTAGES}


def _without_indents(code: str) -> str:
    return "\n".join(line.strip() for line in code.strip().splitlines())
