"""The commands that watch a pipeline, and intervene."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from orderctl.app.options import Json, OrderId, Yes, moment
from orderctl.commands import consumers as consumers_command
from orderctl.commands import logs as logs_command
from orderctl.commands import replay as replay_command
from orderctl.commands import status as status_command
from orderctl.commands import trace as trace_command
from orderctl.commands import tune as tune_command
from orderctl.terminal.connection import on_stack

Since = Annotated[
    str,
    typer.Option(metavar="TIME", help="From when on: 10m, 2h or 3d ago, or ISO 8601 (UTC)."),
]
Window = Annotated[
    str,
    typer.Option(
        "--since", metavar="TIME", help="How far back to count: 10m, 1h, 1d, or ISO 8601 (UTC)."
    ),
]
# For the shell's completion alone, which cannot ask the stack.
RULES = ("order-placed", "order-outcomes", "order-cancelled", "order-confirmed")
FUNCTIONS = (
    "order-api",
    "payments-processor",
    "inventory-processor",
    "order-tracker",
    "notifications",
    "stuck-orders",
)


class Consumer(StrEnum):
    """Which consumer of a queue."""

    PAYMENTS = "payments"
    INVENTORY = "inventory"
    TRACKER = "tracker"


ConsumerName = Annotated[
    Consumer, typer.Argument(metavar="CONSUMER", help="payments, inventory or tracker.")
]

commands = typer.Typer()


@commands.command(rich_help_panel="Operating", epilog="Example: orderctl status --since 1h")
@on_stack
def status(since: Window = "10m", as_json: Json = False) -> None:
    """Show the whole pipeline on one screen, each step from left to right as a line.

    What waits in its queue, what is being worked on (or tried again later), the age of the oldest
    message, what is parked; how often its function was called, and failed; what it has done. Then
    the orders that have not ended, the alarms, and the consumers that are paused. Numbers of
    CloudWatch are minutes old on AWS.
    """
    status_command.status(_window(since), as_json)


@commands.command(rich_help_panel="Operating", epilog="Example: orderctl watch --interval 5")
@on_stack
def watch(
    interval: Annotated[
        float, typer.Option(min=0.5, max=3600, metavar="SECONDS", help="How often to look.")
    ] = 2,
    since: Window = "10m",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the same as `status`, live until Ctrl-C; in a pipe, one below the other.

    On AWS each look is some twenty calls, and CloudWatch bills the metrics that are read.
    """
    status_command.watch(_window(since), interval, as_json)


@commands.command(
    rich_help_panel="Operating",
    epilog="Examples:\n\n"
    "orderctl logs payments-processor --since 1h\n\n"
    "orderctl logs order-tracker --order order-1 --follow",
)
@on_stack
def logs(
    function: Annotated[
        str,
        typer.Argument(
            metavar="FUNCTION",
            help="Such as payments-processor; without the stack's prefix, too.",
            show_default=False,
            autocompletion=lambda: list(FUNCTIONS),
        ),
    ],
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more, until Ctrl-C.")
    ] = False,
    order_id: Annotated[
        str | None,
        typer.Option("--order", metavar="ORDER_ID", help="Only lines about this order."),
    ] = None,
    since: Since = "10m",
    everything: Annotated[
        bool,
        typer.Option("--all", help="Print Lambda's own lines (START, REPORT) and metrics, too."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as it is.")] = False,
) -> None:
    """Print what a function has logged: time, level, message, and the facts behind it."""
    logs_command.logs(
        function,
        moment(since, "--since"),
        order_id=order_id,
        follow=follow,
        everything=everything,
        as_json=as_json,
    )


@commands.command(rich_help_panel="Operating", epilog="Example: orderctl trace order-1")
@on_stack
def trace(
    order_id: OrderId,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How far back to search the logs for an order that no table knows: 1h, 1d, or "
            "ISO 8601 (UTC).",
        ),
    ] = "1d",
    as_json: Json = False,
) -> None:
    """Tell an order's whole story in the order of time, and where it is now.

    From the tables, the dead-letter queues, and the logs of all functions (for an order that has
    ended, up to an hour after its last change). EventBridge stamps whole seconds: such a line
    stands at the end of its second. The queues that consumers read are not looked
    into: a look counts as a receive, and would delay a message or park it. Their counts are told.
    """
    trace_command.trace(order_id, moment(since, "--since"), as_json)


@commands.command(rich_help_panel="Operating", epilog="Example: orderctl pause payments")
@on_stack
def pause(consumer: ConsumerName, as_json: Json = False) -> None:
    """Have a consumer take no more messages from its queue, and wait until that is so.

    Nothing is lost: what it has begun it finishes, what comes waits on the queue (4 days there
    at most, as the template has it), and orders that need it do not end meanwhile. It stays
    paused through deployments until `orderctl resume`. `orderctl status` shows it.
    """
    consumers_command.switch(consumer.value, on=False, as_json=as_json)


@commands.command(rich_help_panel="Operating", epilog="Example: orderctl resume payments")
@on_stack
def resume(consumer: ConsumerName, as_json: Json = False) -> None:
    """Have a paused consumer take messages again, and wait until that is so."""
    consumers_command.switch(consumer.value, on=True, as_json=as_json)


@commands.command(
    rich_help_panel="Operating",
    epilog="Examples:\n\n"
    "orderctl replay --from -2h --to -10m\n\n"
    "orderctl replay --from 2026-11-24T03:00Z --to 2026-11-24T03:30Z --rule order-placed",
)
@on_stack
def replay(
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Events from then on: -2h, 30m, 3d ago, or ISO 8601 (UTC).",
            show_default=False,
        ),
    ],
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help="And before then; written the same way.")
    ] = "now",
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Which rules get them; repeatable. "
            "[default: order-placed, order-outcomes, order-cancelled]",
            autocompletion=lambda: list(RULES),
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show how far it is until it ends.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Have the bus carry the events of some time once more, from its archive.

    For events whose work was lost: a purged queue, a restored table, a consumer that was wrong.

    Every effect happens once: what is charged, reserved or decided stays so, whatever is replayed,
    and what was missed is caught up on. But the shop's services are told again what they were
    told more than five minutes ago: the FIFO topic knows a repeat for so long. That comes from
    order-placed and order-cancelled by themselves, and from the tracker, which answers a repeated
    outcome by repeating its decision. The rule order-confirmed does nothing but tell again, so it
    is not among the default ones.

    Events come in about their old order, not exactly in it. Replayed events are not archived
    again; what functions publish because of them is. Ctrl-C cancels the replay.
    """
    replay_command.replay(
        moment(start, "--from"), moment(end, "--to"), rule or [], wait=wait, as_json=as_json
    )


@commands.command(
    rich_help_panel="Operating",
    epilog="Example: orderctl tune payments-processor --memory 128 --memory 256",
)
@on_stack
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
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Try memory sizes on a function: how long it takes and what that costs.

    Orders go through the whole pipeline meanwhile, so use a stack without customers. The function
    gets its own size back. On the local cloud memory makes nothing faster.
    """
    tune_command.tune(function, memory or [128, 256, 512, 1024], orders, yes, as_json)


def _window(since: str) -> timedelta:
    window = datetime.now(UTC) - moment(since, "--since")
    window = timedelta(seconds=round(window.total_seconds()))
    if not timedelta(minutes=1) <= window <= timedelta(days=15):
        raise typer.BadParameter("goes back from one minute to 15 days.", param_hint="--since")
    return window
