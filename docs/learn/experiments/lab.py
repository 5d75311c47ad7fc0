"""A small world to try functions in: queues that deliver at least once, a bus, a card processor.

The tables are real: the local cloud's DynamoDB, in this process. What is delivered, and when, is
decided by the experiment, so that each run shows the same.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests")]

from simulation.template import topology  # noqa: E402 - after the path is set

for _function in topology().functions.values():
    os.environ |= _function.environment
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "API_AUTHORIZATION": "NONE",
    "RETRY_DELAY_SECONDS": "1",
}

from orders.aws import patience  # noqa: E402 - after the environment is set
from orders.aws.sqs import Retry  # noqa: E402
from orders.card_books import Booked  # noqa: E402
from orders.payments.handler import PaymentsProcessor  # noqa: E402
from orders.payments.ledger import Ledger  # noqa: E402
from orders.payments.provider import Charged, Declined  # noqa: E402
from orders.payments.tries import Tries  # noqa: E402
from support import aws  # noqa: E402
from support.lambdas import Context, event_of, order_cancelled, order_placed, sqs_event  # noqa: E402

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient

    from orders.aws.bus import Bus
    from orders.aws.sqs import BatchResponse

logging.disable()
__all__ = ["Context", "event_of", "order_cancelled", "order_placed", "sqs_event"]

# Nobody waits here.
vars(patience)["sleep"] = lambda _seconds: None

Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]

_WRITES = ("PutItem", "UpdateItem", "BatchExecuteStatement", "TransactWriteItems")
_SECOND = 2
MAX_RECEIVE_COUNT = 3
"""As in the template."""


def tables() -> DynamoDBClient:
    """A DynamoDB with the pipeline's tables, empty."""
    return aws.dynamodb()


def twice_at_once(client: DynamoDBClient, do: Callable[[], object]) -> None:
    """Do something; and once more when it is about to write to a table, if it ever does."""
    twin = before_the_first_write(client, do)
    do()
    twin()


def before_the_first_write(client: DynamoDBClient, do: Callable[[], object]) -> Callable[[], None]:
    """Have something happen when a function is about to write to a table, once.

    Returns:
        What has it happen now, if it has not happened yet.
    """
    line = aws.line(client)

    is_done = False

    def once(_arguments: object = None) -> None:
        nonlocal is_done
        if not is_done:
            is_done = True
            do()

    for operation in _WRITES:
        line.before(operation, once)
    return once


class _Death(BaseException):
    """A function's process ends."""


def die_at_the_second_write(
    table: DynamoDBClient, events: EventBridgeClient, do: Callable[[], object]
) -> None:
    """Have a function die when it is about to write the second time: to the table, or the bus."""
    writes = [0]

    def count(_arguments: object) -> None:
        writes[0] += 1
        if writes[0] == _SECOND:
            raise _Death

    for client, operation in ((table, "PutItem"), (events, "PutEvents")):
        aws.line(client).before(operation, count)
    with suppress(_Death):
        do()
    for client, operation in ((table, "PutItem"), (events, "PutEvents")):
        aws.line(client).forget(operation)


def bus() -> aws.TappedBus:
    """A bus; its `take()` gives what was published since the last time."""
    return aws.TappedBus()


def retry() -> Retry:
    """What sets a failed message's visibility timeout; an experiment's queue needs none."""
    client = aws.connect("sqs")
    url = client.create_queue(QueueName="queue")["QueueUrl"]
    return Retry(lambda: client, url, 1)


def payments(client: DynamoDBClient, processor: CardProcessor, bus: Bus) -> PaymentsProcessor:
    """Our function, in this world."""
    tries = Tries(least=20, failed_share=0.8, pause=timedelta(seconds=60))
    return PaymentsProcessor(Ledger(client, "payments"), processor, bus, retry(), tries)


def quietly(handler: Handler, event: Event) -> Any:  # noqa: ANN401 - any response
    """Invoke a function, and leave out its log."""
    with redirect_stdout(io.StringIO()):
        return handler(event, Context())


@dataclass
class CardProcessor:
    """A card processor that keeps books: what each key was charged, and how often."""

    charges: Counter[str] = field(default_factory=Counter)
    refused: set[str] = field(default_factory=set)

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged | Declined:
        """Charge a key once, however often it asks."""
        del amount, currency
        if idempotency_key in self.refused:
            return Declined("cancelled")
        self.charges[idempotency_key] = 1
        return Charged(f"ch_{idempotency_key}")

    def charge_anew(self, order_id: str) -> None:
        """Charge without a key, as a call to a processor that was given none does."""
        self.charges[order_id] += 1

    def cancel(self, idempotency_key: str) -> None:
        """Give back what was charged, and refuse the key from now on."""
        self.charges.pop(idempotency_key, None)
        self.refused.add(idempotency_key)

    def find(self, idempotency_key: str) -> Booked:
        """What is booked under a key."""
        return Booked(net=Decimal(1) if self.charges[idempotency_key] else None)


class Queue:
    """An SQS queue as Lambda reads it: in batches, and again what was not done."""

    def __init__(self, bodies: Iterable[Event | str]) -> None:
        """Put messages on it."""
        self._waiting = [
            (body if isinstance(body, str) else json.dumps(body), 0) for body in bodies
        ]
        self.parked: list[str] = []

    def deliver_all(self, handler: Handler, *, batch_size: int = 10) -> int:
        """Hand batches to a function until the queue is empty; returns how often it was invoked.

        After its third receive, a message that failed is parked.
        """
        invocations = 0
        while self._waiting:
            invocations += 1
            batch, self._waiting = self._waiting[:batch_size], self._waiting[batch_size:]
            for number in sorted(self._invoke(handler, [body for body, _ in batch])):
                body, receives = batch[number][0], batch[number][1] + 1
                if receives == MAX_RECEIVE_COUNT:
                    self.parked.append(body)
                else:
                    self._waiting.append((body, receives))
        return invocations

    def _invoke(self, handler: Handler, bodies: list[str]) -> set[int]:
        """Invoke the function; returns which messages failed: all of them if it raised."""
        try:
            response: BatchResponse | None = quietly(handler, sqs_event(*bodies))
        except Exception:  # whatever a function raises fails its batch
            return set(range(len(bodies)))
        failures = response["batchItemFailures"] if response else []
        return {int(failure["itemIdentifier"].removeprefix("m")) for failure in failures}
