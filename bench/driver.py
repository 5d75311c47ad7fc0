"""Makes the AWS calls of whole orders, one after the other, with no function in between.

The handlers run here, in the caller's process: so the emulator is asked for all that an order
takes and for nothing else, neither invocations nor the API. `bench.local` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import boto3

from bench import workload
from orders.inventory import handler as inventory
from orders.notifications import handler as notifications
from orders.order_api import handler as order_api
from orders.payments import handler as payments
from orders.tracker import handler as tracker

_BATCH: Final = 10

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass
class _Context:
    aws_request_id: str = "driver"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


@dataclass
class _Driver:
    """What Lambda and the reader of the updates do, one step after the other."""

    client: Any
    calls: int = 0

    def take_orders_to_their_ends(self) -> None:
        """Place ten orders, and do as much of everything as ten orders need."""
        context = _Context()
        group = workload.orders(_BATCH)
        for request in workload.requests(group):
            order_api.handler(request, context)
        self._consume(os.environ["PAYMENTS_QUEUE_URL"], payments.handler, 1)
        self._consume(os.environ["INVENTORY_QUEUE_URL"], inventory.handler, 1)
        self._consume(os.environ["OUTCOMES_QUEUE_URL"], tracker.handler, 2)
        for event in workload.milestones(group):
            notifications.handler(event, context)
        self._consume(os.environ["UPDATES_QUEUE_URL"], lambda event, context: None, 2)

    def _consume(self, queue_url: str, handler: Handler, batches: int) -> None:
        for _ in range(batches):
            messages = self.client.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=_BATCH,
                AttributeNames=["ApproximateReceiveCount"],
            ).get("Messages", [])
            if messages:
                handler({"Records": [_record(message) for message in messages]}, _Context())
                self.client.delete_message_batch(QueueUrl=queue_url, Entries=_entries(messages))


def _record(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
    }


def _entries(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
        for number, message in enumerate(messages)
    ]


def _count(driver: _Driver) -> None:
    """Have every call of the handlers and of the driver counted."""
    clients: list[Any] = [
        driver.client,
        order_api.handler.orders.client,
        order_api.handler.bus.client,
        payments.handler.ledger.client,
        payments.handler.bus.client,
        inventory.handler.reservations.client,
        inventory.handler.bus.client,
        tracker.handler.orders.client,
        tracker.handler.bus.client,
        notifications.handler.client,
    ]

    def called(**_: object) -> None:
        driver.calls += 1

    for client in clients:
        client.meta.events.register("before-call", called)


def main() -> None:
    """Work for so many seconds, and tell what was done."""
    results, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: PTH123, SIM115 - the log lines
    driver = _Driver(boto3.client("sqs"))
    driver.take_orders_to_their_ends()  # connections are made
    _count(driver)
    seconds, done = float(sys.argv[1]), 0
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        driver.take_orders_to_their_ends()
        done += _BATCH
    took = time.monotonic() - started
    results.write(json.dumps({"orders": done, "seconds": took, "calls": driver.calls}))


if __name__ == "__main__":
    main()
