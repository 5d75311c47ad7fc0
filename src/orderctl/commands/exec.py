"""`orderctl exec`: runs a program with the environment of a context."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from orderctl import paths
from orderctl.commands import app
from orderctl.errors import OrderctlError
from orderctl.terminal import console, environment
from orderctl.terminal.connection import choose_account
from orderctl.terminal.options import Target


@app.command(
    name="exec",
    help_epilogue="Examples:\n\norderctl exec -- aws sqs list-queues\n\n"
    "orderctl exec --context staging -- aws lambda list-functions",
)
def execute(
    program: Annotated[tuple[str, ...], Parameter(required=True, allow_leading_hyphen=True)],
    /,
    *,
    target: Target = Target(),
) -> None:
    """Run a program with the environment of a context; your shell stays as it is.

    The program has the variables that `orderctl env` prints. It takes the place of orderctl, so
    its exit status is its own.

    Args:
        program: The program and its arguments, after --.
        target: Which stack.

    Raises:
        OrderctlError: There is no such program, or the credentials do not work.
    """
    wrappers = paths.state_directory() / "bin"
    where = choose_account(target)
    variables = environment.of(where, wrappers).over(os.environ)
    console.place(where.place(where.context.stack))
    console.flush()
    try:
        os.execvpe(program[0], program, variables)  # noqa: S606 - what the user typed
    except OSError as error:
        raise OrderctlError(f"{program[0]}: {error.strerror}") from error
