"""Orders that end without anybody's help, and what waits for a person all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from orderctl.deploying import package
from orderctl.deploying.package import Target
from support.pipeline import PipelineUnderTest, eventually

# A redriven message waits 0, 15, 30 … seconds.
LONG = 120


@pytest.fixture
def soon(pipeline: PipelineUnderTest) -> Iterator[PipelineUnderTest]:
    """The pipeline with a caretaker that does not wait for minutes."""
    artifact = package.build(Target.this_machine())
    pipeline.cloud.deploy(
        artifact, parameters={"RepublishAfterSeconds": "2", "OrderDeadlineMinutes": "60"}
    )
    yield pipeline
    pipeline.cloud.deploy(
        artifact,
        parameters={
            "RepublishAfterSeconds": "300",
            "OrderDeadlineMinutes": "1440",
            "ChargeFailureRate": "0",
        },
    )


def test_orders_whose_caller_never_calls_again_end(soon: PipelineUnderTest) -> None:
    sku = soon.sku("caller-gone")
    soon.set_stock({sku: 10})
    ids = soon.ids(5)
    with soon.without_permission("OrderApiRole", "events:PutEvents"):
        for order_id in ids:
            items = [{"sku": sku, "quantity": 2}]
            answer = soon.api.place({"order_id": order_id, "amount": 5, "items": items})
            assert answer.status == 503
    eventually(lambda: soon.statuses(ids) == dict.fromkeys(ids, "confirmed"), LONG)
    assert soon.charged(ids) == soon.reserved(ids) == set(ids)
    assert soon.stock.available()[sku] == 0
    eventually(lambda: not set(soon.unfinished()) & set(ids))


@pytest.mark.long
def test_what_was_parked_for_a_passing_reason_comes_back_by_itself(
    soon: PipelineUnderTest,
) -> None:
    artifact = package.build(Target.this_machine())
    soon.cloud.deploy(artifact, parameters={"ChargeFailureRate": "1"})
    ids = soon.ids(3)
    soon.publish(*[{"order_id": order_id, "amount": 5} for order_id in ids])

    def redriven() -> set[str]:
        lines = soon.log_lines("caretaker")
        return {line["order_id"] for line in lines if line.get("message") == "redriven"}

    eventually(lambda: redriven() >= set(ids), LONG)
    attempts = [
        line["attempt"]
        for line in soon.log_lines("payments-processor")
        if line.get("order_id") == ids[0]
    ]
    assert attempts[:4] == [1, 2, 3, 1]
    soon.cloud.deploy(artifact, parameters={"ChargeFailureRate": "0"})
    eventually(lambda: soon.statuses(ids) == dict.fromkeys(ids, "confirmed"), LONG)
    eventually(lambda: not any(soon.dead_letters.depths().values()))
    assert soon.alarms.states()["payments-dlq"] == "OK", "nobody was needed"


@pytest.mark.long
def test_what_was_denied_waits_for_a_person_and_its_order_ends_without_it(
    soon: PipelineUnderTest,
) -> None:
    (order_id,) = soon.ids(1)
    with soon.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
        soon.api.place({"order_id": order_id, "amount": 5})
        eventually(lambda: soon.dead_letters.depths()["payments-dlq"] >= 1)
        eventually(lambda: soon.alarms.states()["payments-dlq"] == "ALARM")
    eventually(lambda: soon.statuses([order_id]) == {order_id: "confirmed"}, LONG)
    assert soon.dead_letters.depths()["payments-dlq"] >= 1
    soon.dead_letters.queue("PaymentsDLQ").redrive()
    eventually(lambda: not soon.dead_letters.depths()["payments-dlq"])
    eventually(soon.idle)
    assert soon.statuses([order_id]) == {order_id: "confirmed"}


@pytest.mark.parametrize("missing", ["payments", "inventory"])
def test_an_order_that_is_not_settled_in_time_is_cancelled_and_gets_all_back(
    soon: PipelineUnderTest, missing: str
) -> None:
    sku = soon.sku(f"late-{missing}")
    soon.set_stock({sku: 10})
    (order_id,) = soon.ids(1)
    soon.consumer(missing).switch(on=False)
    try:
        items = [{"sku": sku, "quantity": 2}]
        soon.api.place({"order_id": order_id, "amount": 5, "items": items})
        done = soon.reserved if missing == "payments" else soon.charged
        eventually(lambda: done([order_id]))
        soon.backdate(order_id, timedelta(minutes=61))
        eventually(lambda: soon.statuses([order_id]) == {order_id: "cancelled"}, LONG)
    finally:
        soon.consumer(missing).switch(on=True)
    assert soon.api.show(order_id).body["reason"] == "not settled in time"

    def is_given_back() -> bool:
        payment = soon.orders.payments([order_id]).get(order_id, {})
        reservation = soon.orders.reservations([order_id]).get(order_id, {})
        # Which of the waiting messages comes first, the order or its cancel, is open.
        return payment.get("state") in ("voided", "refunded") and (
            reservation.get("state") in ("voided", "released")
        )

    eventually(lambda: is_given_back() and soon.idle(), LONG)
    assert is_given_back(), "what came late changed nothing"
    assert soon.stock.available()[sku] == 10
    eventually(lambda: order_id not in soon.unfinished())
    assert soon.statuses([order_id]) == {order_id: "cancelled"}
