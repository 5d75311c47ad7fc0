"""The steps of the pipeline from left to right, and the rules of its bus.

A step has one name. Wherever a command asks for a function, a queue or a dead-letter queue, it
takes the step's name, and the names that these have on AWS; see `names.find_step`.

This is the one list of them: other modules take functions, queues, rules and consumers from here. A
test compares it with `template.yaml`, which defines these logical ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from orders.events import Alert, Command, Milestone, Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its resources, by logical id (empty for none), and its metrics."""

    name: str
    function: str = ""
    function_name: str = ""
    """The function's name, without the stack's prefix."""
    takes: tuple[str, ...] = ()
    """The events that it gets from the bus, by their detail-types."""
    queue: str = ""
    """The queue that it consumes."""
    dead_letter_queue: str = ""
    """The queue in which its messages are parked."""
    event_source: str = ""
    """The event source mapping between its queue and its function."""
    has_circuit: bool = False
    """Whether the circuit breaker may pause it."""
    counts: tuple[tuple[str, str], ...] = ()
    """Metrics of its function in the namespace OrderPipeline, each with a label."""


def url_output(queue: str) -> str:
    """The output of the template that has the URL of a queue, by the queue's logical id."""
    return f"{queue}Url"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the bus."""

    logical_id: str
    name: str
    """Its name, without the stack's prefix."""
    is_replayed: bool = True
    """Whether a replay sends it events by default."""


def _types(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an alias such as Command
    """The detail-types that such an event can have."""
    (details,) = get_args(event)
    return tuple(detail.detail_type for detail in get_args(details) or (details,))


STEPS = (
    Step(
        "order-api",
        function="OrderApiFunction",
        function_name="order-api",
        counts=(
            ("OrdersPlaced", "placed"),
            ("OrdersInvalid", "invalid"),
            ("RequestsNotServed", "not served"),
        ),
    ),
    Step("event-bus", dead_letter_queue="UndeliverableEventsDLQ"),
    Step(
        "payments",
        function="PaymentsFunction",
        function_name="payments-processor",
        takes=_types(Command),
        queue="PaymentsQueue",
        dead_letter_queue="PaymentsDLQ",
        event_source="PaymentsEventSource",
        has_circuit=True,
        counts=(
            ("PaymentsCharged", "charged"),
            ("PaymentsDeclined", "declined"),
            ("PaymentsRefunded", "refunded"),
            ("OrdersRefused", "refused"),
            ("PaymentsFailed", "failed tries"),
        ),
    ),
    Step(
        "inventory",
        function="InventoryFunction",
        function_name="inventory-processor",
        takes=_types(Command),
        queue="InventoryQueue",
        dead_letter_queue="InventoryDLQ",
        event_source="InventoryEventSource",
        counts=(
            ("OrdersReserved", "reserved"),
            ("OrdersRejected", "rejected"),
            ("OrdersReleased", "released"),
            ("OrdersRefused", "refused"),
            ("InventoryFailed", "failed tries"),
        ),
    ),
    Step(
        "tracker",
        function="TrackerFunction",
        function_name="order-tracker",
        takes=_types(Outcome),
        queue="OutcomesQueue",
        dead_letter_queue="OutcomesDLQ",
        event_source="OutcomesEventSource",
        counts=(
            ("OrdersConfirmed", "confirmed"),
            ("OrdersCancelled", "cancelled"),
            ("OutcomesFailed", "failed tries"),
        ),
    ),
    Step(
        "notifications",
        function="NotificationFunction",
        function_name="notifications",
        takes=_types(Milestone),
        dead_letter_queue="NotificationsDLQ",
        counts=(("UpdatesPublished", "published"),),
    ),
    Step(
        "order-updates",
        queue="OrderUpdatesQueue",
        dead_letter_queue="OrderUpdatesDLQ",
    ),
    Step(
        "caretaker",
        function="CaretakerFunction",
        function_name="caretaker",
        counts=(("EventsRepeated", "repeated"), ("MessagesRedriven", "redriven")),
    ),
    Step("auditor", function="AuditorFunction", function_name="auditor"),
    Step(
        "circuit-breaker",
        function="CircuitBreakerFunction",
        function_name="circuit-breaker",
        takes=_types(Alert),
    ),
)

RULES = (
    Rule("OrderRule", "order-placed"),
    Rule("OutcomesRule", "order-outcomes"),
    Rule("CancelledRule", "order-cancelled"),
    # It only sends order updates, which the shop's services would get again.
    Rule("ConfirmedRule", "order-confirmed", is_replayed=False),
    # What it tells is over.
    Rule("PaymentsFailingRule", "payments-failing", is_replayed=False),
)

FUNCTION_NAMES = tuple(step.function_name for step in STEPS if step.function)

CONSUMERS = {step.name: step for step in STEPS if step.event_source}
"""The steps that can be paused."""

BY_DEAD_LETTER_QUEUE = {step.dead_letter_queue: step for step in STEPS if step.dead_letter_queue}
