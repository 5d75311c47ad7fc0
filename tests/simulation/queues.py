"""SQS: standard queues, and the event source mappings that hand their messages to functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from simulation.clients import Refusal
from simulation.lambdas import Answered, End, Failed, Invocation, Lambdas, Pending
from simulation.requests import Request, listed, orders_in
from simulation.rooms import CIRCUIT_BREAKER
from simulation.rules import CIRCUIT, NEEDS_PERSON, ONE_MESSAGE
from simulation.scheduler import BEGINNING
from simulation.story import Violation
from simulation.template import FunctionSpec, QueueSpec
from simulation.weather import EARLY_RETURN, UNDELETED
from simulation.witness import Handled
from simulation.world import World

MOST_REDRIVES: Final = 24
"""How often the caretaker may send a message back."""


@dataclass(slots=True)
class Message:
    """A message on a queue."""

    id: str
    body: str
    what: str
    """Its kind, for the story: a detail-type, mostly."""
    unreadable: str | None
    """The rule that is broken if a handler does anything with it; None if it is sound."""
    redrives: int = 0
    """How often the caretaker has sent it back, as its attribute says."""
    sent_back: int = 0
    """How often it has indeed."""
    sent_at: float = 0.0
    visible_at: float = 0.0
    receives: int = 0
    orders: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.orders = orders_in(self.body)

    @property
    def receipt(self) -> str:
        """The handle of the last receive; an older one is stale."""
        return f"{self.id}/{self.receives}"

    def __str__(self) -> str:
        return self.what + listed(self.orders)


class Queue:
    """A standard queue."""

    def __init__(self, world: World, spec: QueueSpec, dead_letter_queue: Queue | None) -> None:
        self.spec = spec
        self.messages: list[Message] = []
        self.reader: EventSource | None = None
        self._world = world
        self._dead_letter_queue = dead_letter_queue

    def send(self, message: Message, delay: float = 0) -> None:
        """Take a message, to be seen in that many seconds."""
        message.sent_at = self._world.scheduler.now
        self.messages.append(message)
        self.hide(message, delay)

    def receive(self, most: int) -> list[Message]:
        """Hand out some of the visible messages, and hide them for the visibility timeout."""
        now = self._world.scheduler.now
        visible = [message for message in self.messages if message.visible_at <= now]
        limit = self.spec.max_receive_count
        batch = []
        for message in self._world.random.sample(visible, min(most, len(visible))):
            if limit is not None and message.receives >= limit:
                self._park(message)
                continue
            message.receives += 1
            hidden = self.spec.visibility_timeout
            if self._world.weather.strikes(EARLY_RETURN):
                hidden = self._world.random.uniform(0.01, 8)
            self.hide(message, hidden)
            batch.append(message)
        return batch

    def hide(self, message: Message, seconds: float) -> None:
        """Have a message come back in that many seconds, unless it is deleted by then."""
        message.visible_at = self._world.scheduler.now + seconds
        if self.reader:
            self.reader.wake(seconds)

    def delete(self, message: Message, receipt: str) -> None:
        """Take a message off the queue, unless it has been received again since."""
        if message.receipt != receipt:
            self._world.story.tell(self.spec.name, f"keeps {message}: received again since")
        elif message in self.messages and not self._world.weather.strikes(UNDELETED):
            self.messages.remove(message)

    def perform(self, request: Request) -> Any:  # noqa: ANN401 - the operation's answer
        """What consumers, the caretaker and the circuit breaker ask."""
        arguments = request.arguments
        match request.operation:
            case "ChangeMessageVisibilityBatch":
                return self._hide_all(arguments["Entries"])
            case "ReceiveMessage":
                received = self.receive(arguments["MaxNumberOfMessages"])
                for message in received:
                    self.hide(
                        message, arguments.get("VisibilityTimeout", self.spec.visibility_timeout)
                    )
                return {"Messages": list(map(_received, received))}
            case "GetQueueAttributes":
                first, *others = arguments["AttributeNames"]
                counts = dict.fromkeys(others, "0")
                return {"Attributes": {first: str(len(self.messages)), **counts}}
            case "DeleteMessageBatch":
                receipts = {entry["ReceiptHandle"] for entry in arguments["Entries"]}
                for message in [m for m in self.messages if m.receipt in receipts]:
                    self.delete(message, message.receipt)
                return {}
            case other:
                raise AssertionError(f"the model knows no {other}")

    def _hide_all(self, entries: list[dict[str, Any]]) -> dict[str, list[Any]]:
        by_receipt = {message.receipt: message for message in self.messages}
        answer: dict[str, list[Any]] = {"Successful": [], "Failed": []}
        for entry in entries:
            message = by_receipt.get(entry["ReceiptHandle"])
            if message is None:
                code = "ReceiptHandleIsInvalid"
                answer["Failed"].append({"Id": entry["Id"], "Code": code, "SenderFault": True})
            else:
                self.hide(message, entry["VisibilityTimeout"])
                answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def _park(self, message: Message) -> None:
        assert self._dead_letter_queue is not None
        self._world.story.tell(
            self.spec.name, f"parks {message} in {self._dead_letter_queue.spec.name}"
        )
        self.messages.remove(message)
        sent_at = message.sent_at
        self._dead_letter_queue.send(message)
        message.sent_at = sent_at  # which stays as it is


def _received(message: Message) -> dict[str, Any]:
    """A message as ``ReceiveMessage`` gives it."""
    sent_at = (BEGINNING + timedelta(seconds=message.sent_at)).timestamp()
    count = {"DataType": "Number", "StringValue": str(message.redrives)}
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": {
            "SentTimestamp": str(int(sent_at * 1000)),
            "ApproximateReceiveCount": str(message.receives),
        },
        **({"MessageAttributes": {"redrives": count}} if message.redrives else {}),
    }


class Queues:
    """All queues, as the API of SQS."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent = 0
        self.tested: set[str] = set()
        """The receipts of the messages that succeeded when the circuit breaker had them tried."""
        self._under_test: dict[tuple[str, int], Message] = {}
        self._anew: set[str] = set()
        self._by_name: dict[str, Queue] = {}
        specs = world.topology.queues.values()
        for spec in sorted(specs, key=lambda spec: spec.dead_letter_queue is not None):
            parked = spec.dead_letter_queue
            self._by_name[spec.name] = Queue(world, spec, self._by_name[parked] if parked else None)

    def __getitem__(self, name: str) -> Queue:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._by_name.values())

    def perform(self, request: Request, function: str) -> Any:  # noqa: ANN401 - the answer
        """Have the queue that is meant answer to a function.

        Raises:
            Refusal: there is no such queue.
        """
        for queue in self:
            if queue.spec.url == request.arguments["QueueUrl"]:
                if function == CIRCUIT_BREAKER:
                    return self._perform_for_test(queue, request)
                if request.operation == "SendMessageBatch":
                    entries = request.arguments["Entries"]
                    if queue.reader and function == queue.reader.function:
                        return self._send_held(queue, entries)
                    return self._send_back(queue, entries)
                return queue.perform(request)
        raise Refusal("AWS.SimpleQueueService.NonExistentQueue")

    def _perform_for_test(self, queue: Queue, request: Request) -> Any:  # noqa: ANN401
        """What the circuit breaker asks: no message may be lost between its calls.

        Raises:
            Violation: one would be.
        """
        entries = request.arguments.get("Entries", [])
        if request.operation == "SendMessageBatch":
            for entry in entries:
                self._send_anew(queue, entry)
            return {"Successful": [{"Id": entry["Id"]} for entry in entries]}
        if request.operation == "DeleteMessageBatch":
            receipts = {entry["ReceiptHandle"] for entry in entries}
            for message in queue.messages:
                if message.receipt in receipts and not (
                    message.receipt in self.tested or message.body in self._anew
                ):
                    raise Violation(CIRCUIT, f"{message} is deleted, and was not done")
        answer = queue.perform(request)
        if request.operation == "ReceiveMessage":
            names = {received["MessageId"] for received in answer["Messages"]}
            self._under_test |= {(m.body, m.redrives): m for m in queue.messages if m.id in names}
        return answer

    def _send_anew(self, queue: Queue, entry: dict[str, Any]) -> None:
        """Take a message again that was tested."""
        # An event may be on the queue twice, and have been sent back as one message only.
        redrives = entry["MessageAttributes"].get("redrives", {}).get("StringValue", "0")
        message = self._under_test.get((entry["MessageBody"], int(redrives)))
        if message is None:
            about = listed(orders_in(entry["MessageBody"]))
            raise Violation(CIRCUIT, f"a message has lost how often it was sent back{about}")
        self._sent += 1
        anew = Message(
            f"{message.id.partition('~')[0]}~{self._sent}",
            message.body,
            message.what,
            message.unreadable,
            redrives=message.redrives,
            sent_back=message.sent_back,
        )
        self._anew.add(message.body)
        self._world.story.tell(queue.spec.name, f"gets {anew} anew")
        queue.send(anew)

    def _send_held(self, queue: Queue, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Take messages anew that their consumer could not do, as others were at the same items."""
        for entry in entries:
            body = entry["MessageBody"]
            redrives = int(entry["MessageAttributes"].get("redrives", {}).get("StringValue", "0"))
            copies = [m for m in queue.messages if (m.body, m.redrives) == (body, redrives)]
            self._sent += 1
            anew = Message(
                f"{queue.spec.name}~{self._sent}",
                body,
                json.loads(body)["detail-type"],
                None,
                redrives=redrives,
                sent_back=max((copy.sent_back for copy in copies), default=redrives),
            )
            self._world.story.tell(queue.spec.name, f"gets {anew} anew")
            queue.send(anew, entry["DelaySeconds"])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

    def _send_back(self, queue: Queue, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Take messages that were parked in the queue's dead-letter queue.

        Raises:
            Violation: one should have stayed there.
        """
        assert queue.spec.dead_letter_queue is not None
        parked = self[queue.spec.dead_letter_queue]
        for entry in entries:
            body = entry["MessageBody"]
            copies = [m for m in (*parked.messages, *queue.messages) if m.body == body]
            if not copies:
                raise Violation(NEEDS_PERSON, f"{body} was never parked in {parked.spec.name}")
            message = min(copies, key=lambda copy: copy.sent_back)
            self._sent += 1
            back = Message(
                f"{message.id.partition('~')[0]}~{self._sent}",
                body,
                message.what,
                message.unreadable,
                redrives=int(entry["MessageAttributes"]["redrives"]["StringValue"]),
                sent_back=message.sent_back + 1,
            )
            self._world.story.tell(parked.spec.name, f"is left by {back}, for {queue.spec.name}")
            self._check_send_back(message, back, queue)
            queue.send(back, entry["DelaySeconds"])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

    def _check_send_back(self, message: Message, back: Message, queue: Queue) -> None:
        if message.unreadable:
            raise Violation(NEEDS_PERSON, f"{message} was sent back to {queue.spec.name}")
        if back.sent_back > MOST_REDRIVES:
            raise Violation(NEEDS_PERSON, f"{message} was sent back {back.sent_back} times")
        if self.was_denied(message, queue):
            raise Violation(NEEDS_PERSON, f"{message} was sent back, though it was denied")

    def was_denied(self, message: Message, queue: Queue) -> bool:
        """Whether the last that a queue's consumer has logged of a message's order is a denial."""
        assert queue.reader is not None
        function = queue.reader.function
        lines = [
            line
            for line in self._world.witness.log
            if line.function == function
            and line.level == "WARNING"
            and line.facts.get("order_id") in message.orders
            and line.seconds >= message.sent_at
        ]
        return bool(lines) and "AccessDenied" in str(lines[-1].facts.get("reason"))

    def left(self) -> Mapping[str, list[Message]]:
        """What is on the queues, by queue."""
        return {queue.spec.name: queue.messages for queue in self if queue.messages}


class EventSource:
    """The mapping of a queue to a function, with ``ReportBatchItemFailures``."""

    def __init__(
        self, world: World, queue: Queue, function: FunctionSpec, lambdas: Lambdas
    ) -> None:
        self._world = world
        self._queue = queue
        self._function = function
        self._lambdas = lambdas
        self.state = "Enabled"
        queue.reader = self

    @property
    def function(self) -> str:
        """The name of the function."""
        return self._function.name

    def switch(self, *, on: bool) -> bool:
        """Have it hand out messages, or none; that takes its time, and it goes on meanwhile.

        Returns:
            False if another change is under way.
        """
        if self.state not in ("Enabled", "Disabled"):
            return False
        if (self.state == "Enabled") != on:
            self.state = "Enabling" if on else "Disabling"
            self._world.story.tell(f"mapping of {self._queue.spec.name}", f"is {self.state}")
            self._world.scheduler.after(self._world.random.uniform(0.5, 40), self._switched)
        return True

    def _switched(self) -> None:
        self.state = "Enabled" if self.state == "Enabling" else "Disabled"
        self._world.story.tell(f"mapping of {self._queue.spec.name}", f"is {self.state}")
        if self.state == "Enabled":
            self.wake(0)

    def test(self, event: dict[str, Any], tested: set[str], pending: Pending) -> None:
        """Have the circuit breaker call the function with some messages.

        Args:
            event: as the mapping itself makes it.
            tested: gets the receipts of those that succeed.
            pending: gets the answer.
        """
        receipts = {record["messageId"]: record["receiptHandle"] for record in event["Records"]}
        by_receipt = {message.receipt: message for message in self._queue.messages}
        batch = [by_receipt[r] for r in receipts.values() if r in by_receipt]
        what = f"a test of {', '.join(map(str, batch))}"

        def ended(end: End) -> None:
            self._ended(batch, receipts, end, delete=False)
            if not isinstance(end, Answered):
                pending.settle({"FunctionError": "Unhandled", "Payload": b"{}"})
                return
            failed = self._failed(end.value, receipts, end.invocation)
            tested.update(receipt for id_, receipt in receipts.items() if id_ not in failed)
            pending.settle({"Payload": json.dumps(end.value).encode()})

        self._lambdas.invoke(self._function.name, event, what, ended)

    def wake(self, seconds: float) -> None:
        """Look for messages in that many seconds, or somewhat later."""
        self._world.scheduler.after(seconds + self._world.weather.poll(), self.poll)

    def poll(self) -> None:
        """Hand some of the visible messages to the function, if there are any."""
        if self.state in ("Disabled", "Enabling"):
            return
        batch = self._queue.receive(self._world.random.randint(1, self._function.batch_size))
        now = self._world.scheduler.now
        if any(message.visible_at <= now for message in self._queue.messages):
            self.wake(0)
        if not batch:
            return
        receipts = {message.id: message.receipt for message in batch}
        records = [self._record(message) for message in batch]
        what = ", ".join(map(str, batch))
        self._lambdas.invoke(
            self._function.name,
            {"Records": records},
            what,
            partial(self._ended, batch, receipts),
        )

    def _record(self, message: Message) -> dict[str, Any]:
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
            "messageAttributes": (
                {"redrives": {"dataType": "Number", "stringValue": str(message.redrives)}}
                if message.redrives
                else {}
            ),
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{self._queue.spec.name}",
            "awsRegion": "us-east-1",
        }

    def _ended(
        self,
        batch: list[Message],
        receipts: Mapping[str, str],
        end: End,
        *,
        delete: bool = True,
    ) -> None:
        """Delete what is done. The rest comes back when its visibility timeout runs out."""
        if isinstance(end, Failed):
            raise Violation(
                ONE_MESSAGE,
                f"{end.invocation.name} raised {end.error!r}, and with it failed"
                + listed(frozenset().union(*(message.orders for message in batch))),
            )
        if not isinstance(end, Answered):
            return
        failed = self._failed(end.value, receipts, end.invocation)
        names = [str(message) for message in batch if message.id in failed]
        self._world.story.tell(
            end.invocation.name, f"ends; failed: {', '.join(names)}" if names else "ends"
        )
        for message in batch:
            if message.id in failed:
                if not message.unreadable:
                    end.invocation.check_excuse(message.orders, f"failed {message}")
            else:
                self._check_readable(message, end.invocation)
                self._world.witness.handled += [
                    Handled(self._world.scheduler.now, self._queue.spec.name, message.what, order)
                    for order in message.orders
                ]
                if delete:
                    self._queue.delete(message, receipts[message.id])

    def _failed(
        self, response: object, receipts: Mapping[str, str], invocation: Invocation
    ) -> set[str]:
        """The ids in a partial batch response; one that is not as SQS wants it breaks the rule."""
        failures = response.get("batchItemFailures") if isinstance(response, dict) else None
        ids = [failure.get("itemIdentifier") for failure in failures or []]
        if not isinstance(failures, list) or not set(ids) <= set(receipts):
            raise Violation(
                ONE_MESSAGE,
                f"{invocation.name} answered {response!r}{listed(invocation.orders)}",
            )
        return set(ids)

    def _check_readable(self, message: Message, invocation: Invocation) -> None:
        if message.unreadable:
            raise Violation(
                message.unreadable,
                f"{invocation.name} reported {message} as done",
            )
