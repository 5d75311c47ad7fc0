"""The commands: one file each, with its options, its help and what it prints.

A new command is a new file here. It imports `app` and a group, and is found by itself. What
several commands need is in `orderctl.terminal`; commands do not import each other.
"""

import importlib
import pkgutil

from cyclopts import App, Group, Parameter

from orderctl.terminal import console


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 — slow to load

    return f"orderctl {metadata.version('order-pipeline')}"


def _default(value: object) -> bool:
    """Whether a default says something: not that a flag is off, nor that nothing is chosen."""
    return value is not False and value != ()


app = App(
    name="orderctl",
    help="Run the order pipeline on this machine, and operate it.",
    help_format="markdown",
    version=_version,
    console=console.out(),
    error_console=console.err(),
    # A flag has no --no-flag unless it says so.
    default_parameter=Parameter(negative=(), show_default=_default),
    group_commands=Group("Commands", sort_key=0),
)
app.register_install_completion_command()

DEPLOYING = Group("Deploying", sort_key=1)
ORDERS = Group("Orders", sort_key=2)
OPERATING = Group("Operating", sort_key=3)


def load() -> App:
    """The command line with every command of this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return app
