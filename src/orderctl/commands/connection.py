"""The pipeline that the commands work on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from orderctl import paths
from orderctl.dead_letters import reason
from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline import Pipeline


class CallFailedError(OrderctlError):
    """AWS refused a call, or could not be reached."""


@contextmanager
def connected() -> Iterator[Pipeline]:
    """The pipeline in the running local cloud.

    Raises:
        NotRunningError: there is none.
        CallFailedError: a call to AWS failed.
    """
    state = lifecycle.running(StateDirectory(paths.state_directory()))
    try:
        yield Pipeline(state.session(), state.outputs, stack_name=state.stack_name)
    except (ClientError, BotoCoreError) as error:
        raise CallFailedError(
            f"A call to AWS failed. {reason(error)}\n"
            f"The log of the local cloud: {paths.shown(Path(state.log))}"
        ) from error


def print_json(value: object) -> None:
    """Print a value for a script."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
