"""The commands: one file each, with its options, its help and what it prints.

A new command is a new file here: it imports `app` and a group, and is found without being listed.
What several commands need is in `orderctl.terminal`; commands do not import each other.

- Which stack: a parameter `target: Target`, and `connect(target)`, or `connect(target,
  changes=True)` for a command that changes something. That checks the account, and says first
  "on local: …" or "on AWS: …" on standard error. See `terminal/connection.py`.
- --json: a parameter `as_json: Json`, and a shape that the command declares and prints. See
  `terminal/results.py`. `console.note` and errors are JSON then, too, by themselves.
"""

import importlib
import pkgutil

from cyclopts import App, Group, Parameter

from orderctl.terminal import console


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 — slow to load

    return f"orderctl {metadata.version('order-pipeline')}"


def _default(value: object) -> str | None:
    """A default as the help shows it; none for flags and for options that default to nothing."""
    if value is None or isinstance(value, bool) or value == ():
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


app = App(
    name="orderctl",
    help="Run the order pipeline on this machine, and operate it.",
    help_format="markdown",
    version=_version,
    console=console.wrapped(),
    error_console=console.err(),
    # A flag has no --no-flag unless it says so.
    default_parameter=Parameter(negative=(), show_default=_default),
    group_commands=Group("Other", sort_key=4),
)
app.register_install_completion_command()

# What one wants first comes first.
START = Group("Start here", sort_key=0)
ORDERS = Group("Orders", sort_key=1)
OPERATING = Group("Operating", sort_key=2)
DEPLOYING = Group("Deploying", sort_key=3)


def load(command: str = "") -> App:
    """The command line, with every command of this folder.

    Args:
        command: what was typed. If it names a file, only that is loaded, which is faster.
    """
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    for name in [command] if command in names else names:
        importlib.import_module(f"{__name__}.{name}")
    return app
