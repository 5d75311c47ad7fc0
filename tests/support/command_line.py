"""`orderctl` as it is typed in a terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import typer

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


def commands(group: typer.Typer, *names: str) -> Iterator[str]:
    """Every command, as it is typed."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield " ".join([*names, command.name or command.callback.__name__])
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        # Without a name its commands are the outer group's.
        name = [inner.name] if isinstance(inner.name, str) else []
        yield from commands(inner.typer_instance, *names, *name)
