"""Which stack the commands work on, and the way to it: the local cloud's, or one on AWS."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from botocore.exceptions import BotoCoreError, ClientError

from orderctl import console, paths, stack
from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import NotRunningError, usable_here
from orderctl.localcloud.state import LocalState, StateDirectory
from orderctl.pipeline import Pipeline

if TYPE_CHECKING:
    import boto3

STACK_VARIABLE = "ORDERCTL_STACK"
_PANEL = "Which stack"
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        envvar=STACK_VARIABLE,
        help="The stack, on AWS unless --local is given.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Local = Annotated[
    bool, typer.Option("--local", help="In the running local cloud.", rich_help_panel=_PANEL)
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="REGION",
        help="The AWS region, if not as AWS's own tools have it.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="PROFILE",
        help="The AWS profile, if not as AWS's own tools have it.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


class CallFailedError(OrderctlError):
    """AWS refused a call, or could not be reached."""


class NoStackError(OrderctlError):
    """There is no such stack, or none was named."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen on the command line."""

    stack: str | None = None
    local: bool = False
    region: str | None = None
    profile: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is the local cloud: when said so, and when nothing is named on AWS."""
        return self.local or not (self.stack or self.region or self.profile)

    @property
    def stack_name(self) -> str:
        """The stack's name."""
        return self.stack or stack.DEFAULT_NAME


@dataclass(frozen=True, slots=True)
class Account:
    """An account in a region, on AWS or local.

    Attributes:
        session: Its credentials and region.
        local: The local cloud that it is; None for AWS.
    """

    session: boto3.Session
    local: LocalState | None


_chosen: ContextVar[Choice] = ContextVar("chosen", default=Choice())  # noqa: B039 - it is frozen


def unicode_text(value: str, option: str) -> str:
    """What was typed behind an option, which can be sent to AWS.

    Raises:
        BadParameter: it is not in the terminal's encoding.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("is no Unicode text.", param_hint=option) from None
    return value


def on_stack(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which stack it works on."""

    @functools.wraps(command)
    def with_options(
        *arguments: object,
        stack: str | None = None,
        local: bool = False,
        region: str | None = None,
        profile: str | None = None,
        **named: object,
    ) -> None:
        for name, value in (("--region", region), ("--profile", profile)):
            if local and value:
                raise typer.BadParameter("goes not with --local.", param_hint=name)
        for name, value in (("--stack", stack), ("--region", region), ("--profile", profile)):
            unicode_text(value or "", name)
        _chosen.set(Choice(stack, local, region, profile))
        command(*arguments, **named)

    kinds = {"stack": Stack, "local": Local, "region": Region, "profile": Profile}
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "local" else None,
            annotation=kind,
        )
        for name, kind in kinds.items()
    ]
    own = inspect.signature(command)
    with_options.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *options]
    )
    with_options.__annotations__ = {**command.__annotations__, **kinds}
    return with_options


def chosen() -> Choice:
    """What was chosen for the command that runs."""
    return _chosen.get()


def account(*, local: bool) -> Account:
    """The account that was chosen.

    Args:
        local: Whether it is the local cloud.

    Raises:
        NotRunningError: The local cloud was meant, and there is none.
        CallFailedError: There is no such profile, or no region.
    """
    if local:
        state = _running()
        return Account(state.session(), state)
    import boto3  # noqa: PLC0415 — slow to load, and not every command needs it

    choice = chosen()
    with explained():
        session = boto3.Session(profile_name=choice.profile, region_name=choice.region)
        session.client("sts")  # finds out whether there is a region
    return Account(session, None)


def _running() -> LocalState:
    try:
        return lifecycle.running(StateDirectory(paths.state_directory()))
    except NotRunningError as error:
        if chosen().local:
            raise
        raise NotRunningError(
            f"{error}\nFor a stack on AWS, name it: --stack NAME, or set {STACK_VARIABLE}"
        ) from error


@contextmanager
def explained(log: str | None = None) -> Iterator[None]:
    """Turn what AWS refuses, or the way to it, into an error that says what to do.

    Args:
        log: Where the local cloud says more.

    Raises:
        CallFailedError: A call failed.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        more = f"\nThe log of the local cloud: {paths.shown(Path(log))}" if log else ""
        raise CallFailedError(f"{stack.explain(error)}{more}") from error


@contextmanager
def connected() -> Iterator[Pipeline]:
    """The pipeline that was chosen.

    Raises:
        NotRunningError: The local cloud was meant, and there is none.
        NoStackError: There is no such stack.
        CallFailedError: A call to AWS failed.
    """
    choice = chosen()
    where = account(local=choice.is_local)
    with explained(where.local.log if where.local else None):
        outputs = stack.outputs_of(where.session.client("cloudformation"), choice.stack_name)
        if not outputs:
            raise NoStackError(_no_stack(where, choice.stack_name))
        reachable = reachable_outputs(where.session, outputs)
        yield Pipeline(where.session, reachable, stack_name=choice.stack_name)


def reachable_outputs(session: boto3.Session, outputs: dict[str, str]) -> dict[str, str]:
    """A stack's outputs with addresses that can be reached from here.

    Args:
        session: The account; its endpoint is another than AWS's for a local cloud.
        outputs: As CloudFormation has them.
    """
    endpoint = session.client("cloudformation").meta.endpoint_url
    host = urlsplit(endpoint).hostname or ""
    return outputs if host.endswith(_AWS_DOMAINS) else usable_here(outputs, endpoint)


def _no_stack(where: Account, name: str) -> str:
    program = paths.orderctl()
    if where.local:
        named = "" if name == stack.DEFAULT_NAME else f" --stack {name}"
        return (
            f"There is no stack {name} in the local cloud. "
            f"Deploy it with: {program} deploy --local{named}"
        )
    return (
        f"There is no stack {name} in {where.session.region_name}, or it is not deployed yet. "
        f"Check the name, --region and --profile; `{program} deploy` makes it."
    )


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print a value for a script."""
    console.json_document(value)
