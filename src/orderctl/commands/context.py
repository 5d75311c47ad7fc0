"""`orderctl context`: the places that commands can work on, and the one in use."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from msgspec.structs import replace

from orderctl import contexts, paths
from orderctl.commands import app
from orderctl.contexts import Context
from orderctl.errors import OrderctlError, UsageError
from orderctl.terminal import console
from orderctl.terminal.connection import choose_account, reach
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Document, Lines

_NOTHING = "-"

context = App(
    name="context",
    help="See the places that commands can work on, and choose one.",
)
app.command(context)

Name = Annotated[str, Parameter(completer=lambda _context: contexts.names())]


class Place(msgspec.Struct, kw_only=True):
    """A context.

    Attributes:
        name: Its name; null for a place that options or the environment describe.
        in_use: Whether commands work on it when nothing else is named.
        stack: The stack's name.
        local: Whether it is in the local cloud.
        account: The account's number; null while it is not known.
        region: The region; null for that of AWS's settings.
        profile: The profile with the credentials; null for those of AWS's settings.
        endpoint: Where all calls go, for a cloud that is not AWS; null for AWS.
    """

    name: str | None
    in_use: bool
    stack: str
    local: bool
    account: str | None
    region: str | None
    profile: str | None
    endpoint: str | None


_LIST = Lines(Place)
_ONE = Document(Place)


@context.command(name="list", help_epilogue="Example: orderctl context list")
@_LIST.of_command
def list_contexts(*, as_json: Json = False) -> None:
    """List the contexts: the local cloud, and each stack that was deployed or added.

    The one in use has a star. Without one, commands work on the local cloud, but deploy and
    destroy on AWS.

    Args:
        as_json: Print one JSON object per line.
    """
    known = contexts.load()
    rows = [_place(each, known.current) for each in known.all()]
    if as_json:
        _LIST.show(rows)
        return
    console.table(
        ("", "context", "stack", "account", "region", "profile"),
        [
            (
                "*" if row.in_use else "",
                row.name or "",
                row.stack,
                row.account or row.endpoint or _NOTHING,
                row.region or _NOTHING,
                row.profile or _NOTHING,
            )
            for row in rows
        ],
    )


@context.command(help_epilogue="Example: orderctl context show")
@_ONE.of_command
def show(*, as_json: Json = False, target: Target = Target()) -> None:
    """Show on what a command works that is typed here now, and as whom.

    Args:
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: The credentials do not work, or are of another account than the context's.
    """
    where = choose_account(target)
    identity = where.whoami()
    if as_json:
        found = replace(where.context, account=identity.account, region=where.session.region_name)
        _ONE.show(_place(found, contexts.load().current))
        return
    console.out().print(console.text(where.place(where.context.stack, identity)))
    console.out().print(console.text(f"as {identity.arn}"))


@context.command(help_epilogue="Example: orderctl context use staging")
@_ONE.of_command
def use(name: Name, /, *, as_json: Json = False) -> None:
    """Choose the context on which commands work from now on, in every shell.

    It holds for deploy and destroy, too. The options --context, --local and --stack, and the
    variables ORDERCTL_CONTEXT and ORDERCTL_STACK, come before it. With "none", nothing is chosen.

    Args:
        name: Its name, as `orderctl context list` shows it; or none.
        as_json: Print JSON instead.

    Raises:
        UsageError: There is no such context.
    """
    known = contexts.load()
    chosen = contexts.LOCAL_CLOUD if name == contexts.NONE else known.find(name)
    contexts.save(known.using(None if name == contexts.NONE else name))
    if as_json:
        _ONE.show(_place(chosen, name))
    elif name == contexts.NONE:
        console.out().print(
            "No context is in use: commands work on the local cloud, deploy and destroy on AWS."
        )
    else:
        console.out().print(console.text(f"Commands work on {name} now: stack {chosen.stack}."))


@context.command(
    help_epilogue="Example: orderctl context add staging --stack staging-order-pipeline "
    "--profile staging"
)
@_ONE.of_command
def add(
    name: str,
    /,
    *,
    stack: Annotated[str, Parameter(metavar="NAME")],
    region: Annotated[str | None, Parameter(metavar="REGION")] = None,
    profile: Annotated[str | None, Parameter(metavar="PROFILE")] = None,
    endpoint: Annotated[str | None, Parameter(metavar="URL")] = None,
    as_json: Json = False,
) -> None:
    """Add a stack that somebody else deployed, or correct a context; `deploy` adds its own.

    Its account is that of the credentials: they are tried now.

    Args:
        name: The context's name.
        stack: The stack's name.
        region: The AWS region. [default: as for the AWS CLI]
        profile: The AWS profile. [default: as for the AWS CLI]
        endpoint: Where all calls go, for a cloud with AWS's APIs that is not AWS.
        as_json: Print JSON instead.

    Raises:
        UsageError: The name is taken by the local cloud.
        OrderctlError: The credentials do not work.
    """
    if name in (contexts.LOCAL, contexts.NONE):
        raise UsageError(f"{name} is no name for a stack. Choose another one.")
    asked = Context(name=name, stack=stack, region=region, profile=profile, endpoint=endpoint)
    where = reach(asked)
    identity = where.whoami()
    added = replace(asked, account=identity.account, region=where.session.region_name)
    known = contexts.load().with_stack(added)
    contexts.save(known)
    if as_json:
        _ONE.show(_place(added, known.current))
        return
    console.out().print(console.text(f"Added {name}: {where.place(stack, identity)}."))
    console.note(f"To use it: {paths.orderctl()} context use {name}, or --context {name}")


@context.command(help_epilogue="Example: orderctl context remove staging")
@_ONE.of_command
def remove(name: Name, /, *, as_json: Json = False) -> None:
    """Remove a context; its stack stays as it is.

    Args:
        name: Its name.
        as_json: Print JSON instead.

    Raises:
        UsageError: There is no such context.
        OrderctlError: It is the local cloud's.
    """
    if name == contexts.LOCAL:
        raise OrderctlError("The context local is always there.")
    known = contexts.load()
    removed = known.find(name)
    contexts.save(known.without(name))
    if as_json:
        _ONE.show(_place(removed, None))
    else:
        console.out().print(console.text(f"Removed {name}. Its stack stays as it is."))


def _place(each: Context, current: str | None) -> Place:
    return Place(
        name=each.name or None,
        in_use=each.name == current,
        stack=each.stack,
        local=each.local,
        account=each.account,
        region=each.region,
        profile=each.profile,
        endpoint=each.endpoint,
    )
