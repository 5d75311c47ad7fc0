"""What docs/extending.md shows, done to a copy of the repository: it deploys, and it works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orderctl import paths

GUIDE = paths.ROOT / "docs" / "extending.md"
PARTS = (
    *("src", "tests", "docs", "delivery", "bench", "requirements"),
    *("template.yaml", "pyproject.toml", "README.md"),
)
NEW_ROOM = "src/orders/loyalty/handler.py"
LARGEST_CHANGE = 7
SEEDS = 30
# How values of parameters are taken is the same in the copy, and takes a minute.
TEMPLATE_TESTS = ["tests/template", "--ignore=tests/template/test_parameters.py"]
OTHER_TESTS = ["tests/unit/loyalty", "tests/unit/test_events.py", "tests/unit/test_schemas.py"]


def diffs() -> list[str]:
    """The guide's own diffs, in its order."""
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def changed(diff: str) -> list[str]:
    """The files that exist and that a diff changes."""
    return re.findall(r"^--- a/(.+)$", diff, re.MULTILINE)


def run(copy: Path, *command: str, given: str | None = None) -> str:
    """Run a command in the copy, with the copy's code."""
    result = subprocess.run(
        command,
        cwd=copy,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(copy / "src"), str(copy / "tests")]),
            "GIT_CEILING_DIRECTORIES": str(copy.parent),
        },
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, after all that the guide says."""
    copy = tmp_path_factory.mktemp("extended") / "repository"
    copy.mkdir()
    for part in PARTS:
        source = paths.ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / part)
    # The functions' libraries are those of this repository: installing them takes an index.
    libraries = paths.BUILD / "libraries"
    libraries.mkdir(parents=True, exist_ok=True)
    (copy / "build").mkdir()
    (copy / "build" / "libraries").symlink_to(libraries)
    for diff in diffs():
        run(copy, "git", "apply", "-", given=diff)
    run(copy, sys.executable, "-m", "orderctl", "schemas")
    return copy


def test_a_consumer_changes_few_files_that_exist() -> None:
    _, _, consumer = re.split(r"^## An? ", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)[
        1:
    ]
    existing = {path for diff in diffs() if diff in consumer for path in changed(diff)}
    assert "template.yaml" in existing
    assert len(existing) <= LARGEST_CHANGE
    listed = re.findall(r"^\| `(.+?)` \|", consumer, re.MULTILINE)
    assert set(listed) == existing


def test_the_tests_of_the_copy_say_that_nothing_is_missing(extended: Path) -> None:
    assert (extended / NEW_ROOM).is_file()
    pytest_of_the_copy = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run(extended, *pytest_of_the_copy, *TEMPLATE_TESTS, *OTHER_TESTS)


@pytest.mark.long
def test_the_simulation_plays_the_copy(extended: Path) -> None:
    run(extended, sys.executable, "-m", "simulation", str(SEEDS))


@pytest.mark.long
def test_the_copy_credits_points_once_and_carries_the_new_field(extended: Path) -> None:
    run(extended, sys.executable, "-m", "support.extended")
