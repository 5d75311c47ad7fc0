"""`orderctl submit`: one order, a file of orders, or a stream of them at a rate."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from orderctl import console, order_files, paths
from orderctl.commands.connection import connected, print_json
from orderctl.errors import OrderctlError
from orderctl.order_files import Outgoing, outgoing
from orderctl.sender import Latencies, Result, Sender, Sent, latencies
from orders.order_api.validation import InvalidOrderError

# Without a rate: enough to keep a pipeline busy without being a load test.
_AT_ONCE = 8
# With a rate, as many as it takes, up to what one machine can serve.
_AT_ONCE_FOR_A_RATE = 256
_PATIENCE_AFTER_CTRL_C_SECONDS = 3.0
_SHOWN_REFUSALS = 10
_RANDOM_AMOUNT_BELOW = 1000
_MILLISECONDS = 1000


class NotTakenError(OrderctlError):
    """Not every order was taken."""


class NoOrderError(OrderctlError):
    """What was typed is no order, or no file of orders."""


def one(fields: Mapping[str, Any], as_json: bool) -> None:
    """Submit one order.

    Args:
        fields: what the API's body has.
        as_json: whether to print JSON.

    Raises:
        NoOrderError: they are no order.
        NotTakenError: the API did not take it.
    """
    try:
        order = outgoing(dict(fields))
    except InvalidOrderError as error:
        raise _no_order(error) from error
    result = _send([order], 1, None, as_json)
    (sent,) = result.sent
    if as_json:
        print_json(_facts(result, 1))
    if sent.reply is None:
        raise NotTakenError(
            f"Whether {order.order_id} was taken is open: {sent.why}.\n"
            f"Send it again with --id {order.order_id}: it takes effect once."
        )
    if not sent.taken:
        raise NotTakenError(f"{order.order_id} was not taken. {sent.why}")
    if not as_json:
        console.out().print(console.text(f"Taken: {order.order_id}"))
        if sys.stdout.isatty():
            console.note(f"How it ends: {paths.orderctl()} order {order.order_id}")


def file(path: str, rate: float | None, as_json: bool) -> None:
    """Submit the orders of a file; nothing is sent when one of them is faulty.

    Args:
        path: the file, or - for standard input.
        rate: how many a second; None for as fast as they are answered.
        as_json: whether to print JSON.

    Raises:
        NoOrderError: it cannot be read.
        BadOrdersError: it has faults.
        NotTakenError: the API did not take all of them.
    """
    orders = order_files.read(_text(path), "standard input" if path == "-" else path)
    _report(_send(orders, len(orders), rate, as_json), len(orders), as_json)


def generated(count: int, rate: float | None, fields: Mapping[str, Any], as_json: bool) -> None:
    """Submit made-up orders.

    Args:
        count: how many.
        rate: how many a second; None for as fast as they are answered.
        fields: what all of them have; the amount is random unless it is in here.
        as_json: whether to print JSON.

    Raises:
        NoOrderError: the fields are no order's.
        NotTakenError: the API did not take all of them.
    """
    try:
        outgoing(_made_up(fields, "load"))
    except InvalidOrderError as error:
        raise _no_order(error) from error
    run = f"load-{secrets.token_hex(3)}"
    orders = (outgoing(_made_up(fields, f"{run}-{number}")) for number in range(1, count + 1))
    _report(_send(orders, count, rate, as_json), count, as_json)


def _no_order(error: InvalidOrderError) -> NoOrderError:
    return NoOrderError("\n  ".join(["Nothing was sent.", *map(order_files.told, error.faults)]))


def _made_up(fields: Mapping[str, Any], order_id: str) -> dict[str, Any]:
    amount = random.randrange(_RANDOM_AMOUNT_BELOW)  # noqa: S311
    return {"order_id": order_id, "amount": amount, **fields}


def _text(path: str) -> str:
    try:
        if path == "-":
            if sys.stdin.isatty():
                console.note("Reading orders from the terminal: one JSON object a line, then ^D.")
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NoOrderError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise NoOrderError(f"{path} is not UTF-8 text: {error.reason}.") from error


def _send(orders: Iterable[Outgoing], count: int, rate: float | None, as_json: bool) -> Result:
    """Send orders; what was done is shown even when it is broken off by Ctrl-C."""
    result = Result(rate)
    at_once = _AT_ONCE_FOR_A_RATE if rate else _AT_ONCE
    with connected() as pipeline:
        sender = Sender(pipeline.api_client(at_once).place, at_once)
        try:
            with _progress(count, shown=count > 1 and not as_json) as advance:
                sender.send(orders, result, advance)
        except BaseException:  # Ctrl-C is none of Exception
            sender.break_off(result, _PATIENCE_AFTER_CTRL_C_SECONDS)
            _show(result, count, as_json)
            raise
    return result


@contextmanager
def _progress(count: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Show in a terminal how far it is; elsewhere the end is enough."""
    if not shown or not console.out().is_terminal:
        yield lambda: None
        return
    bar = console.bar(
        TextColumn("Sending"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with bar:
        task = bar.add_task("", total=count)
        yield lambda: bar.advance(task)


def _report(result: Result, count: int, as_json: bool) -> None:
    _show(result, count, as_json)
    refused = [sent for sent in result.sent if not sent.taken]
    if refused:
        refused.sort(key=lambda sent: sent.began)
        lines = [_told(sent) for sent in refused[:_SHOWN_REFUSALS]]
        if more := len(refused) - len(lines):
            lines.append(f"… and {more} more; --json lists them all")
        orders = "1 order was" if len(refused) == 1 else f"{len(refused)} orders were"
        unsure = any(sent.reply is None for sent in refused)
        open_ = " Without an answer an order may have been taken all the same." * unsure
        raise NotTakenError("\n  ".join([f"{orders} not taken.{open_}", *lines]))


def _told(sent: Sent) -> str:
    where = f"{sent.order.where}, " if sent.order.where else ""
    return f"{where}{sent.order.order_id}: {sent.why}"


def _show(result: Result, count: int, as_json: bool) -> None:
    if as_json:
        print_json(_facts(result, count))
        return
    complete = result.taken == count
    mark = ("✓ ", "green") if complete else ("✗ ", "bold red")
    line = f"{result.taken} of {count} orders taken in {result.seconds:.1f} s"
    again = sum(len(sent.tries) > 1 for sent in result.sent)
    facts = [
        f"{again} sent again after a 503 or the like" if again else "",
        f"{result.open} without an answer yet" if result.open else "",
        f"{count - len(result.sent) - result.open} not sent"
        if count > len(result.sent) + result.open
        else "",
    ]
    console.out().print(Text.assemble(mark, "; ".join([line, *filter(None, facts)])))
    if text := rate_told(result):
        console.out().print(Text(f"  {text}", style="" if result.rate_was_kept else "yellow"))
    if result.sent:
        console.out().print()
        header = ("answer", "calls", "p50", "p95", "p99", "max")
        console.table(
            header, [_row(answer, each) for answer, each in latencies(result.sent).items()]
        )


def rate_told(result: Result) -> str:
    """What to say of the rate: how it was, and whether it was what was asked for."""
    achieved = result.achieved_rate
    if result.rate is None or achieved is None:
        return ""
    answered = len(result.sent) / result.seconds
    if result.rate_was_kept:
        slower = f"; answered at {answered:.1f} a second" if answered < result.rate / 2 else ""
        return f"sent at {achieved:.1f} a second, as asked{slower}"
    return (
        f"{achieved:.1f} a second: the {result.rate:g} asked for could not be kept. The API took "
        "too long to answer, or this machine was too busy to send; the latencies are those of "
        "the lower rate"
    )


def _row(answer: str, each: Latencies) -> Sequence[str]:
    times = (each.p50, each.p95, each.p99, each.max)
    return (answer, str(each.count), *(f"{seconds * _MILLISECONDS:.0f} ms" for seconds in times))


def _facts(result: Result, count: int) -> dict[str, Any]:
    """The result for a script."""
    return {
        "taken": result.taken,
        "not_taken": len(result.sent) - result.taken,
        "without_answer": result.open,
        "not_sent": count - len(result.sent) - result.open,
        "seconds": round(result.seconds, 3),
        "rate": result.rate,
        "achieved_rate": result.achieved_rate and round(result.achieved_rate, 2),
        "rate_was_kept": result.rate_was_kept,
        "latency_ms": {
            answer: {
                "calls": each.count,
                **{
                    name: round(getattr(each, name) * _MILLISECONDS, 1)
                    for name in ("p50", "p95", "p99", "max")
                },
            }
            for answer, each in latencies(result.sent).items()
        },
        "orders": [
            {
                "order_id": sent.order.order_id,
                "status": sent.reply.status if sent.reply else None,
                "tries": len(sent.tries),
                **({"where": sent.order.where} if sent.order.where else {}),
                **({"why": sent.why} if sent.why else {}),
            }
            for sent in sorted(result.sent, key=lambda sent: sent.began)
        ],
    }
