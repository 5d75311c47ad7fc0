"""`orderctl incident`: something goes wrong on purpose, and is put right again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from orderctl import paths
from orderctl.commands import OPERATING, app
from orderctl.pipeline.incidents import INCIDENTS, Duplicates, Incident, Incidents
from orderctl.signals import Ended
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target, Yes
from orderctl.terminal.practice import check_may_practise
from orderctl.terminal.results import Document

Name = Annotated[str, Parameter(choices=tuple(INCIDENTS))]


class Happened(msgspec.Struct, kw_only=True):
    """An incident that is over.

    Attributes:
        incident: Its name.
        seconds: How long it lasted.
        undone_before: Incidents whose makers were killed, and which were undone first.
        repeated: How many events were put on the bus twice; null if none was to be.
    """

    incident: str
    seconds: int
    undone_before: list[str]
    repeated: int | None


_JSON = Document(Happened)


@app.command(
    group=OPERATING,
    help_epilogue="Incidents:\n\n"
    + "\n\n".join(f"{name}: {kind.happens}" for name, kind in INCIDENTS.items())
    + "\n\nExample: orderctl incident card-outage --seconds 120",
)
@_JSON.of_command
def incident(
    name: Name,
    /,
    *,
    seconds: Annotated[
        int, Parameter(metavar="N", validator=validators.Number(gte=1, lte=3600))
    ] = 60,
    yes: Yes = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Make something go wrong, say what to expect, and put everything back.

    To practise: run `orderctl demo` in one terminal, `orderctl watch` in another, and this in a
    third. It ends by itself, and Ctrl-C ends it earlier; both put everything back. What a killed
    one has left is undone by the next call. On AWS it asks, and works only on a stack whose name
    says that it is for tests: with test, staging, dev or demo as one of its words.

    Args:
        name: Which incident; they are listed below.
        seconds: How long it lasts.
        yes: Do not ask.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: The stack is not for tests, it was not confirmed, or a call failed.
    """
    check_may_practise(target, f"make the incident {name}", yes=yes)
    with connect(target, changes=True) as pipeline:
        incidents = Incidents(pipeline)
        undone = incidents.undo_left()
        if undone:
            console.note(f"Undone what was left of: {', '.join(undone)}.")
        began = time.monotonic()
        with incidents.happening(name) as happening:
            try:
                if not as_json:
                    _announce(happening, seconds)
                _last(happening, seconds, shown=not as_json)
            except Ended:
                console.note(f"Putting everything back. {happening.ends}")
                raise
            lasted = round(time.monotonic() - began)
            if not as_json:
                console.out().print(console.text(f"Over. {happening.ends}"))
            console.flush()
    repeated = happening.repeated if isinstance(happening, Duplicates) else None
    if as_json:
        _JSON.show(Happened(incident=name, seconds=lasted, undone_before=undone, repeated=repeated))
        return
    more = "" if repeated is None else f" {repeated} events were put on the bus twice."
    console.out().print(
        console.text(f"Everything is put back.{more} To check: {paths.orderctl()} audit")
    )


def _announce(happening: Incident, seconds: int) -> None:
    lines: Sequence[str] = [
        f"{happening.name}, for {seconds} s. {happening.happens}",
        "",
        "What to expect:",
        *(f"  - {expected}" for expected in happening.expect),
        "",
    ]
    for line in lines:
        console.out().print(console.text(line))


def _last(happening: Incident, seconds: int, *, shown: bool) -> None:
    """Let it go on for so long."""
    until = time.monotonic() + seconds
    title = "Ctrl-C ends it earlier"
    with console.waiting(title) if shown else nullcontext(lambda _done, _total: None) as progress:
        while (left := until - time.monotonic()) > 0:
            progress(round(seconds - left), seconds)
            happening.go_on()
