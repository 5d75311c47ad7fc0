"""The commands that make and destroy stacks."""

from typing import Annotated

import typer

from orderctl.app.options import Json, Param, Yes, parameters
from orderctl.commands import deploy as deploy_command
from orderctl.commands import destroy as destroy_command
from orderctl.terminal.connection import on_stack

commands = typer.Typer()


@commands.command(
    rich_help_panel="Deploying",
    epilog="Example: orderctl deploy --prefix staging- --param AlarmEmail=me@example.com",
)
@on_stack
def deploy(
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="P",
            help="Stands before every name of the stack, and before the stack's own "
            "unless --stack names it.",
            show_default=False,
        ),
    ] = None,
    param: Param = None,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would change.")] = False,
    yes: Yes = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Take tables of the stack's names in without asking."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Deploy this checkout to AWS, or with --local to the running local cloud.

    Shows what would change and asks. A parameter that is not given stays as the stack has it.

    A deployment that fails is rolled back.
    """
    deploy_command.deploy(
        prefix, parameters(param), yes=yes, adopt=adopt, plan_only=plan, as_json=as_json
    )


@commands.command(
    rich_help_panel="Deploying",
    epilog="Example: orderctl destroy --stack staging-order-pipeline",
)
@on_stack
def destroy(
    delete_tables: Annotated[
        bool, typer.Option("--delete-tables", help="The tables too, with all that is in them.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete a stack on AWS, or with --local in the running local cloud.

    Says what goes and what stays, and asks. The tables stay unless told otherwise.
    """
    destroy_command.destroy(delete_tables, yes)
