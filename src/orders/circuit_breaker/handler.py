"""``circuit-breaker``: pauses payments while the card processor fails, and has a few orders try.

It is called with ``payments.failing``, and once a minute. It may run twice at once and die
anywhere: what is to be is on record before anything is switched, and each run makes it so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.errors import AwsError, reason
from orders.aws.items import UnreadableRecordError
from orders.circuit_breaker.circuits import Circuits
from orders.circuit_breaker.consumer import DISABLED, DISABLING, ENABLED, Consumer
from orders.circuit_breaker.decisions import (
    Circuit,
    being_tested,
    is_due,
    is_news,
    is_settled,
    is_to_be_on,
    judged,
    opened,
)
from orders.clock import timestamp
from orders.events import CircuitClosed, CircuitOpened, convert_alert, decode_command

if TYPE_CHECKING:
    from orders.aws.context import Context
    from orders.events import Alert, Notice

_SCHEDULE: Final = "aws.events"
"""The source of the events of EventBridge's schedules."""


class CircuitNotHandledError(Exception):
    """A call failed; the next run goes on from what is on record."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Opens, tests and closes the circuit of one consumer."""

    circuits: Circuits
    consumer: Consumer
    bus: Bus
    pause: timedelta
    """How long the circuit is open before a few orders try, each time."""
    now: Callable[[], datetime] = _now

    def __call__(self, event: dict[str, Any], context: Context) -> None:
        """Open the circuit if the event says so; then do what is due.

        Raises:
            UnreadableEventError: it is not an event of this contract.
            CircuitNotHandledError: a call failed.
        """
        telemetry.begin(context)
        alert = None if event.get("source") == _SCHEDULE else convert_alert(event)
        try:
            self._handle(alert, context)
        except (UnreadableRecordError, AwsError) as error:
            why = reason(error)
            telemetry.error("circuit not handled", reason=why)
            raise CircuitNotHandledError(why) from None

    def _handle(self, alert: Alert | None, context: Context) -> None:
        circuit = self.circuits.get(self.consumer.name)
        if alert:
            circuit = self._open(circuit, alert)
        if is_due(circuit, self.now()):
            circuit = self._test(circuit, context)
        telemetry.gauge(CircuitOpen=int(not circuit.is_closed))
        self._tell(self._switch(circuit), context)

    def _open(self, circuit: Circuit, alert: Alert) -> Circuit:
        now = self.now()
        if not is_news(circuit, alert, now):
            return circuit
        # Somebody else has switched it off: it stays so until they switch it on.
        if is_to_be_on(circuit) is None and self.consumer.state() in (DISABLED, DISABLING):
            return circuit
        circuit = self.circuits.write(opened(circuit, alert, now, self.pause))
        if not circuit.is_closed:
            telemetry.warning("circuit opened", reason=circuit.reason)
        return circuit

    def _test(self, circuit: Circuit, context: Context) -> Circuit:
        """Have a few orders try, unless another run does or an operator holds the consumer."""
        left = timedelta(milliseconds=context.get_remaining_time_in_millis())
        claim = being_tested(circuit, self.now(), max(left, self.pause))
        circuit = self.circuits.write(claim)
        if circuit != replace(claim, version=claim.version + 1):
            return circuit
        trial = self.consumer.try_some()
        telemetry.info("circuit tested", tried=trial.tried, failed=trial.failed)
        circuit = self.circuits.write(judged(circuit, trial, self.now(), self.pause))
        if circuit.is_closed:
            telemetry.info("circuit closed")
        return circuit

    def _switch(self, circuit: Circuit) -> Circuit:
        """Make the consumer be as the record says; the record as it is then."""
        if is_to_be_on(circuit) is None:
            return circuit
        state = self.consumer.state()
        # An operator may have come in between.
        circuit = self.circuits.get(circuit.consumer)
        to_be_on = is_to_be_on(circuit)
        if to_be_on is None or state not in (ENABLED, DISABLED):
            return circuit
        if to_be_on != (state == ENABLED):
            self.consumer.switch(on=to_be_on)
        elif is_settled(circuit, self.now()):
            return self.circuits.write(replace(circuit, switched_at=None))
        return circuit

    def _tell(self, circuit: Circuit, context: Context) -> None:
        """Publish that the circuit was opened or closed, unless that was published."""
        if circuit.is_closed == (circuit.told == "closed"):
            return
        (refusal,) = self.bus.publish([_announcement(circuit, self.now())], context)
        if refusal:
            telemetry.warning("circuit not announced", reason=refusal)
            return
        self.circuits.write(replace(circuit, told="closed" if circuit.is_closed else "open"))


def _announcement(circuit: Circuit, now: datetime) -> Notice:
    since = timestamp(circuit.since or now)
    if circuit.is_closed:
        return CircuitClosed(consumer=circuit.consumer, since=since)
    return CircuitOpened(consumer=circuit.consumer, since=since, reason=circuit.reason or "")


handler = CircuitBreaker(
    circuits=Circuits(clients.dynamodb(), os.environ["CIRCUITS_TABLE"]),
    consumer=Consumer(
        clients.functions,
        clients.sqs,
        name="payments",
        mapping=os.environ["PAYMENTS_EVENT_SOURCE"],
        function=os.environ["PAYMENTS_FUNCTION"],
        queue_url=os.environ["PAYMENTS_QUEUE_URL"],
        decode=decode_command,
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    pause=timedelta(seconds=int(os.environ["BREAKER_PAUSE_SECONDS"])),
)
