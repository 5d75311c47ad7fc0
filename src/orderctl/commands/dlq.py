"""`orderctl dlq`: what is parked in the dead-letter queues, and the way back."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Sequence

from rich.text import Text

from orderctl import console, paths
from orderctl.commands.connection import connected, print_json
from orderctl.dead_letters import DeadLetterQueue, Progress, Redriven
from orderctl.errors import OrderctlError

_NOTHING = "-"
_ALARM_STYLES = {"OK": "green", "ALARM": "bold red"}
_FIFO = ".fifo"


class UnknownQueueError(OrderctlError):
    """There is no such dead-letter queue."""


class RedriveFailedError(OrderctlError):
    """Not every message could be moved."""


def list_queues(as_json: bool) -> None:
    """List the dead-letter queues.

    Args:
        as_json: Whether to print JSON.
    """
    with connected() as pipeline:
        alarms = pipeline.queue_alarms()
        rows = []
        for queue in pipeline.dead_letter_queues():
            depth = queue.depth()
            age = pipeline.oldest_age(queue.name) if depth else None
            rows.append((queue.name, depth, age, alarms.get(queue.name)))
    if as_json:
        print_json(
            [
                {
                    "queue": name,
                    "messages": depth,
                    "oldest_age_seconds": None if age is None else int(age.total_seconds()),
                    "alarm": alarm,
                }
                for name, depth, age, alarm in rows
            ]
        )
        return
    console.table(
        ("queue", "messages", "oldest", "alarm"),
        [
            (
                name,
                Text(str(depth), style="bold" if depth else ""),
                _NOTHING if age is None else console.duration(age),
                Text(alarm or _NOTHING, style=_ALARM_STYLES.get(alarm or "", "")),
            )
            for name, depth, age, alarm in rows
        ],
    )
    if any(depth for _, depth, _, _ in rows):
        console.note(f"To send them back to where they came from: {paths.orderctl()} dlq redrive")


def redrive(names: Sequence[str], as_json: bool) -> None:
    """Send what is parked back to where it came from, and wait until that is done.

    Args:
        names: Which queues; all when there are none.
        as_json: Whether to print JSON.

    Raises:
        UnknownQueueError: A name is none of theirs.
        RedriveFailedError: Not every message could be moved.
    """
    with connected() as pipeline:
        queues = {queue.name: queue for queue in pipeline.dead_letter_queues()}
        chosen = [find(name, list(queues), pipeline.name_prefix()) for name in names] or queues
        results = [
            (name, _redrive(queues[name], quiet=as_json))
            for name in dict.fromkeys(chosen)
            if queues[name].depth()
        ]
    if as_json:
        print_json(
            [
                {"queue": name, "moved": result.moved, "failures": result.failures}
                for name, result in results
            ]
        )
    elif not results:
        console.out().print(f"There is nothing in {', '.join(names) or 'any dead-letter queue'}.")
    failures = [f"{name}: {why}" for name, result in results for why in result.failures]
    if failures:
        raise RedriveFailedError("\n  ".join(["Not everything was moved.", *failures]))


def find(name: str, known: Sequence[str], prefix: str) -> str:
    """The queue that was meant: a name does without the stack's prefix and `.fifo`, too.

    Args:
        name: As it was typed.
        known: The queues' names.
        prefix: What stands before the stack's names.

    Raises:
        UnknownQueueError: It is none of them.
    """
    short = {queue.removeprefix(prefix).removesuffix(_FIFO): queue for queue in known}
    wanted = name.removesuffix(_FIFO)
    for found in (wanted, wanted.removeprefix(prefix)):
        if found in short:
            return short[found]
    close = difflib.get_close_matches(wanted.removeprefix(prefix), short, n=1)
    hint = f" Did you mean {short[close[0]]}?" if close else ""
    raise UnknownQueueError(
        f"There is no dead-letter queue {name}.{hint} There are: {', '.join(known)}"
    )


def _redrive(queue: DeadLetterQueue, *, quiet: bool) -> Redriven:
    if quiet:
        return queue.redrive(lambda _done, _total: None)
    with _progress(f"Redriving {queue.name}") as progress:
        result = queue.redrive(progress)
    mark = ("✗ ", "bold red") if result.failures else ("✓ ", "green")
    console.out().print(Text.assemble(mark, f"{queue.name}: {told(result)}"))
    return result


@contextlib.contextmanager
def _progress(title: str) -> Iterator[Progress]:
    """Show in a terminal how far it is; elsewhere the end is enough.

    Yields:
        Takes note of how many messages are done, of how many.
    """
    if not console.out().is_terminal:
        yield lambda _done, _total: None
        return
    with console.out().status(Text(title)) as status:
        yield lambda done, total: status.update(Text(f"{title}  {done}/{total}"))


def told(result: Redriven) -> str:
    """What became of a queue's messages, in words."""
    moved = [
        f"moved {count} message{'s' if count > 1 else ''} to {where}"
        for where, count in result.moved.items()
    ]
    failed = [f"{len(result.failures)} failed"] if result.failures else []
    return ", ".join(moved + failed) or "nothing was there any more"
