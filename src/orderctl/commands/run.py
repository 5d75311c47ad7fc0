"""`orderctl run`: starts the pipeline, sends orders, and checks how each one ends."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter, validators
from rich.table import Table
from rich.text import Text

from orderctl import deploying, paths
from orderctl.commands import START, app
from orderctl.errors import OrderctlError
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline.audit import audit
from orderctl.pipeline.pipeline import Pipeline
from orderctl.signals import Ended
from orderctl.terminal import console
from orderctl.terminal.deployments import launch, open_beside
from orderctl.terminal.options import Json, Params, parse_parameters
from orderctl.terminal.order_texts import amount
from orderctl.terminal.results import Document
from orderctl.waiting import wait_until

_STOCK = {"mug": 100, "tea": 100}
_PATIENCE_SECONDS = 120.0
_ALARM_PATIENCE_SECONDS = 20.0
_REFRESH_SECONDS = 0.15
_REDRIVES = 3
_WAITING = "…"
_NOT_CHARGED = ("declined", "refunded", "voided")
_NOT_RESERVED = ("rejected", "released", "voided")
_STYLES = {
    "202": "green",
    "charged": "green",
    "reserved": "green",
    "confirmed": "green",
    "declined": "yellow",
    "rejected": "yellow",
    "refunded": "yellow",
    "released": "yellow",
    "cancelled": "yellow",
}


@dataclass(slots=True)
class _Order:
    """One order of the run, and its state so far."""

    body: dict[str, Any]
    answer: str = _WAITING
    payment: str = _WAITING
    reservation: str = _WAITING
    status: str = _WAITING
    updates: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(self.body["order_id"])

    @property
    def ended(self) -> bool:
        """Decided and announced, with money and stock where they belong."""
        return len(self.updates) > 1 and self.balanced

    @property
    def balanced(self) -> bool:
        """Confirmed: charged and reserved. Cancelled: neither."""
        payment, reservation = self.payment.partition(" ")[0], self.reservation
        if self.status == "cancelled":
            return payment in _NOT_CHARGED and reservation in _NOT_RESERVED
        return (self.status, payment, reservation) == ("confirmed", "charged", "reserved")


class Sent(msgspec.Struct, kw_only=True):
    """An order of the run.

    Attributes:
        order_id: Its id.
        http_status: The API's answer.
        payment: How its payment ended.
        inventory: How its reservation ended.
        status: How it ended.
        updates: The updates that the shop received of it.
    """

    order_id: str
    http_status: int
    payment: str
    inventory: str
    status: str
    updates: list[str]


class Check(msgspec.Struct, kw_only=True):
    """Something that must hold at the end.

    Attributes:
        holds: Whether it does.
        what: What it is, in words.
    """

    holds: bool
    what: str


class Ran(msgspec.Struct, kw_only=True):
    """The run: its orders, and what was checked at its end.

    Attributes:
        orders: The orders, in the order in which they were sent.
        checks: What was checked.
        seconds: How long it took from the first order until all had ended.
    """

    orders: list[Sent]
    checks: list[Check]
    seconds: float


_JSON = Document(Ran)


@app.command(
    group=START,
    sort_key=1,
    help_epilogue="Example: orderctl run --orders 50 --param ChargeFailureRate=0.5",
)
@_JSON.of_command
def run(
    *,
    orders: Annotated[
        int, Parameter(metavar="N", validator=validators.Number(gte=1, lte=100))
    ] = 10,
    param: Params = (),
    stay: Annotated[bool | None, Parameter(negative="--no-stay")] = None,
    as_json: Json = False,
) -> None:
    """Start the whole pipeline, send orders, and show and check how each one ends.

    In a terminal it goes on running then, with its console, a page in the browser, until you press
    Enter or Ctrl-C.

    Args:
        orders: How many orders to send.
        param: A parameter of the template, or @FILE with some in JSON; repeatable.
        stay: Go on running afterwards. [default: in a terminal, unless JSON is asked for]
        as_json: Print JSON instead, at the end.

    Raises:
        OrderctlError: A check failed; the screen shows which.
    """
    given = parse_parameters(param)
    template = deploying.Template.load()
    template.check(given)
    stays = (console.is_interactive() and not as_json) if stay is None else stay
    with ExitStack() as running:
        cloud = LocalCloud()
        launch(cloud, running, template, given)
        if stays:
            open_beside(cloud, running)
        ran = _Run(Pipeline(cloud.session(), cloud.state.stack_name), orders)
        result = ran.carry_out()
        if as_json:
            _JSON.show(result)
        if stays:
            _say_page(cloud.state.console, as_json=as_json)
            _wait_until_told(cloud)
    if stays:
        console.out().print("The local cloud was stopped.")
    elif not as_json:
        _suggest_console()
    if not all(check.holds for check in result.checks):
        raise OrderctlError("Some checks failed: see the lines marked ✗.")


def _say_page(address: str, *, as_json: bool) -> None:
    """Say where to look: the last that one sees in the terminal."""
    if as_json:
        console.note(f"It is still running. Its page: {address} (Ctrl-C ends it)")
    else:
        ends = "Enter or Ctrl-C" if console.is_interactive() else "Ctrl-C"
        console.out().print(f"\nIt goes on running; {ends} ends it.")
        console.out().print("To watch orders move, and to place some, open this page:\n")
        console.out().print(f"    {address}\n")
    console.flush()


def _wait_until_told(cloud: LocalCloud) -> None:
    """Wait for Enter or Ctrl-C, or until another command stops the local cloud."""
    try:
        if console.is_interactive() and console.enter_pressed(cloud.is_running):
            return
        cloud.wait()
    except Ended as end:
        if not end.by_ctrl_c:
            raise


def _suggest_console() -> None:
    """Say how to see more of it."""
    console.out().print(f"\nTo watch orders move in the browser: {paths.orderctl()} run --stay")


class _Run:
    """Sends the orders, watches them, and checks what is left."""

    def __init__(self, pipeline: Pipeline, count: int) -> None:
        self._pipeline = pipeline
        self._orders = [_Order(_make_order(number)) for number in range(1, count + 1)]
        self._checks: list[Check] = []

    def carry_out(self) -> Ran:
        """Send the orders, wait for their ends, and check what is left."""
        for sku, available in _STOCK.items():
            self._pipeline.stock.put(sku, available)
        started = time.monotonic()
        with _live_table(self._table) as refresh:
            for order in self._orders:
                order.answer = str(self._pipeline.api.place(order.body).status)
                self._look()
                refresh()
            self._watch(refresh)
        took = time.monotonic() - started
        for _ in range(_REDRIVES):
            if self._pipeline.dead_letters.depths()["payments-dlq"]:
                self._redrive_payments()
        self._check(took)
        return Ran(
            orders=[
                Sent(
                    order_id=order.id,
                    http_status=int(order.answer),
                    payment=order.payment,
                    inventory=order.reservation,
                    status=order.status,
                    updates=list(order.updates),
                )
                for order in self._orders
            ],
            checks=self._checks,
            seconds=round(took, 1),
        )

    def _watch(self, refresh: Callable[[], None]) -> None:
        """Wait until every order has ended or is parked."""

        def all_ended_or_parked() -> bool:
            self._look()
            refresh()
            missing = sum(not order.ended for order in self._orders)
            return missing in (0, sum(self._pipeline.dead_letters.depths().values()))

        wait_until(
            all_ended_or_parked,
            patience_seconds=_PATIENCE_SECONDS,
            poll_seconds=_REFRESH_SECONDS,
        )

    def _look(self) -> None:
        ids = [order.id for order in self._orders]
        payments = self._pipeline.orders.payments(ids)
        reservations = self._pipeline.orders.reservations(ids)
        orders = self._pipeline.orders.find(ids)
        updates = self._pipeline.updates.take()
        for order in self._orders:
            if payment := payments.get(order.id):
                order.payment = describe_payment(payment)
            if reservation := reservations.get(order.id):
                order.reservation = reservation["state"]
            if tracked := orders.get(order.id):
                order.status = tracked["status"]
            order.updates += tuple(u["status"] for u in updates if u["order_id"] == order.id)

    def _redrive_payments(self) -> None:
        """Redrive parked payments, as an operator would."""
        parked = self._pipeline.dead_letters.depths()["payments-dlq"]
        with console.step(
            f"{parked} in payments-dlq after 3 attempts: waiting for the alarm",
            f"The alarm went off for {parked} parked payment(s)",
        ):
            self._wait_for(lambda: self._pipeline.alarms.states()["payments-dlq"] == "ALARM")
        with console.step("Redriving payments-dlq", "Redrove payments-dlq"):
            self._pipeline.dead_letters.queue("PaymentsDLQ").redrive()
            self._watch(lambda: None)

    def _check(self, took: float) -> None:
        orders = self._orders
        again = sum("try" in order.payment for order in orders)
        console.out().print()
        self._count("accepted with 202", [order.answer == "202" for order in orders])
        statuses = Counter(order.status for order in orders)
        self._count(
            f"ended: {_join(statuses)}"
            + (f"; {again} charged after a failed try" if again else ""),
            [order.status in ("confirmed", "cancelled") for order in orders],
        )
        self._count(
            "announced on order-updates.fifo: placed, then how it ended",
            [order.updates == ("placed", order.status) for order in orders],
        )
        self._audit()
        parked = {
            name: depth for name, depth in self._pipeline.dead_letters.depths().items() if depth
        }
        self._say(not parked, f"dead-letter queues: {_join(parked) or 'all empty'}")
        self._wait_for(lambda: not self._ringing())
        ringing = self._ringing()
        self._say(not ringing, f"alarms: {_join(ringing) or 'all OK'}")
        console.out().print(Text(f"\n{len(orders)} orders in {took:.1f} s.", style="dim"))

    def _count(self, what: str, holds: list[bool]) -> None:
        self._say(all(holds), f"{sum(holds)} of {len(holds)} orders {what}")

    def _audit(self) -> None:
        report = audit(self._pipeline)
        moving = report.in_flight + len(report.moving) + len(report.skus_moving)
        for finding in report.findings:
            self._say(False, f"{finding.subject}: {finding.kind}: {finding.says}")
        if not report.findings:
            judged = f"all {report.orders} orders and {report.skus} SKUs"
            what = f"{moving} of them still move" if moving else "the books balance"
            self._say(not moving, f"audit of {judged}: {what}")

    def _ringing(self) -> dict[str, str]:
        return {name: s for name, s in self._pipeline.alarms.states().items() if s == "ALARM"}

    def _wait_for(self, true: Callable[[], bool]) -> None:
        wait_until(true, patience_seconds=_ALARM_PATIENCE_SECONDS, poll_seconds=_REFRESH_SECONDS)

    def _say(self, holds: bool, what: str) -> None:
        self._checks.append(Check(holds=holds, what=what))
        mark = ("✓ ", "green") if holds else ("✗ ", "bold red")
        console.out().print(Text.assemble(mark, what))

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for name in ("order", "amount", "items", "API", "payment", "inventory", "status"):
            table.add_column(name, justify="right" if name == "amount" else "left", no_wrap=True)
        for order in self._orders:
            items = order.body.get("items", [])
            table.add_row(
                order.id,
                amount(order.body),
                ", ".join(f"{line['quantity']} {line['sku']}" for line in items) or "-",
                *map(_style, (order.answer, order.payment, order.reservation, order.status)),
            )
        return table


@contextmanager
def _live_table(table: Callable[[], Table]) -> Iterator[Callable[[], None]]:
    """Show a table that changes: in place in a terminal, at the end elsewhere.

    Yields:
        Shows the table as it now is.
    """
    console.out().print()
    if console.out().is_terminal:
        with console.live() as show:
            show(table())
            yield lambda: show(table())
    else:
        yield lambda: None
        console.out().print(table())


def describe_payment(payment: Mapping[str, Any]) -> str:
    """A payment's state, with the number of tries if it took more than one."""
    attempt = int(payment.get("attempt", 1))
    return str(payment["state"]) + (f" (try {attempt})" if attempt > 1 else "")


def _make_order(number: int) -> dict[str, Any]:
    """An order like those of the test scenarios; every second one asks for stock."""
    order: dict[str, Any] = {"order_id": f"order-{number}", "amount": random.randrange(1000)}  # noqa: S311
    order["currency"] = "USD"
    if number % 2 == 0:
        order["items"] = [
            {"sku": sku, "quantity": random.randint(1, 3)}  # noqa: S311
            for sku in random.sample(sorted(_STOCK), random.randint(1, 2))  # noqa: S311
        ]
    return order


def _style(text: str) -> Text:
    return Text(text, style=_STYLES.get(text.partition(" ")[0], "dim"))


def _join(things: Mapping[str, object]) -> str:
    return ", ".join(f"{what} {name}" for name, what in things.items())
