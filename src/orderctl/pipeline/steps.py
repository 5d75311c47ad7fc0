"""The steps of the pipeline from left to right, by the names the template gives their parts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it consists of, and what it counts."""

    name: str
    function: str | None = None
    """The logical id of its function."""
    queue: str | None = None
    """The output with the URL of the queue it works on."""
    dead_letter_queue: str | None = None
    """The output with the URL of the queue it parks on."""
    event_source: str | None = None
    """The logical id of the event source mapping between the two."""
    counts: tuple[tuple[str, str], ...] = ()
    """The metrics of its function in the namespace OrderPipeline, and what to call them."""


STEPS = (
    Step(
        "order-api",
        function="OrderApiFunction",
        counts=(
            ("OrdersPlaced", "placed"),
            ("OrdersInvalid", "invalid"),
            ("RequestsNotServed", "not served"),
        ),
    ),
    Step("event bus", dead_letter_queue="UndeliverableEventsDLQUrl"),
    Step(
        "payments",
        function="PaymentsFunction",
        queue="PaymentsQueueUrl",
        dead_letter_queue="PaymentsDLQUrl",
        event_source="PaymentsEventSource",
        counts=(
            ("PaymentsCharged", "charged"),
            ("PaymentsDeclined", "declined"),
            ("PaymentsRefunded", "refunded"),
            ("PaymentsFailed", "failed tries"),
        ),
    ),
    Step(
        "inventory",
        function="InventoryFunction",
        queue="InventoryQueueUrl",
        dead_letter_queue="InventoryDLQUrl",
        event_source="InventoryEventSource",
        counts=(
            ("OrdersReserved", "reserved"),
            ("OrdersRejected", "rejected"),
            ("OrdersReleased", "released"),
            ("InventoryFailed", "failed tries"),
        ),
    ),
    Step(
        "tracker",
        function="TrackerFunction",
        queue="OutcomesQueueUrl",
        dead_letter_queue="OutcomesDLQUrl",
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
        dead_letter_queue="NotificationsDLQUrl",
        counts=(("UpdatesPublished", "published"),),
    ),
    Step(
        "order updates",
        queue="OrderUpdatesQueueUrl",
        dead_letter_queue="OrderUpdatesDLQUrl",
    ),
)

CONSUMERS = {step.name: step for step in STEPS if step.event_source}
"""The steps that can be paused."""
