"""The way to the stack that a command works on: the local cloud's, or one on AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orderctl import deploying, paths
from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import NotRunningError
from orderctl.localcloud.state import LocalState, StateDirectory
from orderctl.pipeline import Pipeline
from orderctl.pipeline.stack import NoStackError
from orderctl.terminal.options import STACK_VARIABLE, Target

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True, slots=True)
class Account:
    """An account in a region, on AWS or local.

    Attributes:
        session: Its credentials and region.
        local: The local cloud that it is; None for AWS.
    """

    session: boto3.Session
    local: LocalState | None

    @property
    def endpoint(self) -> str:
        """Where AWS is called."""
        return self.session.client("cloudformation").meta.endpoint_url


def choose_account(target: Target, *, local: bool) -> Account:
    """The account that was chosen.

    Args:
        target: What was chosen on the command line.
        local: Whether it is the local cloud.

    Raises:
        NotRunningError: The local cloud was meant, and there is none.
        OrderctlError: There is no such profile, or no region.
    """
    if local:
        state = _running(target)
        return Account(state.session(), state)
    import boto3  # noqa: PLC0415 — slow to load, and not every command needs it

    with explain_errors():
        session = boto3.Session(profile_name=target.profile, region_name=target.region)
        session.client("sts")  # finds out whether there is a region
    return Account(session, None)


def _running(target: Target) -> LocalState:
    try:
        return lifecycle.find_running(StateDirectory(paths.state_directory()))
    except NotRunningError as error:
        if target.local:
            raise
        raise NotRunningError(
            f"{error}\nFor a stack on AWS, name it: --stack NAME, or set {STACK_VARIABLE}"
        ) from error


@contextmanager
def explain_errors(log: str | None = None) -> Iterator[None]:
    """Turn what AWS refuses, or the way to it, into an error that says what to do.

    Args:
        log: Where the local cloud says more.

    Raises:
        OrderctlError: A call failed.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        more = f"\nThe log of the local cloud: {paths.display_path(Path(log))}" if log else ""
        raise OrderctlError(f"{deploying.explain(error)}{more}") from error


@contextmanager
def connect(target: Target) -> Iterator[Pipeline]:
    """The pipeline that was chosen.

    Raises:
        NotRunningError: The local cloud was meant, and there is none.
        NoStackError: There is no such stack.
        OrderctlError: A call to AWS failed.
    """
    where = choose_account(target, local=target.is_local)
    with explain_errors(where.local.log if where.local else None):
        try:
            pipeline = Pipeline(where.session, target.stack_name)
        except NoStackError as error:
            raise NoStackError(_no_stack(where, target.stack_name)) from error
        yield pipeline


def _no_stack(where: Account, name: str) -> str:
    program = paths.orderctl()
    if where.local:
        named = "" if name == deploying.DEFAULT_NAME else f" --stack {name}"
        return (
            f"There is no stack {name} in the local cloud. "
            f"Deploy it with: {program} deploy --local{named}"
        )
    return (
        f"There is no stack {name} in {where.session.region_name}, or it is not deployed yet. "
        f"Check the name, --region and --profile; `{program} deploy` makes it."
    )
