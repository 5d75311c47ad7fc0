"""One name for a step, wherever a command asks for a part of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from orderctl.errors import UsageError
from orderctl.pipeline.names import find_step
from orderctl.pipeline.stack import Stack
from orderctl.pipeline.steps import BY_DEAD_LETTER_QUEUE, CONSUMERS, STEPS

HOST = "https://sqs.eu-central-1.amazonaws.com/123456789012"
BLUE = cast(
    Stack,
    SimpleNamespace(
        prefix="blue-",
        outputs={
            "PaymentsQueueUrl": f"{HOST}/blue-payments",
            "PaymentsDLQUrl": f"{HOST}/blue-payments-dlq",
            "OutcomesQueueUrl": f"{HOST}/blue-order-outcomes",
            "OrderUpdatesQueueUrl": f"{HOST}/blue-order-updates.fifo",
            "OrderUpdatesDLQUrl": f"{HOST}/blue-order-updates-dlq.fifo",
        },
    ),
)


@pytest.mark.parametrize(
    ("typed", "step"),
    [
        ("payments", "payments"),
        ("payments-processor", "payments"),
        ("blue-payments-processor", "payments"),
        ("blue-payments", "payments"),
        ("payments-dlq", "payments"),
        ("order-outcomes", "tracker"),
        ("order-tracker", "tracker"),
        ("order-updates-dlq.fifo", "order-updates"),
        ("blue-order-updates-dlq", "order-updates"),
        ("circuit-breaker", "circuit-breaker"),
    ],
)
def test_a_step_is_found_by_its_name_and_by_those_on_aws(typed: str, step: str) -> None:
    assert find_step(typed, STEPS, BLUE, what="step").name == step


def test_an_unknown_one_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find_step("payment", CONSUMERS.values(), BLUE, what="consumer")
    assert str(caught.value) == (
        "There is no consumer payment. Did you mean payments? "
        "The consumers are: payments, inventory, tracker"
    )


def test_a_step_without_what_is_asked_for_is_unknown() -> None:
    with pytest.raises(UsageError, match="no step with dead letters caretaker"):
        find_step("caretaker", BY_DEAD_LETTER_QUEUE.values(), BLUE, what="step with dead letters")


def test_names_can_be_typed_and_mean_one_step_each() -> None:
    names = [step.name for step in STEPS]
    assert len(set(names)) == len(names)
    assert not [name for name in names if " " in name]
