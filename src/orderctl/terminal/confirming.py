"""Making sure that a question can be answered before something is changed."""

import sys

from orderctl.errors import OrderctlError


def check_can_ask(*, yes: bool) -> None:
    """Check, before any work starts, that a question can be asked.

    Args:
        yes: whether --yes was given, so that no question is needed.

    Raises:
        OrderctlError: standard input is not a terminal.
    """
    if not yes and not sys.stdin.isatty():
        raise OrderctlError(
            "Cannot ask for confirmation: standard input is not a terminal. Add --yes."
        )
