"""The commands and their options; what each does is in `orderctl.commands`."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from orderctl import console
from orderctl.app import dead_letters, deploying, local, operating, orders


class _Commands(TyperGroup):
    """Says by itself what cannot be meant: Typer would echo what was typed as it is."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run the command line, and exit unless told otherwise."""
        exits = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        if not exits:
            return super().main(*args, **options)
        try:
            code = super().main(*args, **options)
        except typer.TyperException as error:
            console.usage_error(error)
            sys.exit(getattr(error, "exit_code", 1))
        except typer.Abort:
            console.err().print("Aborted.")
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # which leaves [default: …] in texts alone
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib import metadata  # noqa: PLC0415 — slow to load

        console.out().print(f"orderctl {metadata.version('order-pipeline')}")
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
