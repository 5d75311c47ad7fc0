"""The commands and their options; what each does is in `orderctl.commands`."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from orderctl import moments
from orderctl.commands import cancel as cancel_command
from orderctl.commands import consumers as consumers_command
from orderctl.commands import deploy as deploy_command
from orderctl.commands import destroy as destroy_command
from orderctl.commands import dlq as dlq_command
from orderctl.commands import down as down_command
from orderctl.commands import env as env_command
from orderctl.commands import logs as logs_command
from orderctl.commands import orders as orders_command
from orderctl.commands import replay as replay_command
from orderctl.commands import run as run_command
from orderctl.commands import schemas as schemas_command
from orderctl.commands import status as status_command
from orderctl.commands import stock as stock_command
from orderctl.commands import submit as submit_command
from orderctl.commands import trace as trace_command
from orderctl.commands import tune as tune_command
from orderctl.commands import up as up_command
from orderctl.commands import updates as updates_command
from orderctl.commands.connection import on_stack

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Param = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A parameter of the template; repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", show_default=False)]
Since = Annotated[
    str,
    typer.Option(metavar="TIME", help="From when on: 10m, 2h or 3d ago, or ISO 8601 (UTC)."),
]
QueueNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Which queues. [default: all]", show_default=False),
]
MessageId = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Only this message: its id, or how that begins."),
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


@app.command(epilog="Example: orderctl run --orders 50 --param ChargeFailureRate=0.5")
def run(
    orders: Annotated[int, typer.Option(min=1, max=100, help="How many orders to send.")] = 10,
    param: Param = None,
) -> None:
    """Run the whole pipeline once: start it, send orders, show and check each one's end."""
    run_command.run(orders, _parameters(param or []))


@app.command(epilog="Example: orderctl up --param ChargeFailureRate=0.5")
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
    up_command.up(port, _parameters(param or []), detach)


@app.command(epilog="Example: orderctl down")
def down() -> None:
    """Stop the local cloud."""
    down_command.down()


@app.command(epilog='Example: eval "$(orderctl env)"')
def env(as_json: Json = False) -> None:
    """Print the shell commands that point the AWS CLI and SDKs at the local cloud."""
    env_command.env(as_json)


@app.command(
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
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would change.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Deploy this checkout to AWS, or with --local to the running local cloud.

    Shows what would change and asks. A parameter that is not given stays as the stack has it.

    A deployment that fails is rolled back.
    """
    deploy_command.deploy(prefix, _parameters(param or []), yes, plan, as_json)


@app.command(
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


@app.command(
    rich_help_panel="Orders",
    epilog="Examples:\n\n"
    "orderctl submit --amount 12.50 --item mug=2\n\n"
    "orderctl submit orders.jsonl\n\n"
    "orderctl submit --count 1000 --rate 50",
)
@on_stack
def submit(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A file of orders: one JSON object a line, or one JSON array; - is standard "
            "input. None of it is sent when one of them is faulty.",
            show_default=False,
        ),
    ] = None,
    *,
    amount: Annotated[
        str | None, typer.Option(metavar="N", help="What it costs, such as 12.50.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="An ISO 4217 code. [default: USD]")
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option(metavar="SKU[=N]", help="So many of an article; repeatable."),
    ] = None,
    order_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ORDER_ID", help="Its id. [default: a new one]"),
    ] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Whose order it is.")] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Make up N orders; the amounts are random unless given."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=2000,
            metavar="R",
            help="Send R orders a second. [default: 8 at once, as fast as they are answered]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Submit one order, a file of them, or made-up ones as a load. Exits with 0 if all were taken.

    What is answered by a 503 or the like, or not at all, is sent again up to 3 times under the
    same order id, and so takes effect once. Ctrl-C shows what was done so far.
    """
    fields = {
        "order_id": order_id,
        "amount": None if amount is None else _decimal(amount),
        "currency": currency,
        "customer_id": customer,
        "items": [_line(text) for text in item] if item else None,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    if file is not None:
        if given or count:
            raise typer.BadParameter("goes not with the options of an order.", param_hint="FILE")
        submit_command.file(file, rate, as_json)
    elif count is not None:
        if order_id is not None:
            raise typer.BadParameter("goes not with --count.", param_hint="--id")
        submit_command.generated(count, rate, given, as_json)
    elif rate is not None:
        raise typer.BadParameter("goes with --count or a file.", param_hint="--rate")
    elif amount is None:
        raise typer.BadParameter(
            "Name an order's --amount, a FILE of orders, or a --count of made-up ones."
        )
    else:
        submit_command.one(given, as_json)


@app.command(rich_help_panel="Orders", epilog="Example: orderctl order order-1")
@on_stack
def order(order_id: OrderId, as_json: Json = False) -> None:
    """Show how an order stands, and what has happened to it."""
    orders_command.order(order_id, as_json)


@app.command(rich_help_panel="Orders", epilog="Example: orderctl orders --stuck --minutes 5")
@on_stack
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


@app.command(rich_help_panel="Orders", epilog="Example: orderctl cancel order-1")
@on_stack
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


@app.command(rich_help_panel="Orders", epilog="Example: orderctl updates --follow")
@on_stack
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


@app.command(rich_help_panel="Operating", epilog="Example: orderctl status --since 1h")
@on_stack
def status(since: Window = "10m", as_json: Json = False) -> None:
    """Show the whole pipeline on one screen, each step from left to right as a line.

    What waits in its queue, what is being worked on (or tried again later), the age of the oldest
    message, what is parked; how often its function was called, and failed; what it has done. Then
    the orders that have not ended, the alarms, and the consumers that are paused. Numbers of
    CloudWatch are minutes old on AWS.
    """
    status_command.status(_window(since), as_json)


@app.command(rich_help_panel="Operating", epilog="Example: orderctl watch --interval 5")
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


@app.command(
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
        _moment(since, "--since"),
        order_id=order_id,
        follow=follow,
        everything=everything,
        as_json=as_json,
    )


@app.command(rich_help_panel="Operating", epilog="Example: orderctl trace order-1")
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
    trace_command.trace(order_id, _moment(since, "--since"), as_json)


@app.command(rich_help_panel="Operating", epilog="Example: orderctl pause payments")
@on_stack
def pause(consumer: ConsumerName, as_json: Json = False) -> None:
    """Have a consumer take no more messages from its queue, and wait until that is so.

    Nothing is lost: what it has begun it finishes, what comes waits on the queue (4 days there
    at most, as the template has it), and orders that need it do not end meanwhile. It stays
    paused through deployments until `orderctl resume`. `orderctl status` shows it.
    """
    consumers_command.switch(consumer.value, on=False, as_json=as_json)


@app.command(rich_help_panel="Operating", epilog="Example: orderctl resume payments")
@on_stack
def resume(consumer: ConsumerName, as_json: Json = False) -> None:
    """Have a paused consumer take messages again, and wait until that is so."""
    consumers_command.switch(consumer.value, on=True, as_json=as_json)


stock = typer.Typer(
    no_args_is_help=True, help="See and change what is available of each article to new orders."
)
app.add_typer(stock, name="stock", rich_help_panel="Orders")


@stock.command("list", epilog="Example: orderctl stock list mug tea")
@on_stack
def stock_list(
    skus: Annotated[
        list[str] | None,
        typer.Argument(metavar="SKU", help="Which. [default: all]", show_default=False),
    ] = None,
    reserved: Annotated[
        bool,
        typer.Option(
            "--reserved",
            help="Add what orders hold, confirmed ones too. Reads every reservation there is.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List what is available of each SKU."""
    stock_command.list_stock(skus or [], reserved, as_json)


@stock.command("set", epilog="Example: orderctl stock set mug=100 tea=50")
@on_stack
def stock_set(
    pairs: Annotated[list[str], typer.Argument(metavar="SKU=N", show_default=False)],
    was: Annotated[
        int | None,
        typer.Option(metavar="N", help="Set it only if N are available now; for a single SKU."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set how much of a SKU new orders can have from now on; a new SKU comes to be by this.

    What orders have reserved was taken out before and is not counted in N. So N is not what
    stands on the shelf: it is that less what is reserved. An order that reserves between your
    look and your set is overwritten: while orders flow use `stock add`, or give --was what
    you saw. What there was at the very moment is printed.
    """
    stock_command.put(pairs, was, as_json)


@stock.command("add", epilog="Example: orderctl stock add mug=24 tea=-3")
@on_stack
def stock_add(
    pairs: Annotated[list[str], typer.Argument(metavar="SKU=N", show_default=False)],
    as_json: Json = False,
) -> None:
    """Add what has come in to what is available, or take what is gone (N less than 0).

    Safe while orders flow: it is one write, and never leaves less than 0.
    """
    stock_command.add(pairs, as_json)


dlq = typer.Typer(
    no_args_is_help=True,
    help="See what is parked in the dead-letter queues and why; redrive or purge it.",
)
app.add_typer(dlq, name="dlq", rich_help_panel="Operating")


@dlq.command("list", epilog="Example: orderctl dlq list")
@on_stack
def dlq_list(as_json: Json = False) -> None:
    """List the dead-letter queues: their messages, the age of the oldest, the alarm."""
    dlq_command.list_queues(as_json)


@dlq.command(
    "show",
    epilog="Examples:\n\norderctl dlq show payments-dlq\n\norderctl dlq show --json > parked.json",
)
@on_stack
def dlq_show(
    names: QueueNames = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Show at most N messages of each queue.")
    ] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead, with the messages' bodies.")
    ] = False,
) -> None:
    """Show what is parked, and why: as EventBridge, Lambda or the function's log say it.

    To look is to receive, and hides the messages from others for that moment. Nothing is lost
    by it: a dead-letter queue parks nothing further.
    """
    dlq_command.show(names or [], limit, as_json)


@dlq.command(
    "redrive",
    epilog="Examples:\n\n"
    "orderctl dlq redrive payments-dlq\n\n"
    "orderctl dlq redrive --message 3f2a81c0",
)
@on_stack
def dlq_redrive(names: QueueNames = None, message: MessageId = None, as_json: Json = False) -> None:
    """Send what is parked back to where it came from, and wait until that is done.

    To redrive too often does no harm: every effect happens once.
    """
    if message is None:
        dlq_command.redrive(names or [], as_json)
    else:
        dlq_command.redrive_message(names or [], message, as_json)


@dlq.command(
    "purge",
    epilog="Examples:\n\n"
    "orderctl dlq purge inventory-dlq\n\n"
    "orderctl dlq purge payments-dlq --message 3f2a81c0 --yes",
)
@on_stack
def dlq_purge(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Which queues.", show_default=False)
    ],
    message: MessageId = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete what is parked, for good; asks before.

    For messages that nobody will ever be able to work on. What they were to do is never done:
    an order whose charge is deleted does not end. `dlq show --json` keeps a copy.
    """
    dlq_command.purge(names, message, yes, as_json)


@app.command(
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
        _moment(start, "--from"), _moment(end, "--to"), rule or [], wait=wait, as_json=as_json
    )


@app.command(
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


@app.command(epilog="Example: orderctl schemas --check")
def schemas(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether they are up to date.")
    ] = False,
) -> None:
    """Write the JSON Schemas of the events and of the API's body to docs/schemas."""
    schemas_command.schemas(check)


def _window(since: str) -> timedelta:
    window = datetime.now(UTC) - _moment(since, "--since")
    window = timedelta(seconds=round(window.total_seconds()))
    if not timedelta(minutes=1) <= window <= timedelta(days=15):
        raise typer.BadParameter("goes back from one minute to 15 days.", param_hint="--since")
    return window


def _moment(text: str, option: str) -> datetime:
    try:
        return moments.parse(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint=option) from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise typer.BadParameter(f"{text!r} is not a number.", param_hint="--amount") from None


def _line(text: str) -> dict[str, Any]:
    """An order's line from what stands behind --item."""
    sku, equals, number = text.rpartition("=")
    if not equals:
        return {"sku": text, "quantity": 1}
    try:
        return {"sku": sku, "quantity": int(number)}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not SKU=N.", param_hint="--item") from None


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
