"""`orderctl destroy`: deletes a stack."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import msgspec

from orderctl import paths
from orderctl.commands import DEPLOYING, app
from orderctl.deploying import Destruction
from orderctl.deploying.destruction import Resource
from orderctl.errors import OrderctlError
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline import Pipeline
from orderctl.pipeline.stack import NoStackError
from orderctl.terminal import console
from orderctl.terminal.confirming import check_can_ask
from orderctl.terminal.connection import Account, choose_account, explain_errors
from orderctl.terminal.deployments import (
    Progress,
    forget,
    note_when_interrupted,
    poll_seconds,
    show_account,
)
from orderctl.terminal.options import Json, Target, Yes
from orderctl.terminal.results import Document


class Destroyed(msgspec.Struct, kw_only=True):
    """A stack that was deleted.

    Attributes:
        stack: Its name.
        deleted: How many of its resources were deleted.
        deleted_tables: The tables that were deleted with all their data.
        kept: What was left behind, by its physical id; other stacks may use it.
    """

    stack: str
    deleted: int
    deleted_tables: list[str]
    kept: list[str]


_JSON = Document(Destroyed)


@app.command(
    group=DEPLOYING, help_epilogue="Example: orderctl destroy --stack staging-order-pipeline"
)
@_JSON.of_command
def destroy(
    *,
    delete_tables: bool = False,
    yes: Yes = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Delete a stack on AWS, or with --local in the running local cloud.

    Shows what is deleted and what stays, then asks. Tables stay unless --delete-tables is given.

    Args:
        delete_tables: Also delete the tables with all their data.
        yes: Do not ask.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        OrderctlError: It was not confirmed, there is no such stack, or something could not be
            deleted.
    """
    where = choose_account(target, deploys=True)
    name = where.context.stack
    check_can_ask(yes=yes)
    identity = show_account(where, name)
    destruction = Destruction(where.session, name, poll_seconds(where))
    _show(destruction, delete_tables)
    if not yes and console.prompt("Type the stack's name to destroy it") != name:
        raise OrderctlError("That is not the stack's name. Nothing was deleted.")
    with (
        note_when_interrupted(name),
        console.step(f"Destroying {name}", f"Destroyed {name}") as step,
    ):
        progress = Progress(step)
        _remove_feeds(where, name)
        destruction.execute(progress)
        step.detail = f"{progress.done} resources"
    tables = [each for each in destruction.retained if each.is_table and delete_tables]
    if tables:
        with console.step("Deleting the tables", "Deleted the tables") as step:
            destruction.delete_tables()
            step.detail = _ids(tables)
    if where.local and name == where.local.stack_name:
        StateDirectory(paths.state_directory()).write(replace(where.local, outputs={}))
    forget(where, identity, name)
    if as_json:
        _JSON.show(
            Destroyed(
                stack=name,
                deleted=progress.done,
                deleted_tables=[each.physical_id for each in tables],
                kept=[each.physical_id for each in destruction.retained if each not in tables],
            )
        )


def _remove_feeds(where: Account, name: str) -> None:
    """Remove the rules that follow the bus: CloudFormation does not delete a bus that has any."""
    with explain_errors(), suppress(NoStackError):
        pipeline = Pipeline(where.session, name)
        pipeline.feeds.remove_left(followed_too=True)
        pipeline.update_feeds.remove_left(followed_too=True)


def _show(destruction: Destruction, delete_tables: bool) -> None:
    tables = _ids(resource for resource in destruction.retained if resource.is_table)
    shared = ", ".join(r.logical_id for r in destruction.retained if not r.is_table)
    stays = ("" if delete_tables else _stays(tables)) + _shared(shared)
    console.summary(
        [
            ("Deleted", f"{len(destruction.deleted)} resources" + _and(tables, delete_tables)),
            ("Kept", stays + _bucket(destruction)),
        ]
    )
    console.out().print()


def _ids(resources: Iterable[Resource]) -> str:
    return ", ".join(resource.physical_id for resource in resources)


def _and(tables: str, deleted: bool) -> str:
    return f", and the tables {tables} with all their data" if deleted and tables else ""


def _stays(tables: str) -> str:
    return (
        f"the tables {tables} with all their data "
        "(a later deployment can import them; --delete-tables deletes them); "
        if tables
        else ""
    )


def _shared(others: str) -> str:
    return f"{others} (other stacks may use it); " if others else ""


def _bucket(destruction: Destruction) -> str:
    bucket = destruction.artifact_bucket()
    return f"the artifact bucket {bucket} (other stacks may have their code in it)"
