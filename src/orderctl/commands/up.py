"""`orderctl up`: starts the local cloud with the pipeline in it."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from orderctl import deploying, paths
from orderctl.commands import START, app
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import LocalState, StateDirectory
from orderctl.terminal import console
from orderctl.terminal.deployments import launch, open_beside
from orderctl.terminal.options import Json, Params, parse_parameters
from orderctl.terminal.results import Document


class Started(msgspec.Struct, kw_only=True):
    """A local cloud that is ready.

    Attributes:
        endpoint: Where the AWS APIs are served.
        stack: The name of the stack in it.
        log: The server's log file.
        detached: Whether it runs on in the background.
        outputs: The stack's outputs, by name.
        console: The address of its console, which has a secret; null without one.
    """

    endpoint: str
    stack: str
    log: str
    detached: bool
    outputs: dict[str, str]
    console: str | None


_JSON = Document(Started)


@app.command(
    group=START, sort_key=2, help_epilogue="Example: orderctl up --param ChargeFailureRate=0.5"
)
@_JSON.of_command
def up(
    *,
    port: Annotated[
        int | None, Parameter(metavar="PORT", validator=validators.Number(gte=1, lte=65535))
    ] = None,
    param: Params = (),
    detach: Annotated[bool, Parameter(alias="-d")] = False,
    with_console: Annotated[bool, Parameter(name="--console", negative="--no-console")] = True,
    keep: bool = False,
    transaction_ms: Annotated[
        int, Parameter(metavar="MS", validator=validators.Number(gte=0, lte=1000))
    ] = lifecycle.TRANSACTION_MS,
    as_json: Json = False,
) -> None:
    """Start the local cloud with the pipeline in it, and run it until Ctrl-C.

    Args:
        port: The port to listen on. [default: 4566, or the next free port]
        param: A parameter of the template, or @FILE with some in JSON; repeatable.
        detach: Leave it running and return when it is ready.
        with_console: Also start its console, a page in the browser.
        keep: Go on with what the last `up --keep` has kept, and keep orders, stock, messages and
            keys when it stops.
        transaction_ms: How long a transaction of DynamoDB holds its items, in milliseconds. What
            meets one gets a TransactionConflict, as on AWS.
        as_json: Print JSON instead, when it is ready.
    """
    given = parse_parameters(param)
    template = deploying.Template.load()
    template.check(given)
    directory = StateDirectory(paths.state_directory())
    with ExitStack() as running:
        left_over = running.enter_context(lifecycle.claim(directory))
        if left_over:
            console.note(
                f"The local cloud of {left_over.started_at} was not stopped; removed what it left. "
                f"Its log is now {paths.display_path(directory.previous_log)}."
            )
        if keep:
            port = lifecycle.kept_port(directory, port)
        ports = lifecycle.free_ports(port)
        first = next(ports)  # one that is taken is an error before anything is begun
        cloud = LocalCloud(
            directory,
            ports=chain([first], ports),
            detached=detach,
            keep=keep,
            transaction_ms=transaction_ms,
        )
        launch(cloud, running, template, given)
        if with_console:
            open_beside(cloud, running)
        if port is None and cloud.state.port != lifecycle.DEFAULT_PORT:
            console.note(f"Port {lifecycle.DEFAULT_PORT} is taken; using {cloud.state.port}.")
        if as_json:
            _JSON.show(_started(cloud.state, detach))
            console.flush()
        else:
            _summarise(cloud.state, detach)
        if detach:
            cloud.detach()
        else:
            cloud.wait()
            console.out().print("The local cloud was stopped.")


def _started(state: LocalState, detached: bool) -> Started:
    return Started(
        endpoint=state.endpoint,
        stack=state.stack_name,
        log=state.log,
        detached=detached,
        outputs=dict(state.outputs),
        console=state.console or None,
    )


def _summarise(state: LocalState, detached: bool) -> None:
    program = paths.orderctl()
    console.out().print()
    console.summary(
        [
            *([("Console", state.console)] if state.console else []),
            ("Endpoint", state.endpoint),
            ("API", state.outputs.get("ApiUrl", "the template has no ApiUrl")),
            ("Log", paths.display_path(Path(state.log))),
            ("Use it", f'eval "$({program} env)"' + ("" if detached else "   in another terminal")),
            ("Stop it", f"{program} down" if detached else f"Ctrl-C, or {program} down"),
        ]
    )
    console.out().print()
