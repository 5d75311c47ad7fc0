"""One bad message of ten: what becomes of the other nine."""

from __future__ import annotations

import json
from typing import Any

import lab

MESSAGES: list[lab.Event | str] = [
    *(lab.order_placed(f"order-{n}") for n in range(1, 10)),
    "not JSON",
]


class NaivePayments:
    """Goes through the batch, and raises when something is wrong."""

    def __init__(self, processor: lab.CardProcessor) -> None:
        """Charge with this processor."""
        self.processor = processor

    def __call__(self, event: dict[str, Any], _context: object) -> None:
        """Handle one SQS event."""
        for record in event["Records"]:
            order = json.loads(record["body"])["detail"]
            self.processor.charge_anew(order["order_id"])


def show(name: str, processor: lab.CardProcessor, handler: lab.Handler) -> None:
    """Deliver the ten messages, and print what came of them."""
    queue = lab.Queue(MESSAGES)
    queue.deliver_all(handler)
    print(f"{name}: {len(processor.charges)} orders, {processor.charges.total()} charges, ", end="")
    print(f"{len(queue.parked)} of {len(MESSAGES)} messages in the dead-letter queue")


processor = lab.CardProcessor()
show("naive", processor, NaivePayments(processor))
processor = lab.CardProcessor()
show("ours ", processor, lab.payments(lab.tables(), processor, lab.bus().bus))
