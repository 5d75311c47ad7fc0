"""`orderctl replay`: replays events from the archive of the bus."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from cyclopts import Parameter, validators
from rich.progress import BarColumn, TaskProgressColumn, TextColumn

from orderctl.commands import OPERATING, app
from orderctl.errors import OrderctlError
from orderctl.pipeline.replay import PER_SECOND, Archive, Estimate, Progress, slices, too_old
from orderctl.pipeline.steps import RULES
from orderctl.pipeline.times import format_time
from orderctl.terminal import console
from orderctl.terminal.confirming import check_can_ask
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, Yes, parse_moment
from orderctl.terminal.results import Document
from orderctl.waiting import wait_until

_POLL_SECONDS = 0.5
_REACHES_THE_ARCHIVE_WITHIN = timedelta(minutes=10)

Show = Callable[[Progress], None]


class Replayed(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """A replay.

    Attributes:
        replay: Its name, or that of its last piece.
        from_: The time of its first event.
        to: The time before which its last event is.
        rules: The rules that get the events.
        expected: About how many events were to be delivered to them.
        pieces: How many replays there were, one after the other.
        state: Its state, such as COMPLETED; STARTING when nobody waits for its end.
        last_replayed: The time of the event that was replayed last; null before the first.
    """

    replay: str
    from_: str
    to: str
    rules: list[str]
    expected: int
    pieces: int
    state: str
    last_replayed: str | None


_JSON = Document(Replayed)


@app.command(
    group=OPERATING,
    help_epilogue="Examples:\n\n"
    "orderctl replay --from -2h --to -10m\n\n"
    "orderctl replay --from 2026-11-24T03:00Z --to 2026-11-24T03:30Z --rule order-placed",
)
@_JSON.of_command
def replay(
    *,
    from_: Annotated[str, Parameter(name="--from", metavar="TIME", allow_leading_hyphen=True)],
    to: Annotated[str, Parameter(metavar="TIME", allow_leading_hyphen=True)] = "now",
    rule: Annotated[
        tuple[str, ...],
        Parameter(metavar="NAME", completer=lambda _context: [rule.name for rule in RULES]),
    ] = (),
    per_second: Annotated[
        int, Parameter(metavar="N", validator=validators.Number(gte=1, lte=10_000))
    ] = PER_SECOND,
    yes: Yes = False,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Replay events from the archive of the bus.

    Use it when work was lost: a queue was purged, a table restored, or a consumer had a bug. First
    it says how many events these are, to which rules, and how long that takes; then it asks.

    Every effect happens once: what was charged, reserved or decided stays so, and only what was
    missed is done. But the shop's services get order updates again that are older than five
    minutes, because the FIFO topic recognizes repeats only for that long. The rules order-placed
    and order-cancelled cause such updates, and so does the tracker, which repeats its decision
    when an outcome is repeated. The rule order-confirmed only sends updates, so it is left out
    unless you name it.

    Events arrive roughly, not exactly, in their old order. Replayed events are not archived
    again; events that functions publish because of them are. Many events are replayed in pieces,
    one after the other, so that new orders do not wait behind them. Ctrl-C cancels the replay.

    Args:
        from_: Replay events since this time: -2h, 30m, 3d (ago), or an ISO 8601 time (UTC).
        to: Replay events before this time; written the same way.
        rule: A rule that gets the events; repeatable. [default: order-placed, order-outcomes,
            order-cancelled]
        per_second: At most N events a second, on average over five minutes.
        yes: Do not ask.
        wait: Show the progress, and wait for the end.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: The times are invalid, there is no such rule, or the replay failed.
    """
    start, end = parse_moment(from_, "--from"), parse_moment(to, "--to")
    now = datetime.now(UTC)
    start, end = start.replace(microsecond=0), end.replace(microsecond=0)  # as events have them
    check(start, end, now)
    check_can_ask(yes=yes)
    with connect(target, changes=True) as pipeline:
        archive = pipeline.archive
        chosen = archive.rules(rule)
        if too_old(start, now, timedelta(days=archive.retention_days)):
            console.note(f"The archive keeps events for {archive.retention_days} days only.")
        if end > now - _REACHES_THE_ARCHIVE_WITHIN:
            console.note(
                "On AWS an event may take ten minutes to reach the archive, so the newest may be "
                "left out."
            )
        estimate = archive.estimate(start, end, chosen, now)
        pieces = slices(estimate, start, end, per_second) if wait else [(start, end, 0)]
        console.err().print(console.text(_describe(estimate, start, end, pieces, per_second)))
        if not yes and not console.confirm("Replay?", on_stderr=True):
            raise OrderctlError("Nothing was replayed.")
        began = time.monotonic()
        for number, (first, until, _) in enumerate(pieces):
            # What the pieces before may bring takes so long.
            before = sum(events for *_, events in pieces[:number])
            time.sleep(max(began + before / per_second - time.monotonic(), 0))
            name, progress = _replay(archive, first, until, chosen, wait=wait, quiet=as_json)
    last = progress.last_replayed if progress else None
    if as_json:
        _JSON.show(
            Replayed(
                replay=name,
                from_=format_time(start),
                to=format_time(end),
                rules=chosen,
                expected=estimate.events,
                pieces=len(pieces),
                state=progress.state if progress else "STARTING",
                last_replayed=format_time(last) if last else None,
            )
        )
    elif progress:
        what = f"up to {format_time(last)}" if last else "no events"
        console.out().print(f"Replayed {what}. To see what becomes of them: orderctl status")
    else:
        console.out().print(f"Started {name}.")


def _describe(
    estimate: Estimate,
    start: datetime,
    end: datetime,
    pieces: Sequence[tuple[datetime, datetime, int]],
    per_second: int,
) -> str:
    """What would be replayed."""
    rules = ", ".join(f"{count} to {rule}" for rule, count in estimate.by_rule.items())
    least = console.duration(estimate.lasts(per_second))
    how = f", in {len(pieces)} pieces" if len(pieces) > 1 else ""
    return (
        f"Events from {format_time(start)} to {format_time(end)}: about {rules}. "
        f"This takes at least {least}{how}."
    )


def _replay(
    archive: Archive,
    start: datetime,
    end: datetime,
    rules: Sequence[str],
    *,
    wait: bool,
    quiet: bool,
) -> tuple[str, Progress | None]:
    """Replay the events of a span of time; the name of the replay, and how it ended.

    Raises:
        OrderctlError: it did not complete.
    """
    name = archive.replay(start, end, rules)
    if not wait:
        return name, None
    progress = _watch(archive, name, start, end, quiet=quiet)
    if progress.state != "COMPLETED":
        raise OrderctlError(f"The replay {name} is {progress.state}. {progress.reason}")
    return name, progress


def check(start: datetime, end: datetime, now: datetime) -> None:
    """Refuse times between which nothing can be replayed.

    Raises:
        OrderctlError: --from is not before --to, or --to is in the future.
    """
    if start >= end:
        raise OrderctlError(
            f"--from ({format_time(start)}) must be before --to ({format_time(end)}). "
            "Times are UTC."
        )
    if end > now:
        raise OrderctlError(f"--to ({format_time(end)}) is in the future. Times are UTC.")


def _watch(archive: Archive, name: str, start: datetime, end: datetime, *, quiet: bool) -> Progress:
    """Wait for the end of a replay, and cancel it when the wait is interrupted."""
    try:
        with _bar(start, end, quiet=quiet) as show:

            def look() -> Progress:
                progress = archive.progress(name)
                show(progress)
                return progress

            return wait_until(
                look, poll_seconds=_POLL_SECONDS, enough=lambda progress: progress.ended
            )
    except BaseException:  # Ctrl-C too, which is no Exception
        with contextlib.suppress(ClientError, BotoCoreError):
            archive.cancel(name)
            console.note(
                f"Cancelled the replay {name}. Events that were replayed already stay replayed."
            )
        raise


@contextlib.contextmanager
def _bar(start: datetime, end: datetime, *, quiet: bool) -> Iterator[Show]:
    """Show the progress in a terminal; elsewhere nothing."""
    if quiet or not console.out().is_terminal:
        yield lambda _progress: None
        return
    said = TextColumn("{task.description}", markup=False)
    with console.bar(said, BarColumn(), TaskProgressColumn()) as bar:
        task = bar.add_task("starting", total=1)

        def show(progress: Progress) -> None:
            at = progress.last_replayed
            what = f"at {format_time(at)}" if at else progress.state.lower()
            bar.update(task, completed=progress.share(start, end), description=what)

        yield show
