"""`orderctl replay`: has the bus carry the events of some time once more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import BarColumn, TaskProgressColumn, TextColumn

from orderctl import console
from orderctl.archive import Archive, Progress, too_old
from orderctl.commands.connection import connected, print_json
from orderctl.errors import OrderctlError
from orderctl.moments import shown

_POLL_SECONDS = 0.5
_REACHES_THE_ARCHIVE_WITHIN = timedelta(minutes=10)

Show = Callable[[Progress], None]


class NotReplayableError(OrderctlError):
    """The times do not make a replay."""


class ReplayFailedError(OrderctlError):
    """EventBridge gave the replay up."""


def replay(
    start: datetime, end: datetime, rules: Sequence[str], *, wait: bool, as_json: bool
) -> None:
    """Replay events, and show how far that is until it ends.

    Args:
        start: events from then on.
        end: and before then.
        rules: which rules get them; the safe ones when there are none.
        wait: whether to wait for its end.
        as_json: whether to print JSON.

    Raises:
        NotReplayableError: the times do not make a replay.
        UnknownNameError: there is no such rule.
        ReplayFailedError: EventBridge gave it up.
    """
    now = datetime.now(UTC)
    start, end = start.replace(microsecond=0), end.replace(microsecond=0)  # as events have them
    check(start, end, now)
    with connected() as pipeline:
        archive = Archive(pipeline)
        chosen = archive.rules(rules)
        if too_old(start, now, timedelta(days=archive.retention_days)):
            console.note(f"The archive keeps events for {archive.retention_days} days only.")
        if end > now - _REACHES_THE_ARCHIVE_WITHIN:
            console.note(
                "On AWS an event may take ten minutes to reach the archive: the newest may be "
                "left out."
            )
        name = archive.replay(start, end, chosen)
        if not as_json:
            console.summary(
                [
                    ("Replay", name),
                    ("Events", f"from {shown(start)} to {shown(end)}"),
                    ("To rules", ", ".join(chosen)),
                ]
            )
        progress = _watched(archive, name, start, end, quiet=as_json) if wait else None
    if as_json:
        last = progress and progress.last_replayed
        print_json(
            {
                "replay": name,
                "from": shown(start),
                "to": shown(end),
                "rules": chosen,
                "state": progress.state if progress else "STARTING",
                "last_replayed": last and shown(last),
            }
        )
    if progress and progress.state != "COMPLETED":
        raise ReplayFailedError(f"The replay {name} is {progress.state}. {progress.reason}")
    if progress and not as_json:
        what = f"up to {shown(progress.last_replayed)}" if progress.last_replayed else "no event"
        console.out().print(f"Replayed {what}. What becomes of it: orderctl status")


def check(start: datetime, end: datetime, now: datetime) -> None:
    """Refuse times that do not make a replay.

    Raises:
        NotReplayableError: they do not.
    """
    if start >= end:
        raise NotReplayableError(
            f"--from ({shown(start)}) must be before --to ({shown(end)}). Times are UTC."
        )
    if end > now:
        raise NotReplayableError(f"--to ({shown(end)}) is in the future. Times are UTC.")


def _watched(
    archive: Archive, name: str, start: datetime, end: datetime, *, quiet: bool
) -> Progress:
    """Wait for a replay's end; it is cancelled when that is broken off, by Ctrl-C or otherwise."""
    try:
        with _bar(start, end, quiet=quiet) as show:
            while not (progress := archive.progress(name)).ended:
                show(progress)
                time.sleep(_POLL_SECONDS)
    except BaseException:  # Ctrl-C is none of Exception
        with contextlib.suppress(ClientError, BotoCoreError):
            archive.cancel(name)
            console.note(f"Cancelled the replay {name}: what was replayed by now stays replayed.")
        raise
    return progress


@contextlib.contextmanager
def _bar(start: datetime, end: datetime, *, quiet: bool) -> Iterator[Show]:
    """Show in a terminal how far it is; elsewhere the end is enough."""
    if quiet or not console.out().is_terminal:
        yield lambda _progress: None
        return
    said = TextColumn("{task.description}", markup=False)
    with console.bar(said, BarColumn(), TaskProgressColumn()) as bar:
        task = bar.add_task("starting", total=1)

        def show(progress: Progress) -> None:
            at = progress.last_replayed
            what = f"at {shown(at)}" if at else progress.state.lower()
            bar.update(task, completed=progress.share(start, end), description=what)

        yield show
