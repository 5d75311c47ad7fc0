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
    """An account and region, on AWS or in the local cloud.

    Attributes:
        session: Its credentials and region.
        local: The local cloud, or None for AWS.
    """

    session: boto3.Session
    local: LocalState | None

    @property
    def endpoint(self) -> str:
        """The address at which the AWS APIs are called."""
        return self.session.client("cloudformation").meta.endpoint_url


def choose_account(target: Target, *, local: bool) -> Account:
    """The account that the options choose.

    Args:
        target: The options.
        local: Whether to use the local cloud.

    Raises:
        NotRunningError: The local cloud is not running.
        OrderctlError: There is no such profile, or no region is set.
    """
    if local:
        state = _running(target)
        return Account(state.session(), state)
    import boto3  # noqa: PLC0415 — slow to load, and not every command needs it

    with explain_errors():
        session = boto3.Session(profile_name=target.profile, region_name=target.region)
        session.client("sts")  # fails if no region is set
    return Account(session, None)


def _running(target: Target) -> LocalState:
    try:
        return lifecycle.find_running(StateDirectory(paths.state_directory()))
    except NotRunningError as error:
        if target.local:
            raise
        raise NotRunningError(
            f"{error}\nFor a stack on AWS, give --stack NAME or set {STACK_VARIABLE}."
        ) from error


@contextmanager
def explain_errors(log: str | None = None) -> Iterator[None]:
    """Turn a failed call to AWS into an error that says what to do.

    Args:
        log: The local cloud's log file, to be named in the message.

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
    """Connect to the pipeline that the options choose.

    Raises:
        NotRunningError: The local cloud is not running.
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
        f"Check the name, --region and --profile, or deploy it with: {program} deploy"
    )
