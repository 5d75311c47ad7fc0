"""docs/learn on the local cloud: the commands are typed one after the other, as a reader does."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from orderctl import paths
from support.lessons import LESSONS, ON_THE_LOCAL_CLOUD, commands, is_shown
from support.pipeline import eventually

BEHIND = " &"
"""At the end of a command: it goes on while others are typed."""
INCIDENT_SECONDS = 180.0
"""More than an incident lasts, and all that comes of it."""


class Shell:
    """Types commands in the project's folder, with a local cloud of its own."""

    def __init__(self, directory: Path) -> None:
        self.environment = {**os.environ, paths.STATE_VARIABLE: str(directory)}
        self.behind: list[tuple[subprocess.Popen[str], str]] = []

    def type(self, command: str, shown: str) -> None:
        if command.endswith(BEHIND):
            self.finish()  # one incident after the other
            self.behind.append((self.start(command.removesuffix(BEHIND)), shown))
        else:
            eventually(partial(self.shows, command, shown), INCIDENT_SECONDS)

    def finish(self) -> None:
        """Wait for what goes on behind."""
        while self.behind:
            started, shown = self.behind.pop()
            output, _ = started.communicate()
            assert is_shown(output, shown), output

    def shows(self, command: str, shown: str) -> bool:
        output, _ = self.start(command).communicate()
        return is_shown(output, shown)

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=paths.ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


@pytest.mark.long
def test_the_commands_print_what_the_lessons_show(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "state")
    try:
        for lesson in LESSONS:
            if lesson.name in ON_THE_LOCAL_CLOUD:
                for command, shown in commands(lesson):
                    shell.type(command, shown)
                shell.finish()
    finally:
        shell.start(".venv/bin/orderctl down").communicate()
