"""`orderctl env`: the environment variables that point a shell at a context."""

from __future__ import annotations

import os
import sys

import msgspec

from orderctl import paths
from orderctl.commands import app
from orderctl.errors import UsageError
from orderctl.terminal import console, environment
from orderctl.terminal.connection import choose_account
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Document


class Variables(msgspec.Struct, kw_only=True):
    """The variables that a shell needs.

    Attributes:
        variables: What to set, by name.
        unset: What must not be set.
    """

    variables: dict[str, str]
    unset: list[str]


_JSON = Document(Variables)


@app.command(
    help_epilogue='Examples:\n\neval "$(orderctl env)"\n\neval "$(orderctl env --unset)"',
)
@_JSON.of_command
def env(*, unset: bool = False, as_json: Json = False, target: Target = Target()) -> None:
    """Print the shell commands that point the AWS CLI and SDKs at the local cloud, or at a stack.

    For one command, use `orderctl exec` instead.

    Args:
        unset: Point the shell nowhere again: unset all of these variables. Values that were there
            before do not come back.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        UsageError: --unset is given with a stack.
        OrderctlError: The credentials do not work, or are of another account than the context's.
    """
    wrappers = paths.state_directory() / "bin"
    if unset:
        if target != Target():
            raise UsageError("--unset cannot be combined with a stack.")
        found = environment.nowhere(os.environ, wrappers)
    else:
        found = environment.of(choose_account(target), wrappers)
    if as_json:
        _JSON.show(Variables(variables=dict(found.variables), unset=list(found.removed)))
        return
    console.script(found.script().split("\n"))
    if sys.stdout.isatty():
        console.note(f'To set these in your shell: eval "$({paths.orderctl()} env)"')
