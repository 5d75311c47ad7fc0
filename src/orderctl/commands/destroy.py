"""`orderctl destroy`: the end of a stack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orderctl import console, paths, stack
from orderctl.commands.connection import account, chosen
from orderctl.commands.deploy import NotConfirmedError, goes_on, may_ask, poll_seconds, say_where
from orderctl.commands.up import Progress
from orderctl.localcloud.state import StateDirectory
from orderctl.stack import Destruction
from orderctl.stack.destruction import Resource


def destroy(delete_tables: bool, yes: bool) -> None:
    """Say what goes and what stays, ask, and delete the stack.

    Args:
        delete_tables: Whether the tables and all the orders in them go, too.
        yes: Whether not to ask.

    Raises:
        NotConfirmedError: It was not confirmed.
        StackError: There is no such stack, or something could not be deleted.
    """
    where = account(local=chosen().local)
    name = chosen().stack or stack.DEFAULT_NAME
    may_ask(yes=yes)
    say_where(where, name)
    destruction = Destruction(where.session, name, poll_seconds(where))
    _show(destruction, delete_tables)
    if not yes and console.prompt("Type the stack's name to destroy it") != name:
        raise NotConfirmedError("That is not its name. Nothing was deleted.")
    with goes_on(name), console.step(f"Destroying {name}", f"Destroyed {name}") as step:
        progress = Progress(step)
        destruction.execute(progress)
        step.detail = f"{progress.done} resources"
    tables = [resource for resource in destruction.retained if resource.is_table]
    if delete_tables and tables:
        with console.step("Deleting the tables", "Deleted the tables") as step:
            destruction.delete_tables()
            step.detail = _ids(tables)
    if where.local and name == where.local.stack_name:
        StateDirectory(paths.state_directory()).write(replace(where.local, outputs={}))


def _show(destruction: Destruction, delete_tables: bool) -> None:
    tables = _ids(resource for resource in destruction.retained if resource.is_table)
    shared = ", ".join(r.logical_id for r in destruction.retained if not r.is_table)
    stays = ("" if delete_tables else _stays(tables)) + _shared(shared)
    console.summary(
        [
            ("Goes", f"{len(destruction.deleted)} resources" + _and(tables, delete_tables)),
            ("Stays", stays + _bucket(destruction)),
        ]
    )
    console.out().print()


def _ids(resources: Iterable[Resource]) -> str:
    return ", ".join(resource.physical_id for resource in resources)


def _and(tables: str, deleted: bool) -> str:
    return f", and the tables {tables} with all that is in them" if deleted and tables else ""


def _stays(tables: str) -> str:
    return (
        f"the tables {tables} with all that is in them "
        "(a later stack of the same names takes them in; --delete-tables deletes them); "
        if tables
        else ""
    )


def _shared(others: str) -> str:
    return f"{others} (other stacks may use that); " if others else ""


def _bucket(destruction: Destruction) -> str:
    bucket = destruction.artifact_bucket()
    return f"the artifact bucket {bucket} (other stacks may have their code in it)"
