"""Asking before something is changed."""

import sys

from orderctl.errors import OrderctlError


def check_can_ask(*, yes: bool) -> None:
    """Find out whether somebody can be asked, before anything is begun.

    Args:
        yes: whether nobody need be.

    Raises:
        OrderctlError: nobody is there.
    """
    if not yes and not sys.stdin.isatty():
        raise OrderctlError("Nobody is there to be asked. Add --yes to go on without asking.")
