"""The commands and their options; what each does is in `orderctl.commands`."""

from importlib import metadata
from typing import Annotated

import typer

from orderctl.commands import cancel as cancel_command
from orderctl.commands import dlq as dlq_command
from orderctl.commands import down as down_command
from orderctl.commands import env as env_command
from orderctl.commands import orders as orders_command
from orderctl.commands import run as run_command
from orderctl.commands import schemas as schemas_command
from orderctl.commands import tune as tune_command
from orderctl.commands import up as up_command
from orderctl.commands import updates as updates_command

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", show_default=False)]

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
def env(as_json: Json = False) -> None:
    """Print the shell commands that point the AWS CLI and SDKs at the local cloud."""
    env_command.env(as_json)


@app.command(epilog="Example: orderctl order order-1")
def order(order_id: OrderId, as_json: Json = False) -> None:
    """Show how an order stands, and what has happened to it."""
    orders_command.order(order_id, as_json)


@app.command(epilog="Example: orderctl orders --stuck --minutes 5")
def orders(
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only those that should have ended by now.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Only those placed more than N minutes ago; goes with --stuck. "
            "[default: the stack's StuckAfterMinutes]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the orders that are not finished: what each is waiting for, and where it is parked."""
    orders_command.orders(stuck or minutes is not None, minutes, as_json)


@app.command(epilog="Example: orderctl cancel order-1")
def cancel(
    order_id: OrderId,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait a few seconds for how it ends.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Cancel an order that is not confirmed yet. Exits with 0 only if that was done.

    With --no-wait it exits with 0 when the request was taken.
    """
    cancel_command.cancel(order_id, wait, as_json)


@app.command(epilog="Example: orderctl updates --follow")
def updates(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more, until Ctrl-C.")
    ] = False,
    peek: Annotated[
        bool,
        typer.Option(
            "--peek",
            help="Leave them on the queue. SQS counts a look like any receive, and parks a "
            "message that was received three times.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Read the order updates as a shop's own service would, from the queue order-updates.fifo.

    Reading consumes: what was printed is deleted, and nobody else gets it.
    """
    if follow and peek:
        raise typer.BadParameter("goes not with --follow.", param_hint="--peek")
    updates_command.updates(follow, peek, as_json)


dlq = typer.Typer(no_args_is_help=True, help="See and empty the dead-letter queues.")
app.add_typer(dlq, name="dlq")


@dlq.command("list", epilog="Example: orderctl dlq list")
def dlq_list(as_json: Json = False) -> None:
    """List the dead-letter queues: their messages, the age of the oldest, the alarm."""
    dlq_command.list_queues(as_json)


@dlq.command("redrive", epilog="Example: orderctl dlq redrive payments-dlq")
def dlq_redrive(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Which queues. [default: all]", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send what is parked back to where it came from, and wait until that is done."""
    dlq_command.redrive(names or [], as_json)


@app.command(epilog="Example: orderctl tune payments-processor --memory 128 --memory 256")
def tune(
    function: Annotated[
        str, typer.Argument(metavar="FUNCTION", help="Such as payments-processor.")
    ],
    memory: Annotated[
        list[int] | None,
        typer.Option(
            metavar="MB", help="Try this size; repeatable. [default: 128, 256, 512, 1024]"
        ),
    ] = None,
    orders: Annotated[int, typer.Option(min=1, max=10_000, help="Orders sent at each size.")] = 50,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    as_json: Json = False,
) -> None:
    """Try memory sizes on a function: how long it takes and what that costs.

    Orders go through the whole pipeline meanwhile, so use a stack without customers. The function
    gets its own size back. On the local cloud memory makes nothing faster.
    """
    tune_command.tune(function, memory or [128, 256, 512, 1024], orders, yes, as_json)


@app.command(epilog="Example: orderctl schemas --check")
def schemas(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether they are up to date.")
    ] = False,
) -> None:
    """Write the JSON Schemas of the events and of the API's body to docs/schemas."""
    schemas_command.schemas(check)


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
