"""`orderctl` as it is typed in a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from cyclopts import App

from orderctl import cli
from orderctl.commands import load

PROGRAM = Path(sys.executable).with_name("orderctl")
PATIENCE_SECONDS = 60
Orderctl = Callable[..., subprocess.CompletedProcess[str]]


def typed(
    environment: Mapping[str, str], *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with a text on its standard input.

    Whatever is typed, nobody sees a traceback, and there is no colour in what is no terminal.
    """
    result = subprocess.run(
        [PROGRAM, *arguments],
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stdout
    return result


@dataclass(frozen=True)
class Ended:
    """How a command that was run in this process has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """What it said, on either stream."""
        return self.stdout + self.stderr


def run_here(
    *arguments: str, environment: Mapping[str, str] | None = None, columns: int = 200
) -> Ended:
    """Run a command in this process, which is faster than one of its own."""
    out, err = io.StringIO(), io.StringIO()
    variables = {**(os.environ if environment is None else environment), "COLUMNS": str(columns)}
    with (
        mock.patch.dict(os.environ, variables, clear=True),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO())),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = cli.run(arguments)
    return Ended(status, out.getvalue(), err.getvalue())


def commands(group: App | None = None, *names: str) -> Iterator[str]:
    """Every command, as it is typed."""
    for name, inner in (group or load()).resolved_commands().items():
        if name.startswith("-"):
            continue
        if inner.default_command is not None:
            yield " ".join([*names, name])
        yield from commands(inner, *names, name)
