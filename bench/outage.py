"""`make outage`: an outage of the card processor in virtual time, with the real handlers.

Payments, the circuit breaker and the caretaker are the real ones; the queues, the tables, the bus
and Lambda are played, as far as these three look at them. An order ends here when its payment is
on record: inventory and the tracker have no part in an outage of the card processor.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import json
import math
import os
import random
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, cast

from cyclopts import App

from bench.setting import BY_NAME, OURS, environment
from bench.timeline import BEGINNING, Timeline
from orderctl.deploying import Template
from orderctl.terminal import console
from orders.card_books import Booked

_DEFAULTS: Final = Template.load().defaults()
# The rooms are imported with their environment, as Lambda does.
os.environ |= environment(BY_NAME["circuit-breaker"], OURS) | {"POWERTOOLS_LOG_LEVEL": "ERROR"}

from orders.aws import telemetry  # noqa: E402
from orders.aws.bus import Bus  # noqa: E402
from orders.aws.order_table import OrderTable  # noqa: E402
from orders.aws.sqs import Retry  # noqa: E402
from orders.caretaker.decisions import Settings  # noqa: E402
from orders.caretaker.handler import Caretaker  # noqa: E402
from orders.caretaker.parked import DeadLetterQueue  # noqa: E402
from orders.circuit_breaker.circuits import Circuits  # noqa: E402
from orders.circuit_breaker.consumer import Consumer  # noqa: E402
from orders.circuit_breaker.handler import CircuitBreaker  # noqa: E402
from orders.clock import timestamp  # noqa: E402
from orders.events import OrderPlaced, decode_command, encode  # noqa: E402
from orders.order import Order  # noqa: E402
from orders.payments.handler import PaymentsProcessor  # noqa: E402
from orders.payments.ledger import Ledger  # noqa: E402
from orders.payments.provider import Charged, ProcessorFailedError  # noqa: E402
from orders.payments.tries import Tries  # noqa: E402

_QUEUE: Final = "payments"
_DLQ: Final = "payments-dlq"
_RECEIVES: Final = 3
_SECONDS_A_TRY: Final = 0.05
_SECONDS_A_BATCH: Final = 0.05
_SECONDS_OF_THE_BUS: Final = 0.5
_IDLE_SECONDS: Final = 0.25
_NAMES: Final = re.compile(r"'(\w+)': \?")
_MOST_HOURS: Final = 12


@dataclass(slots=True)
class Message:
    """A message on a queue."""

    id: str
    body: str
    sent_at: float
    attributes: Mapping[str, Any]
    receives: int = 0
    hidden: int = 0
    """How often it was hidden: the end of an earlier time counts no more."""

    def received(self) -> dict[str, Any]:
        """As ``ReceiveMessage`` gives it."""
        sent_at = int((BEGINNING.timestamp() + self.sent_at) * 1000)
        return {
            "MessageId": self.id,
            "ReceiptHandle": self.id,
            "Body": self.body,
            "Attributes": {
                "ApproximateReceiveCount": str(self.receives),
                "SentTimestamp": str(sent_at),
            },
            "MessageAttributes": self.attributes,
        }


class Queue:
    """A standard queue."""

    def __init__(self, timeline: Timeline, hidden_seconds: float, dlq: Queue | None = None) -> None:
        self.messages: dict[str, Message] = {}
        self.parked: set[str] = set()
        """The orders that were ever sent on to the dead-letter queue."""
        self._timeline = timeline
        self._hidden_seconds = hidden_seconds
        self._dlq = dlq
        self._visible: deque[Message] = deque()
        self._hidden: list[tuple[float, str, int]] = []
        self._sent = 0

    def send(
        self, body: str, delay: float = 0, attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Take a message."""
        self._sent += 1
        message = Message(str(self._sent), body, self._timeline.seconds, attributes or {})
        self.messages[message.id] = message
        if delay:
            self.hide(message.id, delay)
        else:
            self._visible.append(message)

    def receive(self, most: int) -> list[Message]:
        """Hand out visible messages, the oldest first, and hide them."""
        now = self._timeline.seconds
        while self._hidden and self._hidden[0][0] <= now:
            _, id_, hidden = heapq.heappop(self._hidden)
            message = self.messages.get(id_)
            if message and message.hidden == hidden:
                self._visible.append(message)
        batch: list[Message] = []
        while self._visible and len(batch) < most:
            message = self._visible.popleft()
            if self._dlq and message.receives >= _RECEIVES:
                del self.messages[message.id]
                self.parked.add(json.loads(message.body)["detail"]["order_id"])
                self._dlq.send(message.body, 0, message.attributes)
                continue
            message.receives += 1
            self.hide(message.id, self._hidden_seconds)
            batch.append(message)
        return batch

    def hide(self, id_: str, seconds: float) -> None:
        """Have a message come back in that many seconds."""
        if message := self.messages.get(id_):
            message.hidden += 1
            entry = (self._timeline.seconds + seconds, id_, message.hidden)
            heapq.heappush(self._hidden, entry)

    def delete(self, id_: str) -> None:
        """Take a message away."""
        self.messages.pop(id_, None)


@dataclass(frozen=True, slots=True)
class Sqs:
    """The client of SQS."""

    queues: Mapping[str, Queue]

    def receive_message(self, **arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
        """Up to ten messages."""
        queue = self.queues[arguments["QueueUrl"]]
        received = queue.receive(arguments["MaxNumberOfMessages"])
        return {"Messages": [message.received() for message in received]}

    def get_queue_attributes(self, **arguments: Any) -> Any:  # noqa: ANN401
        """How many messages there are, whether they can be received now or not."""
        count = str(len(self.queues[arguments["QueueUrl"]].messages))
        names = arguments["AttributeNames"]
        return {"Attributes": dict.fromkeys(names, "0") | {names[0]: count}}

    def change_message_visibility_batch(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Hide messages, or show them."""
        queue = self.queues[arguments["QueueUrl"]]
        for entry in arguments["Entries"]:
            queue.hide(entry["ReceiptHandle"], entry["VisibilityTimeout"])
        return {}

    def send_message_batch(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Send messages."""
        queue = self.queues[arguments["QueueUrl"]]
        for entry in arguments["Entries"]:
            delay, attributes = entry.get("DelaySeconds", 0), entry["MessageAttributes"]
            queue.send(entry["MessageBody"], delay, attributes)
        return {}

    def delete_message_batch(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Delete messages."""
        for entry in arguments["Entries"]:
            self.queues[arguments["QueueUrl"]].delete(entry["ReceiptHandle"])
        return {}


class DynamoDB:
    """The client of DynamoDB."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {"orders": {}, "payments": {}, "circuits": {}}
        self.unfinished: dict[str, dict[str, str]] = {}
        """When each was placed, by order and by key of the index."""

    def end(self, order_id: str) -> None:
        """Take an order out of the index."""
        item = self.tables["orders"][order_id]
        if shard := item.pop("unfinished", None):
            del self.unfinished[shard["S"]][order_id]

    def put_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
        """Write an item: nobody else does at the same time."""
        table, item = arguments["TableName"], arguments["Item"]
        key = item["order_id" if table == "orders" else "consumer"]["S"]
        self.tables[table][key] = item
        if table == "orders":
            shard = self.unfinished.setdefault(item["unfinished"]["S"], {})
            shard[key] = item["placed_at"]["S"]
        return {}

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Read a circuit."""
        item = self.tables[arguments["TableName"]].get(arguments["Key"]["consumer"]["S"])
        return {"Item": item} if item else {}

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Note a repeat of an order."""
        item = self.tables[arguments["TableName"]][arguments["Key"]["order_id"]["S"]]
        values = arguments["ExpressionAttributeValues"]
        item |= {"repeats": values[":next"], "repeated_at": values[":at"]}
        return {}

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Read items."""
        ((table, wanted),) = arguments["RequestItems"].items()
        items = self.tables[table]
        keys = [key["order_id"]["S"] for key in wanted["Keys"]]
        return {"Responses": {table: [items[key] for key in keys if key in items]}}

    def batch_execute_statement(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Insert payments."""
        responses: list[dict[str, Any]] = []
        for statement in arguments["Statements"]:
            assert statement["Statement"].startswith("INSERT")
            names = _NAMES.findall(statement["Statement"])
            item = dict(zip(names, statement["Parameters"], strict=True))
            if item["order_id"]["S"] in self.tables["payments"]:
                responses.append({"Error": {"Code": "DuplicateItem"}})
            else:
                self.tables["payments"][item["order_id"]["S"]] = item
                responses.append({})
        return {"Responses": responses}

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401
        """The orders of a key of the index that were placed before a time, as a page."""
        values = arguments["ExpressionAttributeValues"]
        before = values[":time"]["S"]
        begin = arguments.get("ExclusiveStartKey", {"placed_at": {"S": ""}})["placed_at"]["S"]
        found: list[tuple[str, str]] = []
        for order_id, placed_at in self.unfinished.get(values[":shard"]["S"], {}).items():
            if placed_at >= before:
                break
            if placed_at > begin:
                found.append((order_id, placed_at))
        if arguments.get("Select") == "COUNT":
            return {"Count": len(found)}
        page = found[: arguments["Limit"]]
        last = {"LastEvaluatedKey": {"placed_at": {"S": page[-1][1]}}} if page != found else {}
        return {"Items": [{"order_id": {"S": order_id}} for order_id, _ in page], **last}


class Logs:
    """The client of CloudWatch Logs: a charge that failed is a passing reason, as is no reason."""

    def filter_log_events(self, **_arguments: object) -> Any:  # noqa: ANN401
        """Nothing."""
        return {"events": []}


class Context:
    """The context of an invocation, which takes no time of its own here."""

    aws_request_id = "outage"

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds left."""
        return 30_000


@dataclass(slots=True)
class CardProcessor:
    """Some attempts fail, and in an outage all of them."""

    timeline: Timeline
    failure_rate: float
    begins: float
    ends: float
    random: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> Charged:
        """See CardProcessor of payments."""
        is_out = self.begins <= self.timeline.seconds < self.ends
        if is_out or self.random.random() < self.failure_rate:
            raise ProcessorFailedError("no answer")
        return Charged(idempotency_key)

    def cancel(self, idempotency_key: str) -> None:
        """Nothing is cancelled here."""
        raise AssertionError(idempotency_key)

    def find(self, _idempotency_key: str) -> Booked:
        """Nobody looks here."""
        return Booked()


class Outage:
    """The pipeline as far as an outage concerns it."""

    def __init__(
        self, *, rate: float, minutes: float, around: float, lag: float, breaks: bool
    ) -> None:
        """Plan an outage.

        Args:
            rate: orders a second.
            minutes: how long the outage lasts.
            around: minutes before and after it in which orders come as well.
            lag: seconds that Lambda takes to enable or disable an event source mapping.
            breaks: whether the circuit breaker is called.
        """
        self.timeline = timeline = Timeline()
        # Not at a full minute, when the schedules call.
        self.begins = around * 60 + 20
        self.ends = self.begins + minutes * 60
        self.count = int(rate * 60 * (2 * around + minutes))
        self.rate, self._lag, self._breaks = rate, lag, breaks
        self.placed = 0
        self.opened: list[float] = []
        self.closed: list[float] = []
        self.tests = 0
        self.state = "Enabled"
        self.db = DynamoDB()
        self.dlq = Queue(timeline, 60)
        self.queue = Queue(timeline, float(_DEFAULTS["VisibilityTimeoutSeconds"]), self.dlq)
        self._sqs = cast("Any", Sqs({_QUEUE: self.queue, _DLQ: self.dlq}))
        self._db = cast("Any", self.db)
        self._bus = Bus(cast("Any", self), "order-events")
        self.orders = OrderTable(self._db, "orders")
        failure_rate = float(_DEFAULTS["ChargeFailureRate"])
        self._processor = CardProcessor(timeline, failure_rate, self.begins, self.ends)
        self._pause = timedelta(seconds=int(_DEFAULTS["BreakerPauseSeconds"]))
        self._breaker = CircuitBreaker(
            Circuits(self._db, "circuits"),
            Consumer(
                lambda: cast("Any", self),
                lambda: self._sqs,
                name=_QUEUE,
                mapping="mapping",
                function="payments-processor",
                queue_url=_QUEUE,
                decode=decode_command,
            ),
            self._bus,
            self._pause,
            timeline.now,
        )
        self._caretaker = Caretaker(
            self.orders,
            self._bus,
            (
                DeadLetterQueue(
                    lambda: self._sqs, lambda: cast("Any", Logs()), _DLQ, _QUEUE, "", decode_command
                ),
            ),
            Settings(
                timedelta(seconds=int(_DEFAULTS["RepublishAfterSeconds"])),
                timedelta(minutes=int(_DEFAULTS["OrderDeadlineMinutes"])),
            ),
            timedelta(minutes=int(_DEFAULTS["StuckAfterMinutes"])),
            timeline.now,
        )
        self._for_tests = self._payments()

    def run(self) -> None:
        """Let it happen, until every order has ended and nothing is on a queue."""
        self.timeline.every(1, self._place)
        self.timeline.every(60, lambda: self._caretaker({}, Context()))
        if self._breaks:
            self.timeline.every(60, lambda: self._breaker({"source": "aws.events"}, Context()))
        for _ in range(int(_DEFAULTS["ConsumerConcurrency"])):
            self._poll(self._payments())
        with contextlib.redirect_stdout(io.StringIO()):
            self.timeline.run_until(self._is_over)

    def _is_over(self) -> bool:
        assert self.timeline.seconds < _MOST_HOURS * 3600, "some orders never end"
        return (
            self.placed == self.count
            and not any(self.db.unfinished.values())
            and not self.queue.messages
            and not self.dlq.messages
            and len(self.opened) == len(self.closed)
        )

    def _payments(self) -> PaymentsProcessor:
        """An execution environment of payments-processor."""
        tries = Tries(
            least=int(_DEFAULTS["BreakerTries"]),
            failed_share=float(_DEFAULTS["BreakerFailedShare"]),
            pause=self._pause,
            now=self.timeline.now,
        )
        return PaymentsProcessor(
            Ledger(self._db, "payments"),
            self._processor,
            self._bus,
            Retry(lambda: self._sqs, _QUEUE, int(_DEFAULTS["RetryDelaySeconds"])),
            tries,
            lambda: timestamp(self.timeline.now()),
        )

    def _place(self) -> None:
        """Place the orders of a second."""
        for _ in range(min(int(self.rate), self.count - self.placed)):
            self.placed += 1
            placed = OrderPlaced(order_id=f"order-{self.placed}", amount=Decimal(5))
            at = timestamp(self.timeline.now())
            self.orders.create(Order(order_id=placed.order_id, placed_at=at, ordered=placed))
            self.queue.send(self._envelope("com.myapp.orders", "order.placed", encode(placed)))

    def _envelope(self, source: str, detail_type: str, detail: str) -> str:
        at = self.timeline.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f'{{"source": "{source}", "detail-type": "{detail_type}", "time": "{at}", '
            f'"detail": {detail}}}'
        )

    def _poll(self, payments: PaymentsProcessor) -> None:
        """Have an environment process a batch, if there is one, and then the next."""
        is_on = self.state in ("Enabled", "Disabling")
        batch = self.queue.receive(10) if is_on else []
        takes = _SECONDS_A_BATCH + _SECONDS_A_TRY * len(batch) if batch else _IDLE_SECONDS
        if batch:
            failed = self._process(payments, [_record(message.received()) for message in batch])
            for message in batch:
                if message.id not in failed:
                    self.queue.delete(message.id)
        self.timeline.after(takes, lambda: self._poll(payments))

    def _process(self, payments: PaymentsProcessor, records: list[dict[str, Any]]) -> set[str]:
        answer = payments({"Records": records}, Context())
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    # The client of EventBridge

    def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
        """Have events take effect."""
        for entry in arguments["Entries"]:
            match entry["DetailType"]:
                case "payment.charged":
                    self.db.end(json.loads(entry["Detail"])["order_id"])
                case "order.placed":
                    self.queue.send(
                        self._envelope(entry["Source"], "order.placed", entry["Detail"])
                    )
                case "payments.failing" if self._breaks:
                    event = json.loads(
                        self._envelope(entry["Source"], entry["DetailType"], entry["Detail"])
                    )
                    self.timeline.after(
                        _SECONDS_OF_THE_BUS,
                        lambda event=event: self._breaker(event, Context()),  # type: ignore[misc]
                    )
                case "circuit.opened":
                    self.opened.append(self.timeline.seconds)
                case "circuit.closed":
                    self.closed.append(self.timeline.seconds)
        return {"FailedEntryCount": 0, "Entries": [{} for _ in arguments["Entries"]]}

    # The client of Lambda

    def get_event_source_mapping(self, **_arguments: object) -> Any:  # noqa: ANN401
        """The state of the event source mapping."""
        return {"State": self.state}

    def update_event_source_mapping(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Switch it, which takes its time."""
        on = arguments["Enabled"]
        self.state = "Enabling" if on else "Disabling"

        def switched() -> None:
            self.state = "Enabled" if on else "Disabled"

        self.timeline.after(self._lag, switched)
        return {}

    def invoke(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Have payments-processor try some orders."""
        self.tests += 1
        failed = self._process(self._for_tests, json.loads(arguments["Payload"])["Records"])
        answer = {"batchItemFailures": [{"itemIdentifier": id_} for id_ in failed]}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


def _record(received: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "messageId": received["MessageId"],
        "receiptHandle": received["ReceiptHandle"],
        "body": received["Body"],
        "attributes": received["Attributes"],
    }


def chance_of_a_false_alert(failure_rate: float) -> float:
    """How likely the remembered tries look like an outage, though each fails with this chance."""
    tries, share = int(_DEFAULTS["BreakerTries"]), float(_DEFAULTS["BreakerFailedShare"])
    return sum(
        math.comb(tries, n) * failure_rate**n * (1 - failure_rate) ** (tries - n)
        for n in range(math.ceil(share * tries), tries + 1)
    )


app = App(name="python -m bench.outage")


@app.default
def run(
    *,
    rate: int = 50,
    minutes: float = 60,
    around: float = 5,
    lag: float = 60,
    breaker: bool = True,
) -> None:
    """Say what an outage of the card processor does to orders.

    Args:
        rate: Orders a second.
        minutes: How long every charge fails.
        around: Minutes before and after that in which orders come as well.
        lag: Seconds that Lambda takes to enable or disable an event source mapping.
        breaker: Whether there is a circuit breaker.
    """
    began = time.process_time()
    outage = Outage(rate=rate, minutes=minutes, around=around, lag=lag, breaks=breaker)
    telemetry.begin(Context())
    outage.run()
    during = int(rate * 60 * minutes)
    parked = len(outage.queue.parked)
    say = console.out().print
    say(f"{outage.count:,} orders at {rate} a second, {during:,} in {minutes:g} minutes of outage")
    say(f"parked: {parked:,} orders, {parked / during:.2%} of those of the outage")
    say(f"circuit: opened {len(outage.opened)} times, tested {outage.tests} times")
    for opened, closed in zip(outage.opened, outage.closed, strict=True):
        say(
            f"  open from {opened - outage.begins:.0f} s after the beginning of the outage "
            f"to {closed - outage.ends:.0f} s after its end"
        )
    over = (outage.timeline.seconds - outage.ends) / 60
    say(f"all {len(outage.db.tables['payments']):,} orders had ended {over:.0f} minutes after it")
    chance = chance_of_a_false_alert(float(_DEFAULTS["ChargeFailureRate"]))
    years = 1 / chance / rate / 86400 / 365
    say(
        f"at {float(_DEFAULTS['ChargeFailureRate']):.0%} failures a false alert has a chance of "
        f"{chance:.1e} a try: once in {years:,.0f} years at {rate} tries a second"
    )
    say(f"{time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    app()
