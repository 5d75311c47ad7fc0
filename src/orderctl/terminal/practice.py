"""Where one may practise: on the local cloud, and on stacks that are named as for tests."""

from __future__ import annotations

import re

from orderctl.errors import OrderctlError
from orderctl.terminal import console
from orderctl.terminal.confirming import check_can_ask
from orderctl.terminal.connection import choose_account
from orderctl.terminal.options import Target

_WORDS = ("test", "staging", "dev", "demo")


def check_may_practise(target: Target, what: str, *, yes: bool) -> None:
    """Refuse a stack on AWS that is not for tests, and ask for one that is.

    Args:
        target: The options.
        what: What is to be done there, for the question.
        yes: Whether --yes was given.

    Raises:
        OrderctlError: The stack is not for tests, or the answer is no.
    """
    where = choose_account(target)
    if where.local:
        return
    stack = where.context.stack
    if not is_for_tests(stack):
        raise OrderctlError(
            f"Nothing was done. {stack} is not named as a stack for tests: its name has none of "
            f"the words {', '.join(_WORDS)}, as in staging-order-pipeline."
        )
    check_can_ask(yes=yes)
    place = where.place(stack, where.whoami())
    if not yes and not console.confirm(f"{place}: {what}?", on_stderr=True):
        raise OrderctlError("Nothing was done.")


def is_for_tests(stack: str) -> bool:
    """Whether a stack's name says that it is for tests."""
    return any(word in _WORDS for word in re.split(r"[^a-z]+", stack.lower()))
