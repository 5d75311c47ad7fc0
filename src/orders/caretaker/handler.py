"""``caretaker``: once a minute, puts orders right that do not end by themselves.

It may run twice at once and die anywhere: whatever it publishes or sends again does nothing where
it was done already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from orders.aws import clients, telemetry
from orders.aws.bus import Bus
from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT
from orders.aws.errors import AwsError, reason
from orders.aws.order_table import OrderTable
from orders.caretaker.decisions import Parked, Settings, is_due, next_event, redrive_delay
from orders.caretaker.parked import DeadLetterQueue, UnsearchedError
from orders.clock import timestamp
from orders.events import Event, decode_command, decode_outcome

if TYPE_CHECKING:
    from orders.aws.context import Context
    from orders.events import Detail
    from orders.order import Order, Repeats

_Due = tuple["Order", "Repeats", "Detail"]
"""An order, how often something was published again, and what is to be now."""

ORDERS_A_RUN: Final = 300
"""How many orders are put on their way again in one run: a small share of what consumers take."""


class NotLookedAfterError(Exception):
    """Some of the duties could not be done; the next run tries again."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Caretaker:
    """Redrives what is parked, repeats what was not heard of, and says what is left."""

    orders: OrderTable
    bus: Bus
    dead_letter_queues: Sequence[DeadLetterQueue]
    settings: Settings
    stuck_after: timedelta
    now: Callable[[], datetime] = _now

    def __call__(self, event: dict[str, Any], context: Context) -> None:
        """Do each duty, whatever becomes of the others.

        Raises:
            NotLookedAfterError: some of them failed.
        """
        telemetry.begin(context)
        duties: list[Callable[[], None]] = [
            *(partial(self._redrive, queue, context) for queue in self.dead_letter_queues),
            partial(self._repeat, context),
            self._report_stuck,
        ]
        failures = [why for duty in duties if (why := _attempt(duty))]
        if failures:
            raise NotLookedAfterError("; ".join(failures))

    def _redrive(self, queue: DeadLetterQueue, context: Context) -> None:
        """Send what is parked for a passing reason back to its queue."""
        stay = queue.receive(context)
        try:
            back = self._to_be_redriven(queue, stay, context)
            refusals = queue.send_back(back)
            sent = {message.id for message, _ in back} - refusals.keys()
            stay = [message for message in stay if message.id not in sent]
        finally:
            queue.put_back(stay)
        for message, delay in back:
            _log_redrive(message, delay, refusals.get(message.id))
        telemetry.count(MessagesRedriven=len(sent))

    def _to_be_redriven(
        self, queue: DeadLetterQueue, parked: Sequence[Parked], context: Context
    ) -> list[tuple[Parked, int]]:
        """The messages that go back, each with the seconds until its consumer gets it."""
        readable = [message for message in parked if message.order_id]
        if not readable:
            return []
        now = self.now()
        failures = queue.failures(readable, now, context)
        delays = [
            (message, redrive_delay(message, failures.get(message.order_id or ""), now))
            for message in readable
        ]
        return [(message, delay) for message, delay in delays if delay is not None]

    def _repeat(self, context: Context) -> None:
        """Publish again what unfinished orders wait for that were not heard of for long."""
        left = ORDERS_A_RUN
        for order_ids in self.orders.unfinished(timestamp(self.now() - self.settings.repeat_after)):
            if time_is_up(context) or not left:
                return
            due = self._due(order_ids, context)[:left]
            left -= len(due)
            self._publish(
                [event for order, repeats, event in due if self._claim(order, repeats)], context
            )

    def _due(self, order_ids: Sequence[str], context: Context) -> list[_Due]:
        """Of some orders those for which something is to be done now."""
        records, refusals = self.orders.find_repeated(order_ids, context)
        for order_id, why in refusals.items():
            telemetry.warning("order not looked after", order_id=order_id, reason=why)
        now = self.now()
        return [
            (order, repeats, event)
            for order, repeats in records.values()
            if is_due(order, repeats, now, self.settings)
            and (event := next_event(order, now, self.settings))
        ]

    def _claim(self, order: Order, repeats: Repeats) -> bool:
        """Note what is about to be published, so that another run does not do it as well."""
        why = self.orders.note_repeat(order.order_id, repeats, timestamp(self.now()))
        if why and why != CONFLICT:
            telemetry.warning("order not looked after", order_id=order.order_id, reason=why)
        return why is None

    def _publish(self, events: Sequence[Detail], context: Context) -> None:
        refusals = self.bus.publish(events, context)
        for event, why in zip(events, refusals, strict=True):
            if why:
                telemetry.warning("event not repeated", order_id=event.order_id, reason=why)
            else:
                telemetry.info(f"{event.detail_type} again", order_id=event.order_id)
        telemetry.count(EventsRepeated=refusals.count(None))

    def _report_stuck(self) -> None:
        """Report the metric the alarm looks at, zero included."""
        stuck = self.orders.count_unfinished(timestamp(self.now() - self.stuck_after))
        telemetry.gauge(StuckOrders=stuck)
        if stuck:
            telemetry.warning("orders are stuck", orders=stuck)


def _attempt(duty: Callable[[], None]) -> str | None:
    """Do a duty; why it could not be done."""
    try:
        duty()
    except (UnsearchedError, AwsError) as error:
        why = reason(error)
        telemetry.error("duty not done", reason=why)
        return why
    return None


def _log_redrive(message: Parked, delay: int, refusal: str | None) -> None:
    if refusal:
        telemetry.warning("not redriven", order_id=message.order_id, reason=refusal)
    else:
        telemetry.info(
            "redriven",
            order_id=message.order_id,
            redrive=message.redrives + 1,
            delay_seconds=delay,
        )


def _dead_letter_queue(name: str, decode: Callable[[str], Event[Any]]) -> DeadLetterQueue:
    return DeadLetterQueue(
        clients.sqs,
        clients.logs,
        url=os.environ[f"{name}_DLQ_URL"],
        source_url=os.environ[f"{name}_QUEUE_URL"],
        log_group=os.environ[f"{name}_LOG_GROUP"],
        decode=decode,
    )


handler = Caretaker(
    orders=OrderTable(
        clients.dynamodb(), os.environ["ORDERS_TABLE"], int(os.environ["UNFINISHED_ORDER_KEYS"])
    ),
    bus=Bus(clients.events(), os.environ["EVENT_BUS"]),
    dead_letter_queues=(
        _dead_letter_queue("PAYMENTS", decode_command),
        _dead_letter_queue("INVENTORY", decode_command),
        _dead_letter_queue("OUTCOMES", decode_outcome),
    ),
    settings=Settings(
        repeat_after=timedelta(seconds=int(os.environ["REPUBLISH_AFTER_SECONDS"])),
        deadline=timedelta(minutes=int(os.environ["ORDER_DEADLINE_MINUTES"])),
    ),
    stuck_after=timedelta(minutes=float(os.environ["STUCK_AFTER_MINUTES"])),
)
