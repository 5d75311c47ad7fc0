"""The commands about orders, their updates, and the stock."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from orderctl.app.options import Json, OrderId
from orderctl.commands import cancel as cancel_command
from orderctl.commands import orders as orders_command
from orderctl.commands import stock as stock_command
from orderctl.commands import submit as submit_command
from orderctl.commands import token as token_command
from orderctl.commands import updates as updates_command
from orderctl.commands.connection import on_stack

commands = typer.Typer()


@commands.command(
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
            raise typer.BadParameter(
                "goes not with --count, nor with the options of an order.", param_hint="FILE"
            )
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


@commands.command(rich_help_panel="Orders", epilog="Example: orderctl order order-1")
@on_stack
def order(order_id: OrderId, as_json: Json = False) -> None:
    """Show how an order stands, and what has happened to it."""
    orders_command.order(order_id, as_json)


@commands.command(rich_help_panel="Orders", epilog="Example: orderctl orders --stuck --minutes 5")
@on_stack
def orders(
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only those that should have ended by now.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1_000_000,
            metavar="N",
            help="With --stuck, which it stands for: those placed more than N minutes ago. "
            "[default: the stack's StuckAfterMinutes]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the orders that are not finished: what each is waiting for, and where it is parked."""
    orders_command.orders(stuck or minutes is not None, minutes, as_json)


@commands.command(rich_help_panel="Orders", epilog="Example: orderctl cancel order-1")
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


@commands.command(rich_help_panel="Orders", epilog="Example: orderctl updates --follow")
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


@commands.command(
    rich_help_panel="Orders",
    epilog='Example: curl -H "Authorization: Bearer $(orderctl token --customer alice)" '
    "$API_URL/orders/order-1",
)
@on_stack
def token(
    customer: Annotated[
        str, typer.Option(metavar="NAME", help="Whose it is; made up when not seen before.")
    ],
    staff: Annotated[
        bool, typer.Option("--staff", help="As one of the shop's staff, who see all orders.")
    ] = False,
) -> None:
    """Print a made-up customer's token for an API with ApiAuthorization=JWT, in the local cloud.

    It is valid for an hour. On AWS the shop's own user pool signs customers in; what commands of
    orderctl then need is taken from the variable ORDERCTL_TOKEN.
    """
    token_command.token(customer, staff)


stock = typer.Typer(
    no_args_is_help=True, help="See and change what is available of each article to new orders."
)
commands.add_typer(stock, name="stock", rich_help_panel="Orders")


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
