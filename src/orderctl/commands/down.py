"""`orderctl down`: the end of a local cloud."""

from orderctl import paths
from orderctl.localcloud import lifecycle
from orderctl.localcloud.state import StateDirectory
from orderctl.terminal import console


def down() -> None:
    """Stop the local cloud, however it was started; it is no error if there is none."""
    stopped = lifecycle.stop(StateDirectory(paths.state_directory()))
    if stopped:
        console.out().print(f"Stopped the local cloud at {stopped.endpoint}.")
    else:
        console.out().print("No local cloud is running.")
