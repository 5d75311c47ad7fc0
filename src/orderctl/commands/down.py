"""`orderctl down`: stops the local cloud."""

from orderctl import paths
from orderctl.commands import app
from orderctl.localcloud import lifecycle
from orderctl.localcloud.state import StateDirectory
from orderctl.terminal import console


@app.command(help_epilogue="Example: orderctl down")
def down() -> None:
    """Stop the local cloud.

    It does not matter how it was started, and it is no error if none is running.
    """
    stopped = lifecycle.stop(StateDirectory(paths.state_directory()))
    if stopped:
        console.out().print(f"Stopped the local cloud at {stopped.endpoint}.")
        if stopped.keep:
            console.note(f"What was in it is kept: `{paths.orderctl()} up --keep` goes on with it.")
    else:
        console.out().print("No local cloud is running.")
