"""The way to the stack that a command works on: the local cloud's, or one on AWS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orderctl import deploying, paths
from orderctl.contexts import Context
from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import NotRunningError
from orderctl.localcloud.state import LocalState, StateDirectory
from orderctl.pipeline import Pipeline
from orderctl.pipeline.stack import NoStackError, is_of_aws
from orderctl.terminal import console
from orderctl.terminal.options import Target

if TYPE_CHECKING:
    import boto3
    from botocore.session import Session as BotocoreSession

_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"


@dataclass(frozen=True, slots=True)
class Account:
    """An account and region with a stack, on AWS or in the local cloud.

    Attributes:
        session: Its credentials and region.
        local: The local cloud, or None for AWS.
        context: What was asked for: the stack, and what is known of its place.
    """

    session: boto3.Session
    local: LocalState | None
    context: Context

    @property
    def endpoint(self) -> str:
        """The address at which the AWS APIs are called."""
        return self.session.client("cloudformation").meta.endpoint_url

    @property
    def profile(self) -> str | None:
        """The profile that the credentials are of; keys in the environment win over AWS_PROFILE."""
        named = None if "AWS_ACCESS_KEY_ID" in os.environ else os.environ.get("AWS_PROFILE")
        return self.context.profile or named or None

    def whoami(self) -> Identity:
        """Ask whose credentials these are, and refuse those of another account than expected.

        Raises:
            OrderctlError: They do not work, or are of another account than the context's.
        """
        with explain_errors():
            answer = self.session.client("sts").get_caller_identity()
        found = Identity(answer["Account"], answer["Arn"])
        expected = self.context.account
        if expected and expected != found.account:
            raise OrderctlError(
                f"Nothing was changed. The context {self.context.name} is account {expected}, but "
                f"these credentials are of account {found.account} ({found.arn}). Give it a "
                f"profile of its account: {paths.orderctl()} context add {self.context.name} "
                f"--stack {self.context.stack} --profile NAME"
            )
        return found

    def place(self, stack: str, identity: Identity | None = None) -> str:
        """Where a stack is, in a line for people.

        Args:
            stack: Its name.
            identity: Whose account it is; needed for a stack that is not local.
        """
        if self.local:
            return f"local: stack {stack}, {self.local.endpoint}"
        cloud = self.context.endpoint or "AWS"
        facts = [
            f"stack {stack}",
            f"account {identity.account}" if identity else "",
            str(self.session.region_name),
            f"profile {self.profile}" if self.profile else "",
        ]
        return f"{cloud}: {', '.join(filter(None, facts))}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose credentials are used."""

    account: str
    arn: str


def choose_account(target: Target, *, deploys: bool = False) -> Account:
    """The account that the options, the environment or the context in use choose.

    What the environment says about endpoints never leads a command elsewhere than it says.

    Args:
        target: The options.
        deploys: Whether the command deploys or destroys a stack, which by default is on AWS.

    Raises:
        NotRunningError: The local cloud is not running.
        OrderctlError: There is no such context or profile, no region is set, or calls would not
            reach AWS.
    """
    try:
        return reach(target.choose(deploys=deploys), deploys=deploys)
    except NotRunningError as error:
        if target.local or target.context:
            raise
        raise NotRunningError(
            f"{error}\nFor a stack on AWS, name it with --context or --stack."
        ) from error


def reach(context: Context, *, deploys: bool = False) -> Account:
    """The way to a context; the errors are those of `choose_account`."""
    if context.local:
        state = lifecycle.find_running(StateDirectory(paths.state_directory()))
        return Account(state.session(), state, context)
    import boto3  # noqa: PLC0415 — slow to load, and not every command needs it
    import botocore.session  # noqa: PLC0415

    with explain_errors():
        core = botocore.session.Session(profile=context.profile)
        if context.endpoint:
            settings = core.get_component("config_store")
            settings.set_config_variable("endpoint_url", context.endpoint)
        else:
            _check_reaches_aws(core, deploys=deploys)
        session = boto3.Session(botocore_session=core, region_name=context.region)
        session.client("sts")  # fails if no region is set
    return Account(session, None, context)


def _check_reaches_aws(core: BotocoreSession, *, deploys: bool) -> None:
    """Refuse settings that lead calls elsewhere than to AWS, or with the local cloud's key.

    Raises:
        OrderctlError: They do.
    """
    unset = f'eval "$({paths.orderctl()} env --unset)"'
    local = StateDirectory(paths.state_directory()).read()
    instead = f"To {'deploy to' if deploys else 'use'} the local cloud, add --local"
    for name, url in _endpoints(core):
        if is_of_aws(url):
            continue
        what = "the local cloud" if local and url.rstrip("/") == local.endpoint else "not AWS"
        raise OrderctlError(
            f"{name} leads calls to {url}, which is {what}; nothing was called.\n"
            f"{instead}. To reach AWS: "
            + (unset if name in os.environ else "remove that setting from ~/.aws/config")
        )
    key = os.environ.get("AWS_ACCESS_KEY_ID")
    if local and key == local.access_key_id and not core.instance_variables().get("profile"):
        raise OrderctlError(
            f"AWS_ACCESS_KEY_ID is the local cloud's, which AWS does not know.\n{instead}. "
            f"To reach AWS: {unset}"
        )


def _endpoints(core: BotocoreSession) -> Iterator[tuple[str, str]]:
    """The endpoints that the environment and the profile set, each with the setting's name.

    They are those of the AWS SDKs' reference guide, "Service-specific endpoints".
    """
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return
    for name, value in os.environ.items():
        if name.startswith(_ENDPOINT_VARIABLE) and value:
            yield name, value
    settings = core.get_scoped_config()
    profile = core.get_config_variable("profile") or "default"
    if url := settings.get("endpoint_url"):
        yield f"endpoint_url of the profile {profile}", url
    services = core.full_config.get("services", {}).get(settings.get("services"), {})
    for service, its in services.items():
        if isinstance(its, dict) and (url := its.get("endpoint_url")):
            yield f"endpoint_url for {service} of the profile {profile}", url


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
def connect(target: Target, *, changes: bool = False) -> Iterator[Pipeline]:
    """Connect to the pipeline that the options choose.

    A command that changes something says so with `changes`: then the account is checked, and the
    command's output begins with the line that names what is changed.

    Args:
        target: The options.
        changes: Whether the command changes something there.

    Raises:
        NotRunningError: The local cloud is not running.
        NoStackError: There is no such stack.
        OrderctlError: A call to AWS failed, or the account is not the context's.
    """
    where = choose_account(target)
    name = where.context.stack
    with explain_errors(where.local.log if where.local else None):
        if changes:
            console.place(where.place(name, None if where.local else where.whoami()))
        try:
            pipeline = Pipeline(where.session, name)
        except NoStackError as error:
            raise NoStackError(_no_stack(where, name)) from error
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
