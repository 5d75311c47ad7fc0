"""Makes the AWS calls of whole orders, one after the other, with no function in between.

The handlers run here, in the caller's process: so the emulator is asked for all that an order
takes and for nothing else, neither invocations nor the API. `bench.local` starts it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench import workload
from orders.aws import clients
from orders.aws.wire.connection import Answer, Request, Transport
from orders.inventory import handler as inventory
from orders.notifications import handler as notifications
from orders.order_api import handler as order_api
from orders.payments import handler as payments
from orders.tracker import handler as tracker

_GROUP: Final = 10
"""How many orders are taken to their ends at a time."""
_READ_AT_ONCE: Final = 10

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
    fill: int
    """How many messages a batch of the functions holds."""
    calls: int = 0

    def take_orders_to_their_ends(self) -> None:
        """Place some orders, and do as much of everything as so many orders need."""
        context = _Context()
        group = workload.orders(_GROUP)
        for request in workload.requests(group):
            order_api.handler(request, context)
        for event in workload.placed_events(group):
            notifications.handler(event, context)
        self._consume("PAYMENTS_QUEUE_URL", payments.handler, _GROUP, self.fill)
        self._consume("INVENTORY_QUEUE_URL", inventory.handler, _GROUP, self.fill)
        self._consume("OUTCOMES_QUEUE_URL", tracker.handler, 2 * _GROUP, self.fill)
        for event in workload.confirmed_events(group):
            notifications.handler(event, context)
        self._consume("UPDATES_QUEUE_URL", lambda *_: None, 2 * _GROUP, _READ_AT_ONCE)

    def _consume(self, queue: str, handler: Handler, messages: int, at_once: int) -> None:
        queue_url = os.environ[queue]
        for _ in range(math.ceil(messages / at_once)):
            received = self.client.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=at_once,
                AttributeNames=["ApproximateReceiveCount"],
            ).get("Messages", [])
            if received:
                handler({"Records": [_record(message) for message in received]}, _Context())
                self.client.delete_message_batch(QueueUrl=queue_url, Entries=_entries(received))


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


@dataclass
class _Counted:
    """Counts what goes over a client's connection."""

    carrier: Transport
    driver: _Driver

    def exchange(self, request: Request) -> Answer:
        self.driver.calls += 1
        return self.carrier.exchange(request)


def _count(driver: _Driver) -> None:
    """Have every call of the handlers and of the driver counted; their clients are lean ones."""
    counted: list[Any] = [
        driver.client,
        order_api.handler.orders.client,
        order_api.handler.bus.client,
        payments.handler.ledger.client,
        payments.handler.bus.client,
        inventory.handler.reservations.client,
        inventory.handler.bus.client,
        tracker.handler.orders.client,
        tracker.handler.bus.client,
        notifications.handler.orders.client,
        notifications.handler.client,
    ]

    for client in counted:
        client.transport = _Counted(client.transport, driver)


def main() -> None:
    """Work for some seconds with batches of a given size, and report what was done."""
    results, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: PTH123, SIM115 - the log lines
    driver = _Driver(clients.make("sqs"), fill=int(sys.argv[2]))
    driver.take_orders_to_their_ends()  # connections are made
    _count(driver)
    seconds, done = float(sys.argv[1]), 0
    started, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - started < seconds:
        driver.take_orders_to_their_ends()
        done += _GROUP
    took, cpu = time.monotonic() - started, time.process_time() - cpu
    work = {"orders": done, "seconds": took, "calls": driver.calls, "cpu": cpu}
    results.write(json.dumps(work))


if __name__ == "__main__":
    main()
