"""Every alarm is made to ring and to stop again; the dead-letter queues' are in test_pipeline."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

import pytest
from mypy_boto3_lambda import LambdaClient

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.gaps.cloudwatch.alarms import ALARM_MINUTE_SECONDS
from orderctl.pipeline.steps import CONSUMERS, FUNCTION_NAMES
from support.pipeline import PipelineUnderTest, eventually

CONSUMING = [step.function_name for step in CONSUMERS.values()]
# The dead-letter queues' alarms are in test_pipeline.py, and so is the first one; the audit's are
# in test_audit.py, the circuit's in test_circuit_breaker.py.
ELSEWHERE = {
    *("stuck-orders", "notifications-event-age", "payments-circuit"),
    *("audit-findings", "audit-overdue"),
}
# The schedule must come round once.
RINGING_SECONDS = 75
# An alarm that rings for two of three minutes looks back past them for missing datapoints.
QUIET_SECONDS = 10 * ALARM_MINUTE_SECONDS


@pytest.fixture
def functions(pipeline: PipelineUnderTest) -> LambdaClient:
    client: LambdaClient = pipeline.cloud.session().client("lambda")
    return client


@contextmanager
def paused(functions: LambdaClient, *names: str) -> Iterator[None]:
    """Take nothing from these consumers' queues for a while."""
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    chosen = [m["UUID"] for m in mappings if m["FunctionArn"].rpartition(":")[2] in names]
    assert len(chosen) == len(names)
    for mapping in chosen:
        functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        yield
    finally:
        for mapping in chosen:
            functions.update_event_source_mapping(UUID=mapping, Enabled=True)


@contextmanager
def closed(pipeline: PipelineUnderTest, *queue_outputs: str) -> Iterator[None]:
    """Take away the policies of queues for a while: nobody may send to them."""
    policies = {}
    for output in queue_outputs:
        url = pipeline.stack.outputs[output]
        found = pipeline.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        policies[url] = found["Attributes"]["Policy"]
        pipeline.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    try:
        yield
    finally:
        for url, policy in policies.items():
            pipeline.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


@contextmanager
def without_callers(functions: LambdaClient, *names: str) -> Iterator[None]:
    """Take away for a while what lets rules call functions."""
    removed = []
    for name in names:
        for statement in json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]:
            functions.remove_permission(FunctionName=name, StatementId=statement["Sid"])
            removed.append((name, statement))
    try:
        yield
    finally:
        for name, statement in removed:
            functions.add_permission(
                FunctionName=name,
                StatementId=statement["Sid"],
                Action=statement["Action"],
                Principal=statement["Principal"]["Service"],
                SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
            )


@contextmanager
def audited_each_minute(pipeline: PipelineUnderTest) -> Iterator[None]:
    """Have audits begin and go on once a minute for a while; they are off by default."""
    names = ("audit", "audit-continuation")
    rules = [pipeline.events.describe_rule(Name=name) for name in names]
    for name in names:
        pipeline.events.put_rule(Name=name, ScheduleExpression="rate(1 minute)", State="ENABLED")
    try:
        yield
    finally:
        for rule in rules:
            pipeline.events.put_rule(
                Name=rule["Name"],
                ScheduleExpression=rule["ScheduleExpression"],
                State=rule["State"],
            )


@contextmanager
def broken_code(functions: LambdaClient, *names: str) -> Iterator[None]:
    """Give functions a handler that is not there, as a bad deployment may."""
    handlers = {
        name: functions.get_function_configuration(FunctionName=name)["Handler"] for name in names
    }
    for name in names:
        functions.update_function_configuration(FunctionName=name, Handler="orders.lost.handler")
    try:
        yield
    finally:
        for name, handler in handlers.items():
            functions.update_function_configuration(FunctionName=name, Handler=handler)


def fail_and_throttle(functions: LambdaClient, name: str) -> None:
    """Call a function that fails, and once more while it may not run."""
    assert "FunctionError" in functions.invoke(FunctionName=name)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        with pytest.raises(functions.exceptions.TooManyRequestsException):
            functions.invoke(FunctionName=name)
    finally:
        functions.delete_function_concurrency(FunctionName=name)


@contextmanager
def ringing_for_old_messages(pipeline: PipelineUnderTest) -> Iterator[None]:
    """Let an age of a second be too much for a while."""
    artifact = package.build(Target.this_machine())
    pipeline.cloud.deploy(artifact, parameters={"QueueAgeAlarmSeconds": "1"})
    try:
        yield
    finally:
        pipeline.cloud.deploy(artifact, parameters={"QueueAgeAlarmSeconds": "300"})


def publish_all_kinds(pipeline: PipelineUnderTest, order_id: str) -> None:
    """Put an event on the bus for every rule."""
    pipeline.publish({"order_id": order_id, "amount": 1})
    pipeline.publish_events(
        [
            ("order.cancelled", {"order_id": order_id, "reason": "test"}),
            ("order.confirmed", {"order_id": order_id}),
        ]
    )
    failing = {"tries": 20, "failed": 20}
    pipeline.publish_events([("payments.failing", failing)], source="com.myapp.payments")


@contextmanager
def failing(functions: LambdaClient, *names: str) -> Iterator[None]:
    """Let functions fail and be throttled, several times a minute of the alarms, for a while."""
    enough = Event()

    def keep_failing(name: str) -> None:
        while not enough.wait(ALARM_MINUTE_SECONDS / 4):
            fail_and_throttle(functions, name)

    with broken_code(functions, *names), ThreadPoolExecutor(len(names)) as at_once:
        calls = [at_once.submit(keep_failing, name) for name in names]
        try:
            yield
        finally:
            enough.set()
            for call in calls:
                call.result()


@pytest.mark.long
def test_every_alarm_rings_for_its_cause_and_is_quiet_without_it(
    pipeline: PipelineUnderTest, functions: LambdaClient
) -> None:
    expected = {name for name in pipeline.alarms.states() if not name.endswith("-dlq")} - ELSEWHERE
    rung: set[str] = set()
    first, second, third = pipeline.ids(3)

    def ringing() -> set[str]:
        return {
            name for name, state in pipeline.alarms.states().items() if state == "ALARM"
        } & expected

    def all_have_rung() -> bool:
        assert pipeline.api.place({"order_id": third, "amount": 1}).status >= 500
        publish_all_kinds(pipeline, second)
        rung.update(ringing())
        return rung == expected

    with (
        ringing_for_old_messages(pipeline),
        paused(functions, *CONSUMING),
        audited_each_minute(pipeline),
        without_callers(functions, "notifications", "caretaker", "circuit-breaker", "auditor"),
        pipeline.without_permission("NotificationRole", "sqs:SendMessage"),
        failing(functions, *FUNCTION_NAMES),
    ):
        publish_all_kinds(pipeline, first)
        functions.invoke(FunctionName="notifications", InvocationType="Event")
        with closed(pipeline, "PaymentsQueueUrl", "OutcomesQueueUrl", "UndeliverableEventsDLQUrl"):
            with suppress(AssertionError):
                eventually(all_have_rung, RINGING_SECONDS)
            assert not expected - rung, "these never rang"
    eventually(lambda: not ringing(), QUIET_SECONDS)


@contextmanager
def ringing_for_late_events(pipeline: PipelineUnderTest) -> Iterator[None]:
    """Let half a second be too late for a while, in place of five minutes."""
    cloudwatch = pipeline.cloud.session().client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["notifications-event-age"])["MetricAlarms"]
    shape = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape
    assert shape is not None
    known: Any = {key: value for key, value in alarm.items() if key in shape.members}
    cloudwatch.put_metric_alarm(**known | {"Threshold": 500})
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**known)


def test_events_that_wait_for_notifications_ring(
    pipeline: PipelineUnderTest, functions: LambdaClient
) -> None:
    def rings() -> bool:
        functions.invoke(FunctionName="notifications", InvocationType="Event")
        return pipeline.alarms.states()["notifications-event-age"] == "ALARM"

    with ringing_for_late_events(pipeline):
        functions.put_function_concurrency(
            FunctionName="notifications", ReservedConcurrentExecutions=0
        )
        try:
            eventually(rings, RINGING_SECONDS)
        finally:
            functions.delete_function_concurrency(FunctionName="notifications")
    eventually(
        lambda: pipeline.alarms.states()["notifications-event-age"] != "ALARM",
        QUIET_SECONDS,
    )


def test_what_is_not_delivered_but_parked_is_not_lost(pipeline: PipelineUnderTest) -> None:
    (order_id,) = pipeline.ids(1)
    with closed(pipeline, "PaymentsQueueUrl"):
        pipeline.publish({"order_id": order_id, "amount": 1})
        eventually(lambda: pipeline.alarms.states()["order-placed-failed-deliveries"] == "ALARM")
    assert pipeline.alarms.states()["order-placed-lost-events"] == "OK"


def test_a_new_revision_of_the_policies_mends_those_changed_by_hand(
    pipeline: PipelineUnderTest,
) -> None:
    (order_id,) = pipeline.ids(1)
    artifact = package.build(Target.this_machine())
    queue = pipeline.stack.outputs["PaymentsQueueUrl"]
    pipeline.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
        pipeline.cloud.deploy(artifact, parameters={"PolicyRevision": uuid.uuid4().hex[:8]})
        pipeline.publish({"order_id": order_id, "amount": 1})
        eventually(lambda: pipeline.charged([order_id]))
