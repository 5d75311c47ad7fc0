"""The circuit of payments: its event source mapping, an operator, and what must hold of both."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

from orders.circuit_breaker.circuits import Circuits
from simulation.clients import Refusal
from simulation.dynamodb import DynamoDB, Item
from simulation.lambdas import Pending
from simulation.queues import EventSource, Queues
from simulation.requests import Request
from simulation.rooms import CIRCUIT_BREAKER
from simulation.rules import CIRCUIT, OPERATOR
from simulation.story import Violation
from simulation.witness import text
from simulation.world import World

CONSUMER: Final = "payments"
_TABLE: Final = "circuits"
_OPERATOR: Final = "operator"
_ON_ITS_WAY_SECONDS: Final = 15
"""How long after an operator's note a call may take effect that was decided before it."""
_MOST_SEEN_ON: Final = 4
"""In how many runs the circuit breaker may see what is on hold switched on by such a call: one run
makes it right, and may die before."""


class Circuit:
    """What the circuit breaker asks of Lambda, and what an operator does to payments."""

    def __init__(self, world: World, tables: DynamoDB, queues: Queues, source: EventSource) -> None:
        self._world = world
        self._tables = tables
        self._queues = queues
        self._source = source
        self._circuits = Circuits(_Direct(tables), _TABLE)  # type: ignore[arg-type]
        self._held_since: float | None = None
        self._by_hand = False
        self._seen_on = 0
        """How often the circuit breaker has seen it switched on since it is on hold."""
        self._is_free = True
        """Whether no operator is about to do anything."""
        self._operating = False
        """Whether the operator is writing the record."""
        self._may_close = False
        """Whether a test has passed since the circuit opened, or found nothing to try."""

    def begin(self, seconds: float) -> None:
        """Have an operator pause payments now and then, and always resume it."""
        random = self._world.random
        if random.random() < 0.25:
            self._step_in(random.uniform(0, seconds), by_hand=random.random() < 0.3)

    def perform(self, request: Request) -> Any:  # noqa: ANN401 - the operation's answer
        """What the circuit breaker asks.

        Raises:
            Refusal: Lambda refuses it.
            Violation: it overrules an operator.
        """
        arguments = request.arguments
        match request.operation:
            case "GetEventSourceMapping":
                if self._is_held_for(_ON_ITS_WAY_SECONDS) and self._source.state != "Disabled":
                    self._seen_on += 1
                return {"State": self._source.state}
            case "UpdateEventSourceMapping":
                if arguments["Enabled"] and self._is_held_for(_ON_ITS_WAY_SECONDS):
                    raise Violation(OPERATOR, f"{CIRCUIT_BREAKER} resumes what is on hold")
                if not self._source.switch(on=arguments["Enabled"]):
                    raise Refusal("ResourceInUseException")
                return {"State": self._source.state}
            case other:
                assert other == "Invoke", f"the model knows no {other}"
                if self._is_held_for(_ON_ITS_WAY_SECONDS):
                    raise Violation(OPERATOR, f"{CIRCUIT_BREAKER} has orders tried on hold")
                return self._invoke(request)

    def counted(self) -> None:
        """Take note that a test has counted the messages on the queue."""
        if not self._queues[CONSUMER].messages:
            self._may_close = True

    def changed(self, before: Item | None, after: Item | None) -> None:
        """Look at a change of its record."""
        old, new = text(before, "state") or "closed", text(after, "state") or "closed"
        if old == "closed" and new != "closed":
            self._may_close = False
            if self._by_hand and not self._is_held_for(_ON_ITS_WAY_SECONDS):
                # The breaker has seen the consumer on before, and takes it for its own deed.
                self._held_since = None
        if new == "half-open" and self._is_free and self._world.random.random() < 0.5:
            self._step_in(self._world.random.uniform(0, 1))
        if new == "closed" and old != "closed" and not (self._operating or self._may_close):
            raise Violation(CIRCUIT, f"the circuit of {CONSUMER} is closed without a test")

    def waiting(self) -> str:
        """What still has to end by itself; empty when nothing has."""
        record = self._tables.items(_TABLE).get(CONSUMER)
        if (state := text(record, "state") or "closed") != "closed":
            return f"the circuit of {CONSUMER} is {state}"
        if self._source.state != "Enabled":
            return f"{CONSUMER} is {self._source.state}, and its circuit is closed"
        return ""

    def _invoke(self, request: Request) -> Pending:
        pending = Pending()
        event = json.loads(request.arguments["Payload"])
        receipts = {record["receiptHandle"] for record in event["Records"]}

        def note(answer: dict[str, Any]) -> None:
            passed = len(receipts & self._queues.tested)
            self._may_close = self._may_close or 2 * passed > len(receipts)
            answered.settle(answer)

        answered = Pending()
        pending.then(note)
        self._source.test(event, self._queues.tested, pending)
        return answered

    def _is_held_for(self, seconds: float) -> bool:
        held = self._held_since
        return held is not None and held + seconds < self._world.scheduler.now

    def _step_in(self, begins: float, *, by_hand: bool = False) -> None:
        """Have an operator pause payments after some seconds, and resume it later.

        Args:
            begins: when.
            by_hand: without `orderctl`, so that nothing is on record. That is left alone as long as
                the circuit breaker does not switch the consumer itself.
        """
        lasts = self._world.random.choice((20.0, 200.0, 700.0))
        self._is_free = False
        self._world.scheduler.after(begins, partial(self._pause, by_hand))
        self._world.scheduler.after(begins + lasts, self._resume)

    def _pause(self, by_hand: bool) -> None:
        record = self._tables.items(_TABLE).get(CONSUMER)
        self._by_hand = by_hand and text(record, "switched_at") is None
        self._world.story.tell(_OPERATOR, f"pauses {CONSUMER}{' by hand' * self._by_hand}")
        if not self._by_hand:
            self._note(partial(self._circuits.hold, CONSUMER))
        self._held_since, self._seen_on = self._world.scheduler.now, 0
        self._switch(on=False)

    def _resume(self) -> None:
        self._world.story.tell(_OPERATOR, f"resumes {CONSUMER}")
        if self._seen_on > _MOST_SEEN_ON and self._source.state != "Disabled":
            raise Violation(OPERATOR, f"{CONSUMER} is on hold, and {self._source.state}")
        self._held_since, self._is_free = None, True
        if not self._by_hand:
            self._note(partial(self._circuits.release, CONSUMER))
        self._switch(on=True)

    def _note(self, write: Any) -> None:  # noqa: ANN401 - takes the time
        self._operating = True
        at = self._world.scheduler.instant().isoformat(timespec="milliseconds")
        write(at.replace("+00:00", "Z"))
        self._operating = False

    def _switch(self, *, on: bool) -> None:
        """As `orderctl` does: wait until nothing is under way, and then change it."""
        if (self._held_since is None) != on:
            return  # the operator has changed their mind
        if not self._source.switch(on=on):
            self._world.scheduler.after(1, partial(self._switch, on=on))


class _Direct:
    """A client whose calls take effect at once."""

    def __init__(self, tables: DynamoDB) -> None:
        self._tables = tables

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
        return self._tables.perform(Request("dynamodb", "UpdateItem", arguments))
