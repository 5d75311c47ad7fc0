"""The commands and their options; what each does is in `orderctl.commands`."""

from importlib import metadata
from typing import Annotated

import typer

from orderctl.commands import down as down_command
from orderctl.commands import env as env_command
from orderctl.commands import run as run_command
from orderctl.commands import up as up_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"orderctl {metadata.version('order-pipeline')}")
        raise typer.Exit


@app.callback()
def orderctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run the order pipeline on this machine, and operate it."""


@app.command(epilog="Example: orderctl run --orders 50 --param ChargeFailureRate=0.5")
def run(
    orders: Annotated[int, typer.Option(min=1, max=100, help="How many orders to send.")] = 10,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A parameter of the template; repeatable."),
    ] = None,
) -> None:
    """Run the whole pipeline once: start it, send orders, show and check each one's end."""
    run_command.run(orders, _parameters(param or []))


@app.command(epilog="Example: orderctl up --param ChargeFailureRate=0.5")
def up(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Listen here. [default: 4566, or the next free port]"),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A parameter of the template; repeatable."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it running and return when it is ready.")
    ] = False,
) -> None:
    """Start the local cloud with the pipeline in it, until Ctrl-C."""
    up_command.up(port, _parameters(param or []), detach)


@app.command(epilog="Example: orderctl down")
def down() -> None:
    """Stop the local cloud."""
    down_command.down()


@app.command(epilog='Example: eval "$(orderctl env)"')
def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Print the shell commands that point the AWS CLI and SDKs at the local cloud."""
    env_command.env(as_json)


def _parameters(pairs: list[str]) -> dict[str, str]:
    """The template's parameters from what stands behind --param."""
    parameters = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise typer.BadParameter(
                f"{pair!r} is not of the form KEY=VALUE.", param_hint="--param"
            )
        parameters[key] = value
    return parameters
