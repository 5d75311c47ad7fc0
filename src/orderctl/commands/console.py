"""`orderctl console`: the pipeline as a page in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

from cyclopts import Parameter, validators

from orderctl import paths
from orderctl.commands import START, app
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline import Pipeline
from orderctl.terminal import console as terminal
from orderctl.terminal.connection import choose_account, connect
from orderctl.terminal.options import Target


@app.command(group=START, sort_key=3, help_epilogue="Example: orderctl console --open")
def console(
    *,
    port: Annotated[
        int | None, Parameter(metavar="PORT", validator=validators.Number(gte=1, lte=65535))
    ] = None,
    allow_changes: Annotated[bool | None, Parameter(negative="--read-only")] = None,
    open_: Annotated[bool, Parameter(name="--open")] = False,
    target: Target = Target(),
) -> None:
    """Show the pipeline live in the browser, until Ctrl-C.

    The local cloud has a console of its own, whose address this prints.

    Only this machine can reach the page, and only with the address that is printed: it has a
    secret. The page acts with your credentials. However many people look, it asks the pipeline for
    a few things a second, and for nothing while nobody looks.

    Args:
        port: The port to listen on. [default: 4580, or the next free port]
        allow_changes: Let the page change something: redrive, purge, pause, cancel. [default: only
            in the local cloud]
        open_: Open the page in the browser.
        target: Which stack.
    """
    from orderctl.console import app as application  # noqa: PLC0415 — slow to load
    from orderctl.console import listening, server  # noqa: PLC0415
    from orderctl.console.collector import ON_AWS, ON_LOCAL_CLOUD  # noqa: PLC0415
    from orderctl.console.key import Key  # noqa: PLC0415
    from orderctl.console.sessions import hurried  # noqa: PLC0415

    local = target.choose().local
    if local and port is None and allow_changes is None and (there := _beside()):
        terminal.out().print(f"The console: {there}")
        terminal.out().print("It runs beside the local cloud, and ends with it.")
        if open_:
            webbrowser.open(there)
        return
    may_change = local if allow_changes is None else allow_changes
    with connect(target, changes=may_change and not local) as pipeline:
        region = pipeline.session.region_name
        stack = pipeline.stack.name

    def open_pipeline() -> Pipeline:
        return Pipeline(hurried(choose_account(target).session), stack)

    key = Key()
    with listening.listen(port) as listener:
        number = listener.getsockname()[1]
        options = application.Options(
            stack=stack,
            where="the local cloud" if local else f"AWS {region}",
            pace=ON_LOCAL_CLOUD if local else ON_AWS,
            may_change=may_change,
            port=number,
            key=key,
            report=terminal.report_defect,
            practises=local,
        )
        address = key.address(number)

        def ready() -> None:
            terminal.out().print(f"The console: {address}")
            terminal.out().print("It is for you alone: the address has a secret. Ctrl-C ends it.")
            if open_:
                webbrowser.open(address)

        server.serve(listener, application.build(open_pipeline, options), ready)


def _beside() -> str:
    """The address of the console that runs beside the local cloud; empty without one."""
    state = StateDirectory(paths.state_directory()).read()
    return state.console if state and state.is_running() else ""
