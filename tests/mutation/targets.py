"""The modules that are changed, and the tests near each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
SOURCES: Final = TESTS.parent / "src"

TARGETS: Final = {
    "orders.payments.decisions": ("unit/payments/test_decisions.py", "unit/payments"),
    "orders.payments.ledger": ("unit/payments/test_handler.py",),
    "orders.payments.provider": ("unit/payments/test_provider.py", "unit/payments/test_handler.py"),
    "orders.payments.tries": ("unit/payments/test_tries.py", "unit/payments/test_handler.py"),
    "orders.payments.handler": ("unit/payments/test_handler.py",),
    "orders.inventory.decisions": ("unit/inventory/test_decisions.py", "unit/inventory"),
    "orders.inventory.reservations": ("unit/inventory/test_handler.py",),
    "orders.inventory.handler": ("unit/inventory/test_handler.py",),
    "orders.tracker.decisions": (
        "unit/tracker/test_decisions.py",
        "property/test_tracker.py",
        "unit/tracker/test_handler.py",
    ),
    "orders.tracker.handler": ("unit/tracker/test_handler.py",),
    "orders.caretaker.decisions": ("unit/caretaker/test_decisions.py", "unit/caretaker"),
    "orders.caretaker.parked": ("unit/caretaker/test_handler.py",),
    "orders.caretaker.handler": ("unit/caretaker/test_handler.py",),
    "orders.circuit_breaker.decisions": (
        "unit/circuit_breaker/test_decisions.py",
        "unit/circuit_breaker",
    ),
    "orders.circuit_breaker.circuits": ("unit/circuit_breaker/test_handler.py",),
    "orders.circuit_breaker.consumer": ("unit/circuit_breaker/test_handler.py",),
    "orders.circuit_breaker.handler": ("unit/circuit_breaker/test_handler.py",),
    "orders.notifications.decisions": ("unit/notifications",),
    "orders.notifications.handler": ("unit/notifications",),
    "orders.order_api.caller": ("unit/order_api/test_caller.py",),
    "orders.order_api.responses": (
        "unit/order_api/test_responses.py",
        "unit/order_api/test_handler.py",
        "unit/order_api/test_caller.py",
    ),
    "orders.order_api.validation": (
        "unit/order_api/test_validation.py",
        "unit/order_api/test_handler.py",
    ),
    "orders.order_api.handler": (
        "unit/order_api/test_handler.py",
        "unit/order_api/test_caller.py",
    ),
    "orders.order": (
        "unit/test_order.py",
        "unit/tracker/test_decisions.py",
        "unit/aws/test_items.py",
        "unit/order_api",
    ),
    "orders.audit.decisions": ("unit/audit/test_decisions.py", "unit/audit/test_handler.py"),
    "orders.audit.history": ("unit/audit/test_history.py",),
    "orders.aws.sqs": ("unit/aws/test_sqs.py", "unit/tracker/test_handler.py", "unit/payments"),
    "orders.aws.dynamodb": ("unit/aws/test_dynamodb.py", "unit/aws/test_items.py"),
    "orders.aws.items": ("unit/aws/test_items.py", "property/test_reading.py"),
    "orders.aws.order_table": (
        "unit/aws/test_order_table.py",
        "unit/tracker/test_handler.py",
        "unit/order_api/test_handler.py",
        "unit/caretaker/test_handler.py",
    ),
    "orders.aws.patience": ("unit/aws/test_patience.py",),
    "orders.aws.bus": ("unit/aws/test_bus.py",),
    "orders.aws.errors": ("unit/aws/test_errors.py", "unit/aws/wire/test_client.py"),
    "orders.aws.wire.signing": ("unit/aws/wire/test_requests.py", "unit/aws/wire/test_client.py"),
    "orders.aws.wire.protocols": (
        "unit/aws/wire/test_protocols.py",
        "unit/aws/wire/test_requests.py",
        "unit/aws/wire/test_answers.py",
        "unit/aws/wire/test_client.py",
    ),
    "orders.aws.wire.client": (
        "unit/aws/wire/test_client.py",
        "unit/aws/wire/test_requests.py",
        "unit/aws/wire/test_answers.py",
    ),
    "orders.aws.wire.connection": (
        "unit/aws/wire/test_connection.py",
        "unit/aws/wire/test_client.py",
    ),
    "orders.aws.wire.endpoints": (
        "unit/aws/wire/test_endpoints.py",
        "unit/aws/wire/test_requests.py",
    ),
}
"""By module the tests near it, in the order in which they are run; paths below ``tests``."""


def source_of(module: str) -> str:
    """The source of a module."""
    return SOURCES.joinpath(*module.split(".")).with_suffix(".py").read_text()
