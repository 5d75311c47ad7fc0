"""Finds things by the name that a user typed, and suggests similar names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from orderctl.errors import OrderctlError, UsageError
from orderctl.pipeline.steps import Step, url_output

if TYPE_CHECKING:
    from orderctl.pipeline.stack import Stack

_FIFO = ".fifo"


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question that suggests a similar name; empty when there is none."""
    close = difflib.get_close_matches(typed, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def find_step(typed: str, steps: Iterable[Step], stack: Stack, *, what: str) -> Step:
    """Find a step by its name, or by the name on AWS of its function or of one of its queues.

    Args:
        typed: The name as it was typed, with or without the stack's prefix and `.fifo`.
        steps: The steps that may be meant.
        stack: The stack, which knows the queues' names.
        what: The kind of thing that is named, such as consumer.

    Raises:
        UsageError: There is no such step.
    """
    by_name = {name: step for step in steps for name in _names(step, stack)}
    word = typed.removesuffix(_FIFO)
    found = by_name.get(word) or by_name.get(word.removeprefix(stack.prefix))
    if found is None:
        known = ", ".join(dict.fromkeys(step.name for step in by_name.values()))
        hint = did_you_mean(typed.removeprefix(stack.prefix), by_name)
        raise UsageError(f"There is no {what} {typed}.{hint} The {what}s are: {known}")
    return found


def _names(step: Step, stack: Stack) -> list[str]:
    """The names of a step, its own first, without the stack's prefix."""
    queues = (step.queue, step.dead_letter_queue)
    urls = [stack.outputs.get(url_output(queue), "") for queue in queues if queue]
    own = [url.rpartition("/")[2].removeprefix(stack.prefix).removesuffix(_FIFO) for url in urls]
    return [step.name, *filter(None, (step.function_name, *own))]


def find(typed: str, known: Sequence[str], prefix: str, *, what: str) -> str:
    """Find a name, typed with or without the stack's prefix.

    Args:
        typed: the name as it was typed.
        known: the existing names.
        prefix: the stack's prefix.
        what: the kind of thing that is named, such as function.

    Raises:
        OrderctlError: there is no such name.
    """
    for name in (typed, prefix + typed):
        if name in known:
            return name
    short = [name.removeprefix(prefix) for name in known]
    raise OrderctlError(
        f"There is no {what} {typed}.{did_you_mean(typed.removeprefix(prefix), short)} "
        f"The {what}s are: {', '.join(short)}"
    )
