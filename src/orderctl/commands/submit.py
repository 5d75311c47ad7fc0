"""`orderctl submit`: sends one order, a file of orders, or made-up orders as a load."""

from __future__ import annotations

import random
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter, validators
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from orderctl import paths
from orderctl.commands import ORDERS, app
from orderctl.errors import OrderctlError, UsageError
from orderctl.pipeline import order_files, reading
from orderctl.pipeline.endings import Endings
from orderctl.pipeline.order_files import Outgoing, prepare
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.sender import Latencies, Result, Sender, Sent, latencies
from orderctl.terminal import console
from orderctl.terminal.connection import connect
from orderctl.terminal.options import Json, Target
from orderctl.terminal.results import Document
from orders.order_api.validation import InvalidOrderError

# Without a rate: enough to keep a pipeline busy without being a load test.
_AT_ONCE = 8
# With a rate, as many as it takes, up to what one machine can serve.
_AT_ONCE_FOR_A_RATE = 256
_PATIENCE_AFTER_CTRL_C_SECONDS = 3.0
_SHOWN_REFUSALS = 10
_POLL_SECONDS = 0.5
_NONE_ENDS_SECONDS = 60.0
_RANDOM_AMOUNT_BELOW = 1000
_MILLISECONDS = 1000


class Answered(msgspec.Struct, kw_only=True):
    """How long the calls with one answer took, in milliseconds.

    Attributes:
        calls: How many there were.
        p50: Half of them took this long at most.
        p95: 95 % of them took this long at most.
        p99: 99 % of them took this long at most.
        max: The slowest took this long.
    """

    calls: int
    p50: float
    p95: float
    p99: float
    max: float


class Sending(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An order that was sent.

    Attributes:
        order_id: Its id.
        status: The API's last answer; null when there was none.
        tries: How often it was sent.
        where: Its place in the file.
        why: Why it was not accepted.
    """

    order_id: str
    status: int | None
    tries: int
    where: str | msgspec.UnsetType = msgspec.UNSET
    why: str | msgspec.UnsetType = msgspec.UNSET


class Submitted(msgspec.Struct, kw_only=True):
    """What became of orders that were sent.

    Attributes:
        taken: How many were accepted.
        not_taken: How many were answered, but not accepted.
        without_answer: How many had no answer yet when it was interrupted.
        not_sent: How many were not sent any more.
        seconds: How long it took.
        rate: The rate that was asked for, in orders a second; null without one.
        achieved_rate: The rate that was achieved; null when there is none to tell.
        rate_was_kept: Whether it is the one that was asked for.
        latency_ms: How long the calls took, by answer.
        ends: How many orders ended, by how, with --wait; null without it.
        not_ended: How many had not ended, with --wait; null without it.
        orders: Each order that was sent.
    """

    taken: int
    not_taken: int
    without_answer: int
    not_sent: int
    seconds: float
    rate: float | None
    achieved_rate: float | None
    rate_was_kept: bool
    latency_ms: dict[str, Answered]
    ends: dict[str, int] | None
    not_ended: int | None
    orders: list[Sending]


_JSON = Document(Submitted)


@app.command(
    group=ORDERS,
    help_epilogue="Examples:\n\n"
    "orderctl submit --amount 12.50 --item mug=2\n\n"
    "orderctl submit orders.jsonl\n\n"
    "orderctl submit --count 1000 --rate 50",
)
@_JSON.of_command
def submit(
    file: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    amount: Annotated[str | None, Parameter(metavar="N")] = None,
    currency: Annotated[str | None, Parameter(metavar="CODE")] = None,
    item: Annotated[tuple[str, ...], Parameter(metavar="SKU[=N]")] = (),
    order_id: Annotated[str | None, Parameter(name="--id", metavar="ORDER_ID")] = None,
    customer: Annotated[str | None, Parameter(metavar="ID")] = None,
    count: Annotated[
        int | None, Parameter(metavar="N", validator=validators.Number(gte=1, lte=1_000_000))
    ] = None,
    rate: Annotated[
        float | None, Parameter(metavar="R", validator=validators.Number(gte=0.01, lte=2000))
    ] = None,
    wait: bool = False,
    as_json: Json = False,
    target: Target = Target(),
) -> None:
    """Submit one order, a file of orders, or made-up orders as a load.

    Exits with 0 only if all orders were accepted. An order that gets no answer, or a 503 or the
    like, is sent again up to 3 times with the same order id, so it takes effect once.

    With --wait it also shows how the orders ended, and exits with 0 only if all have: confirmed, or
    cancelled for the reason that is shown. It gives up when no order has ended for a minute. Ctrl-C
    shows what was done so far.

    Args:
        file: A file of orders: one JSON object per line, one JSON array, or CSV with the columns
            order_id, amount, currency, customer_id, items (mug=2, tea=1); - is standard input. If
            one order is invalid, none is sent.
        amount: The order's amount, such as 12.50.
        currency: An ISO 4217 code. [default: USD]
        item: A SKU and its quantity, as SKU or SKU=N; repeatable.
        order_id: The order's id. [default: a new one]
        customer: The customer's id.
        count: Make up N orders; their amounts are random unless given.
        rate: Send R orders per second. [default: 8 at once, as fast as they are answered]
        wait: Wait until the orders have ended, and show how.
        as_json: Print JSON instead.
        target: Which stack.

    Raises:
        UsageError: The options cannot be combined.
        OrderctlError: An order is invalid, the file cannot be read, or the API did not accept
            all orders.
    """
    fields = {
        "order_id": order_id,
        "amount": None if amount is None else _parse_decimal(amount),
        "currency": currency,
        "customer_id": customer,
        "items": [_parse_item(text) for text in item] if item else None,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    sending = _Sending(target, rate, wait, as_json)
    if file is not None:
        if given or count:
            raise UsageError(
                "A FILE cannot be combined with --count or with the options of a single order."
            )
        _submit_file(file, sending)
    elif count is not None:
        if order_id is not None:
            raise UsageError("--id cannot be combined with --count.")
        _submit_made_up(count, given, sending)
    elif rate is not None:
        raise UsageError("--rate needs --count or a FILE.")
    elif amount is None:
        raise UsageError(
            "Give the --amount of an order, a FILE of orders, or a --count of made-up orders."
        )
    else:
        _submit_one(given, sending)


@dataclass(frozen=True, slots=True)
class _Sending:
    """Where orders are sent, how fast, and how that is shown."""

    target: Target
    rate: float | None
    wait: bool
    as_json: bool


@dataclass(slots=True)
class _Done:
    """What was done so far."""

    result: Result
    count: int
    """How many orders there are to send."""
    endings: Endings | None = None
    """How they ended, if that was waited for."""


def _submit_one(fields: Mapping[str, Any], sending: _Sending) -> None:
    try:
        order = prepare(dict(fields))
    except InvalidOrderError as error:
        raise _invalid_order(error) from error
    done = _send([order], 1, sending)
    (sent,) = done.result.sent
    if sending.as_json:
        _JSON.show(_facts(done))
    if sent.reply is None:
        raise OrderctlError(
            f"It is unknown whether {order.order_id} was accepted: {sent.why}.\n"
            f"Send it again with --id {order.order_id}: it takes effect only once."
        )
    if not sent.taken:
        raise OrderctlError(f"{order.order_id} was not accepted. {sent.why}")
    if not sending.as_json:
        console.out().print(console.text(f"Accepted: {order.order_id}"))
        if done.endings:
            _show_end(order.order_id, done.endings)
        elif sys.stdout.isatty():
            console.note(f"To see how it ends: {paths.orderctl()} order {order.order_id} --watch")
    _check_ended(done)


def _show_end(order_id: str, endings: Endings) -> None:
    order = endings.ended.get(order_id)
    if order:
        words = [reading.to_text(order.get(name) or "") for name in ("status", "reason")]
        console.out().print(console.text(f"Ended: {': '.join(filter(None, words))}"))


def _submit_file(path: str, sending: _Sending) -> None:
    """Submit the orders of a file; if one is invalid, none is sent."""
    orders = order_files.read(_read_text(path), "standard input" if path == "-" else path)
    _report(_send(orders, len(orders), sending), sending.as_json)


def _submit_made_up(count: int, fields: Mapping[str, Any], sending: _Sending) -> None:
    """Submit made-up orders; the amount is random unless it is among the fields."""
    try:
        prepare(_make_up(fields, "load"))
    except InvalidOrderError as error:
        raise _invalid_order(error) from error
    run = f"load-{secrets.token_hex(3)}"
    orders = (prepare(_make_up(fields, f"{run}-{number}")) for number in range(1, count + 1))
    _report(_send(orders, count, sending), sending.as_json)


def _parse_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise UsageError(f"--amount {text!r} is not a number.") from None


def _parse_item(text: str) -> dict[str, Any]:
    """An order's line from a value of --item."""
    sku, equals, number = text.rpartition("=")
    if not equals:
        return {"sku": text, "quantity": 1}
    try:
        return {"sku": sku, "quantity": int(number)}
    except ValueError:
        raise UsageError(f"--item {text!r} is not of the form SKU=N.") from None


def _invalid_order(error: InvalidOrderError) -> OrderctlError:
    return OrderctlError(
        "\n  ".join(["Nothing was sent.", *map(order_files.describe_fault, error.faults)])
    )


def _make_up(fields: Mapping[str, Any], order_id: str) -> dict[str, Any]:
    amount = random.randrange(_RANDOM_AMOUNT_BELOW)  # noqa: S311
    return {"order_id": order_id, "amount": amount, **fields}


def _read_text(path: str) -> str:
    try:
        if path == "-":
            if sys.stdin.isatty():
                console.note(
                    "Reading orders from the terminal, as JSON lines or CSV; end them with ^D."
                )
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OrderctlError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise OrderctlError(f"{path} is not UTF-8 text: {error.reason}.") from error


def _send(orders: Iterable[Outgoing], count: int, sending: _Sending) -> _Done:
    """Send orders, and wait for their ends if that is wanted; Ctrl-C shows what was done so far."""
    done = _Done(Result(sending.rate), count)
    at_once = _AT_ONCE_FOR_A_RATE if sending.rate else _AT_ONCE
    shown = count > 1 and not sending.as_json
    with connect(sending.target, changes=True) as pipeline:
        sender = Sender(pipeline.api_client(at_once).post, at_once)
        try:
            with _progress("Sending", count, shown=shown) as advance:
                sender.send(orders, done.result, lambda: advance(1))
            if sending.wait:
                _await_ends(pipeline, done, shown=shown)
        except BaseException:  # Ctrl-C too, which is no Exception
            sender.break_off(done.result, _PATIENCE_AFTER_CTRL_C_SECONDS)
            _show(done, sending.as_json)
            raise
    return done


def _await_ends(pipeline: Pipeline, done: _Done, *, shown: bool) -> None:
    """Wait until the accepted orders have ended, or none has for a while."""
    taken = [sent.order.order_id for sent in done.result.sent if sent.taken]
    endings = done.endings = Endings(pipeline.orders, taken)
    with _progress("Ending", len(taken), shown=shown) as advance:
        last_end = time.monotonic()
        while endings.open and time.monotonic() - last_end < _NONE_ENDS_SECONDS:
            if new := endings.look():
                last_end = time.monotonic()
                advance(new)
            if endings.open:
                time.sleep(_POLL_SECONDS)


@contextmanager
def _progress(what: str, count: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show the progress in a terminal; elsewhere nothing."""
    if not shown or not console.out().is_terminal:
        yield lambda _more: None
        return
    bar = console.bar(
        TextColumn(what),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with bar:
        task = bar.add_task("", total=count)
        yield lambda more: bar.advance(task, more)


def _report(done: _Done, as_json: bool) -> None:
    _show(done, as_json)
    refused = [sent for sent in done.result.sent if not sent.taken]
    if refused:
        refused.sort(key=lambda sent: sent.began)
        lines = [_describe(sent) for sent in refused[:_SHOWN_REFUSALS]]
        if more := len(refused) - len(lines):
            lines.append(f"… and {more} more; --json lists them all")
        orders = "1 order was" if len(refused) == 1 else f"{len(refused)} orders were"
        unsure = any(sent.reply is None for sent in refused)
        hint = " An order without an answer may have been accepted all the same." * unsure
        raise OrderctlError("\n  ".join([f"{orders} not accepted.{hint}", *lines]))
    _check_ended(done)


def _check_ended(done: _Done) -> None:
    if done.endings and (left := len(done.endings.open)):
        what = "1 order has" if left == 1 else f"{left} orders have"
        raise OrderctlError(
            f"{what} not ended, and none has for a minute. What they wait for: "
            f"{paths.orderctl()} orders"
        )


def _describe(sent: Sent) -> str:
    where = f"{sent.order.where}, " if sent.order.where else ""
    return f"{where}{sent.order.order_id}: {sent.why}"


def _show(done: _Done, as_json: bool) -> None:
    if as_json:
        _JSON.show(_facts(done))
        return
    result, count = done.result, done.count
    complete = result.taken == count
    mark = ("✓ ", "green") if complete else ("✗ ", "bold red")
    line = f"{result.taken} of {count} orders accepted in {result.seconds:.1f} s"
    again = sum(len(sent.tries) > 1 for sent in result.sent)
    facts = [
        f"{again} sent again after a 503 or the like" if again else "",
        f"{result.open} without an answer yet" if result.open else "",
        f"{count - len(result.sent) - result.open} not sent"
        if count > len(result.sent) + result.open
        else "",
    ]
    console.out().print(Text.assemble(mark, "; ".join([line, *filter(None, facts)])))
    if text := describe_rate(result):
        console.out().print(Text(f"  {text}", style="" if result.rate_was_kept else "yellow"))
    if result.sent:
        console.out().print()
        header = ("answer", "calls", "p50", "p95", "p99", "max")
        console.table(
            header, [_row(answer, each) for answer, each in latencies(result.sent).items()]
        )
    if done.endings:
        _show_ends(done.endings)


def _show_ends(endings: Endings) -> None:
    rows = [*endings.counts(), *([("not ended", len(endings.open))] if endings.open else [])]
    console.out().print()
    console.table(("orders", "end"), [(str(count), end) for end, count in rows])
    if seconds := endings.seconds():
        took = Latencies.of(seconds)
        console.out().print(
            Text(
                f"From placed to the end: p50 {_length(took.p50)}, p95 {_length(took.p95)}, "
                f"max {_length(took.max)}",
                style="dim",
            )
        )


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * _MILLISECONDS:.0f} ms"


def describe_rate(result: Result) -> str:
    """The achieved rate, and whether it is the one that was asked for."""
    achieved = result.achieved_rate
    if result.rate is None or achieved is None:
        return ""
    answered = len(result.sent) / result.seconds
    if result.rate_was_kept:
        slower = f"; answered at {answered:.1f} per second" if answered < result.rate / 2 else ""
        return f"sent at {achieved:.1f} per second, as requested{slower}"
    return (
        f"sent at {achieved:.1f} per second: the requested {result.rate:g} could not be kept. The "
        "API took too long to answer, or this machine was too busy to send. The latencies are "
        "those of the lower rate"
    )


def _row(answer: str, each: Latencies) -> Sequence[str]:
    times = (each.p50, each.p95, each.p99, each.max)
    return (answer, str(each.count), *(f"{seconds * _MILLISECONDS:.0f} ms" for seconds in times))


def _facts(done: _Done) -> Submitted:
    """The result for a script."""
    result, count, endings = done.result, done.count, done.endings
    return Submitted(
        taken=result.taken,
        not_taken=len(result.sent) - result.taken,
        without_answer=result.open,
        not_sent=count - len(result.sent) - result.open,
        seconds=round(result.seconds, 3),
        rate=result.rate,
        achieved_rate=result.achieved_rate and round(result.achieved_rate, 2),
        rate_was_kept=result.rate_was_kept,
        latency_ms={
            answer: Answered(
                calls=each.count,
                p50=round(each.p50 * _MILLISECONDS, 1),
                p95=round(each.p95 * _MILLISECONDS, 1),
                p99=round(each.p99 * _MILLISECONDS, 1),
                max=round(each.max * _MILLISECONDS, 1),
            )
            for answer, each in latencies(result.sent).items()
        },
        ends=None if endings is None else dict(endings.counts()),
        not_ended=None if endings is None else len(endings.open),
        orders=[
            Sending(
                order_id=sent.order.order_id,
                status=sent.reply.status if sent.reply else None,
                tries=len(sent.tries),
                where=sent.order.where or msgspec.UNSET,
                why=sent.why or msgspec.UNSET,
            )
            for sent in sorted(result.sent, key=lambda sent: sent.began)
        ],
    )
