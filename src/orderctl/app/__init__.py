"""The commands and their options; what each does is in `orderctl.commands`."""

from typing import Annotated

import typer

from orderctl.app import dead_letters, deploying, local, operating, orders

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # which leaves [default: …] in texts alone
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib import metadata  # noqa: PLC0415 — slow to load

        typer.echo(f"orderctl {metadata.version('order-pipeline')}")
        raise typer.Exit


@app.callback()
def orderctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run the order pipeline on this machine, and operate it."""


for group in (local, deploying, orders, operating):
    app.add_typer(group.commands)
app.add_typer(dead_letters.dlq, name="dlq", rich_help_panel="Operating")
