"""The commands of the local cloud, and of the project itself."""

from typing import Annotated

import typer

from orderctl.app.options import Json, Param, parameters
from orderctl.commands import down as down_command
from orderctl.commands import env as env_command
from orderctl.commands import run as run_command
from orderctl.commands import schemas as schemas_command
from orderctl.commands import up as up_command

commands = typer.Typer()


@commands.command(epilog="Example: orderctl run --orders 50 --param ChargeFailureRate=0.5")
def run(
    orders: Annotated[int, typer.Option(min=1, max=100, help="How many orders to send.")] = 10,
    param: Param = None,
) -> None:
    """Run the whole pipeline once: start it, send orders, show and check each one's end."""
    run_command.run(orders, parameters(param))


@commands.command(epilog="Example: orderctl up --param ChargeFailureRate=0.5")
def up(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Listen here. [default: 4566, or the next free port]"),
    ] = None,
    param: Param = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it running and return when it is ready.")
    ] = False,
) -> None:
    """Start the local cloud with the pipeline in it, until Ctrl-C."""
    up_command.up(port, parameters(param), detach)


@commands.command(epilog="Example: orderctl down")
def down() -> None:
    """Stop the local cloud."""
    down_command.down()


@commands.command(epilog='Example: eval "$(orderctl env)"')
def env(as_json: Json = False) -> None:
    """Print the shell commands that point the AWS CLI and SDKs at the local cloud."""
    env_command.env(as_json)


@commands.command(epilog="Example: orderctl schemas --check")
def schemas(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether they are up to date.")
    ] = False,
) -> None:
    """Write the JSON Schemas of the events and of the API's body to docs/schemas."""
    schemas_command.schemas(check)
