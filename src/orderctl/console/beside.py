"""The console of the local cloud, in a process of its own, which ends with the local cloud.

`start` listens already, so that the address that it returns can be opened at once. The program
itself, `python -m orderctl.console.beside`, loads the application when somebody opens the page: a
console that nobody opens costs next to nothing.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
from typing import Final

from orderctl import paths
from orderctl.console.key import Key
from orderctl.console.listening import listen
from orderctl.localcloud.state import LocalState, StateDirectory

_TOKEN_VARIABLE: Final = "ORDERCTL_CONSOLE_TOKEN"  # noqa: S105 - the name of the variable
_LOOK_SECONDS: Final = 1.0


def start(directory: StateDirectory) -> tuple[str, subprocess.Popen[bytes]]:
    """Start the console of the local cloud that a directory records.

    Returns:
        Its address, which has a secret, and its process.

    Raises:
        OrderctlError: there is no free port.
    """
    key = Key()
    with listen(None) as listener:
        number = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "orderctl.console.beside", "--socket", str(number)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[number],
            env=os.environ
            | {_TOKEN_VARIABLE: key.token, paths.STATE_VARIABLE: str(directory.path)},
            start_new_session=True,  # so that Ctrl-C in the terminal reaches only the owner
        )
        return key.address(listener.getsockname()[1]), process


def main() -> None:
    """Wait for the first visitor, then serve, until the local cloud ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    parser = argparse.ArgumentParser(description="The console beside the local cloud.")
    parser.add_argument("--socket", type=int, required=True)
    arguments = parser.parse_args()
    state = StateDirectory(paths.state_directory()).read()
    if state is None:
        return
    with socket.socket(fileno=arguments.socket) as listener:
        while state.is_running():
            if select.select([listener], [], [], _LOOK_SECONDS)[0]:
                _serve(listener, state, Key(token=os.environ.pop(_TOKEN_VARIABLE)))
                return


def _serve(listener: socket.socket, state: LocalState, key: Key) -> None:
    # Loaded only now, because that takes a second.
    from orderctl.console import app, server  # noqa: PLC0415
    from orderctl.console.collector import ON_LOCAL_CLOUD  # noqa: PLC0415
    from orderctl.console.sessions import hurried  # noqa: PLC0415
    from orderctl.pipeline import Pipeline  # noqa: PLC0415
    from orderctl.terminal.console import report_defect  # noqa: PLC0415

    options = app.Options(
        stack=state.stack_name,
        where="the local cloud",
        pace=ON_LOCAL_CLOUD,
        may_change=True,
        port=listener.getsockname()[1],
        key=key,
        report=report_defect,
        practises=True,
    )

    def open_pipeline() -> Pipeline:
        return Pipeline(hurried(state.session()), state.stack_name)

    server.serve(listener, app.build(open_pipeline, options), goes_on=state.is_running)


if __name__ == "__main__":
    main()
