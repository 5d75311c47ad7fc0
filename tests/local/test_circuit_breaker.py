"""An outage of the card processor: payments is paused, tried, and goes on without a hand."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.pipeline.times import format_time
from orders.circuit_breaker.consumer import Consumer
from orders.circuit_breaker.decisions import Circuit, Trial
from orders.events import decode_command
from support.command_line import Orderctl
from support.pipeline import PipelineUnderTest, eventually

LONG = 60
OUTAGE = {"ChargeFailureRate": "1"}
OVER = {"ChargeFailureRate": "0"}


def deploy(pipeline: PipelineUnderTest, parameters: dict[str, str]) -> None:
    pipeline.cloud.deploy(package.build(Target.this_machine()), parameters=parameters)


@pytest.fixture
def quick(pipeline: PipelineUnderTest) -> Iterator[PipelineUnderTest]:
    """The pipeline with a circuit breaker that does not wait for minutes."""
    breaker = {"BreakerTries": "4", "BreakerPauseSeconds": "3", "RetryDelaySeconds": "3"}
    deploy(pipeline, breaker | OUTAGE)
    yield pipeline
    pipeline.consumer("payments").switch(on=True)
    before = {"BreakerTries": "1000", "BreakerPauseSeconds": "60", "RetryDelaySeconds": "0"}
    deploy(pipeline, before | OVER)


def circuit(pipeline: PipelineUnderTest) -> Circuit:
    assert pipeline.circuits
    return pipeline.circuits.get("payments")


def mapping(pipeline: PipelineUnderTest) -> str:
    return pipeline.consumer("payments").state()


def test_a_few_orders_can_try_while_payments_is_paused(pipeline: PipelineUnderTest) -> None:
    payments = pipeline.consumer("payments")
    payments.switch(on=False)
    try:
        eventually(lambda: payments.state() == "Disabled")
        (order_id,) = pipeline.ids(1)
        pipeline.publish({"order_id": order_id, "amount": 5})
        functions, sqs = pipeline.session.client("lambda"), pipeline.session.client("sqs")
        consumer = Consumer(
            lambda: functions,
            lambda: sqs,
            name="payments",
            mapping="",
            function=pipeline.stack.physical_id("PaymentsFunction"),
            queue_url=pipeline.stack.outputs["PaymentsQueueUrl"],
            decode=decode_command,
        )
        eventually(lambda: consumer.try_some() == Trial(1, 0))
        assert pipeline.charged([order_id]) == {order_id}
    finally:
        payments.switch(on=True)
    eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})


@pytest.mark.long
def test_an_outage_pauses_payments_until_a_few_orders_succeed(
    quick: PipelineUnderTest, orderctl: Orderctl
) -> None:
    ids = quick.ids(20)
    quick.publish(*[{"order_id": order_id, "amount": 5} for order_id in ids])
    eventually(lambda: circuit(quick).state != "closed", LONG)
    eventually(lambda: mapping(quick) == "Disabled", LONG)

    shown = orderctl("status").stdout
    assert "tries of the card processor failed" in shown
    assert "paused   payments (Disabled) by the circuit breaker" in shown
    facts = json.loads(orderctl("status", "--json").stdout)
    (seen,) = [step["circuit"] for step in facts["steps"] if step["step"] == "payments"]
    assert seen["state"] in ("open", "half-open")
    since = circuit(quick).since
    assert since
    assert seen["since"] == format_time(since)

    def tests() -> list[tuple[int, int]]:
        lines = quick.log_lines("circuit-breaker")
        tested = [it for it in lines if it.get("message") == "circuit tested"]
        return [(it["tried"], it["failed"]) for it in tested if it["tried"]]

    eventually(lambda: len(tests()) >= 2, LONG)
    assert all(tried == failed for tried, failed in tests())
    assert mapping(quick) == "Disabled"
    eventually(lambda: quick.alarms.states()["payments-circuit"] == "ALARM", LONG)

    deploy(quick, OVER)
    eventually(lambda: circuit(quick).is_closed, LONG)
    eventually(lambda: quick.statuses(ids) == dict.fromkeys(ids, "confirmed"), LONG)
    assert mapping(quick) == "Enabled"
    assert quick.charged(ids) == set(ids)
    eventually(lambda: not any(quick.dead_letters.depths().values()), LONG)
    eventually(lambda: quick.alarms.states()["payments-circuit"] == "OK", LONG)


@pytest.mark.long
def test_what_an_operator_holds_the_breaker_does_not_resume(
    quick: PipelineUnderTest, orderctl: Orderctl
) -> None:
    ids = quick.ids(12)
    quick.publish(*[{"order_id": order_id, "amount": 5} for order_id in ids])
    eventually(lambda: not circuit(quick).is_closed, LONG)
    orderctl("pause", "payments")
    deploy(quick, OVER)
    before = circuit(quick)
    assert before.on_hold

    def runs() -> int:
        return len([it for it in quick.log_lines("circuit-breaker") if "CircuitOpen" in it])

    seen = runs()
    eventually(lambda: runs() >= seen + 3, LONG)
    assert mapping(quick) == "Disabled"
    assert not quick.charged(ids)
    assert "to resume it" in orderctl("status").stdout

    orderctl("resume", "payments")
    eventually(lambda: quick.statuses(ids) == dict.fromkeys(ids, "confirmed"), LONG)
    assert circuit(quick).is_closed
    assert circuit(quick).on_hold is None
