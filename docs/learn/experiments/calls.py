"""The AWS calls of payments, by the number of orders in its batch."""

from __future__ import annotations

import lab

from support import aws

SIZES = (1, 2, 5, 10)


def count_calls(size: int) -> int:
    """The calls that payments makes for a batch of orders."""
    client, bus = lab.tables(), lab.bus()
    handler = lab.payments(client, lab.CardProcessor(), bus.bus)
    lines = [aws.line(client), aws.line(bus.client)]
    for line in lines:
        line.calls.clear()
    lab.quietly(handler, lab.sqs_event(*(lab.order_placed(f"order-{n}") for n in range(size))))
    return sum(len(line.calls) for line in lines)


print("orders in a batch   AWS calls   AWS calls an order")
for size in SIZES:
    calls = count_calls(size)
    print(f"{size:>17}{calls:>12}{calls / size:>21.1f}")
