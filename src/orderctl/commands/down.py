"""`orderctl down`: stops the local cloud."""

from __future__ import annotations

import msgspec

from orderctl import paths
from orderctl.commands import START, app
from orderctl.localcloud import lifecycle
from orderctl.localcloud.state import StateDirectory
from orderctl.terminal import console
from orderctl.terminal.options import Json
from orderctl.terminal.results import Document


class Stopped(msgspec.Struct, kw_only=True):
    """What was stopped.

    Attributes:
        endpoint: Where the local cloud was; null when none was running.
    """

    endpoint: str | None


_JSON = Document(Stopped)


@app.command(group=START, sort_key=4, help_epilogue="Example: orderctl down")
@_JSON.of_command
def down(*, as_json: Json = False) -> None:
    """Stop the local cloud.

    It does not matter how it was started, and it is no error if none is running.

    Args:
        as_json: Print JSON instead.
    """
    stopped = lifecycle.stop(StateDirectory(paths.state_directory()))
    if as_json:
        _JSON.show(Stopped(endpoint=stopped.endpoint if stopped else None))
    elif stopped:
        console.out().print(f"Stopped the local cloud at {stopped.endpoint}.")
        if stopped.keep:
            console.note(f"What was in it is kept: `{paths.orderctl()} up --keep` goes on with it.")
    else:
        console.out().print("No local cloud is running.")
