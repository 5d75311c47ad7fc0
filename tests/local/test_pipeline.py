"""The whole template on the local cloud, IAM enforced, seen from outside."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from urllib3 import BaseHTTPResponse

from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.pipeline.audit import audit
from orderctl.pipeline.steps import CONSUMERS
from support.lambdas import order_placed
from support.pipeline import PATIENCE_SECONDS, PipelineUnderTest, eventually


def order(order_id: str, **items: int) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in items.items()]
    return {"order_id": order_id, "amount": 9.99, **({"items": lines} if lines else {})}


def collect_updates(
    pipeline: PipelineUnderTest, ids: list[str], within: float = PATIENCE_SECONDS
) -> dict[str, list[str]]:
    """Receive updates until each order's start and end were told, and a moment longer."""
    seen: dict[str, list[str]] = {order_id: [] for order_id in ids}

    def take() -> None:
        while updates := pipeline.take_updates():
            for update in updates:
                if update["order_id"] in seen:
                    seen[update["order_id"]].append(update["status"])

    def all_told() -> bool:
        take()
        return all(
            "placed" in statuses and {"confirmed", "cancelled"} & set(statuses)
            for statuses in seen.values()
        )

    eventually(all_told, within)
    time.sleep(1)
    take()
    return seen


class TestTheWayOfAnOrder:
    def test_a_posted_order_is_charged_reserved_and_announced(
        self, pipeline: PipelineUnderTest
    ) -> None:
        sku = pipeline.sku("way-of-an-order")
        pipeline.set_stock({sku: 5})
        (order_id,) = pipeline.ids(1)
        answer = pipeline.api.place(order(order_id, **{sku: 2}))
        assert (answer.status, answer.body) == (202, {"order_id": order_id, "status": "placed"})
        eventually(lambda: pipeline.charged([order_id]) and pipeline.reserved([order_id]))
        assert pipeline.stock.available()[sku] == 3
        assert collect_updates(pipeline, [order_id]) == {order_id: ["placed", "confirmed"]}
        shown = pipeline.api.show(order_id).body
        assert (shown["status"], shown["payment"], shown["inventory"]) == (
            "confirmed",
            "charged",
            "reserved",
        )
        assert [step["type"] for step in shown["history"]][::3] == [
            "order.placed",
            "order.confirmed",
        ]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not JSON",
            b"[]",
            b"x" * 1_000_000,
            b'{"amount":NaN}',
            b'{"amount":1e400}',
            b'{"amount":"12"}',
            b'{"amount":-1}',
            b'{"amount":1.234}',
            b"{}",
            b'{"amount":1,"x":1}',
            b'{"amount":1,"items":[{"sku":["a"],"quantity":{}}]}',
            b'{"amount":1,"order_id":"a\\u0000b"}',
            b'{"amount":1,"order_id":"\xff\xfe"}',
            b'{"amount":1,"amount":2}',
            base64.b64encode(b'{"amount":1}'),
        ],
    )
    def test_a_body_that_is_no_order_is_a_400_and_goes_no_further(
        self, pipeline: PipelineUnderTest, body: bytes
    ) -> None:
        refused = pipeline.api.post(body)
        assert refused.status == 400
        assert refused.body["errors"]

        def logged() -> set[str]:
            return {str(line.get("message")) for line in pipeline.log_lines("order-api")}

        eventually(lambda: "order invalid" in logged())  # on AWS it can be read some time later
        assert "placed" not in logged()


class TestOutsidePublishers:
    def test_an_order_published_many_times_has_one_effect(
        self, pipeline: PipelineUnderTest
    ) -> None:
        sku = pipeline.sku("many-times")
        pipeline.set_stock({sku: 100})
        ids = pipeline.ids(5)
        pipeline.publish(*[order(i, **{sku: 1}) for i in ids * 20])
        eventually(lambda: pipeline.reserved(ids) == set(ids) and pipeline.idle())
        assert pipeline.stock.available()[sku] == 95
        assert pipeline.charged(ids) == set(ids)

        def logged() -> set[str]:
            lines = pipeline.log_lines("payments-processor")
            return {line["order_id"] for line in lines if line.get("message") == "charged"}

        eventually(lambda: logged() >= set(ids))  # on AWS lines can be read some time later

    def test_unknown_fields_are_ignored(self, pipeline: PipelineUnderTest) -> None:
        (order_id,) = pipeline.ids(1)
        pipeline.publish({**order(order_id), "gift": True, "nested": {"a": [1]}})
        eventually(lambda: pipeline.charged([order_id]) and pipeline.reserved([order_id]))

    def test_an_unreadable_message_is_parked_alone(self, pipeline: PipelineUnderTest) -> None:
        ids = pipeline.ids(9)
        bodies = [json.dumps(order_placed(i)) for i in ids]
        for queue in ("Payments", "Inventory"):
            pipeline.send(f"{queue}QueueUrl", *bodies[:5], "unreadable", *bodies[5:])
        eventually(lambda: pipeline.queue("PaymentsDLQ").depth() == 1)
        eventually(lambda: pipeline.queue("InventoryDLQ").depth() == 1)
        assert pipeline.charged(ids) == pipeline.reserved(ids) == set(ids)
        eventually(lambda: pipeline.alarms.states()["payments-dlq"] == "ALARM")
        assert pipeline.alarms.states()["notifications-dlq"] == "OK", (
            "an alarm looks at its own queue"
        )
        reasons = [
            line["reason"]
            for line in pipeline.log_lines("payments-processor")
            if line.get("message") == "message cannot be read"
        ]
        assert len(reasons) >= 3
        assert "JSON is malformed" in reasons[-1]
        pipeline.drain_dead_letter_queues()

    def test_scarce_stock_is_not_oversold(self, pipeline: PipelineUnderTest) -> None:
        scarce, plenty = pipeline.sku("scarce"), pipeline.sku("plenty")
        pipeline.set_stock({scarce: 50, plenty: 1000})
        ids = pipeline.ids(60)
        pipeline.publish(*[order(i, **{scarce: 2, plenty: 1}) for i in ids])
        eventually(lambda: len(pipeline.orders.reservations(ids)) == 60)
        states = [r["state"] for r in pipeline.orders.reservations(ids).values()]
        assert (states.count("reserved"), states.count("rejected")) == (25, 35)
        assert pipeline.stock.available()[scarce] == 0
        assert pipeline.stock.available()[plenty] == 975


class TestCancel:
    @pytest.mark.parametrize("when", ["before", "between", "after"])
    def test_a_cancel_by_raw_event_leaves_nothing_charged_or_reserved(
        self, pipeline: PipelineUnderTest, when: str
    ) -> None:
        sku = pipeline.sku(f"cancelled-{when}")
        pipeline.set_stock({sku: 10})
        ids = pipeline.ids(5)
        placed = [("order.placed", order(i, **{sku: 2})) for i in ids]
        cancelled = [("order.cancelled", {"order_id": i, "reason": "raw"}) for i in ids]
        if when == "before":
            pipeline.publish_events(cancelled + placed)
        elif when == "between":
            pipeline.publish_events(
                [e for pair in zip(placed, cancelled, strict=True) for e in pair]
            )
        else:
            pipeline.publish_events(placed)
            eventually(lambda: len(pipeline.reserved(ids)) == 5)
            pipeline.publish_events(cancelled)
        eventually(lambda: pipeline.statuses(ids) == dict.fromkeys(ids, "cancelled"))
        eventually(lambda: pipeline.idle() and len(pipeline.orders.payments(ids)) == 5)
        assert {p["state"] for p in pipeline.orders.payments(ids).values()} <= {
            "voided",
            "refunded",
        }
        assert {r["state"] for r in pipeline.orders.reservations(ids).values()} <= {
            "voided",
            "released",
        }
        assert pipeline.stock.available()[sku] == 10

    def test_a_pending_order_is_cancelled_through_the_api(
        self, pipeline: PipelineUnderTest
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
            pipeline.api.place(order(order_id))
            eventually(lambda: pipeline.reserved([order_id]))
            assert pipeline.api.cancel(order_id).status == 202
            eventually(lambda: pipeline.statuses([order_id]) == {order_id: "cancelled"})
        eventually(
            lambda: pipeline.orders.reservations([order_id])[order_id]["state"] == "released"
        )
        assert pipeline.api.show(order_id).body["reason"] == "cancel requested"

    def test_a_confirmed_order_is_not(self, pipeline: PipelineUnderTest) -> None:
        (order_id,) = pipeline.ids(1)
        pipeline.api.place(order(order_id))
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        refused = pipeline.api.cancel(order_id)
        assert (refused.status, refused.body["title"]) == (409, "Too late to cancel")

    def test_nobody_knows_an_unknown_order(self, pipeline: PipelineUnderTest) -> None:
        assert pipeline.api.show("nobody").status == pipeline.api.cancel("nobody").status == 404


class TestTheFrontDoor:
    def test_the_same_order_again_and_a_different_one(self, pipeline: PipelineUnderTest) -> None:
        (order_id,) = pipeline.ids(1)
        first = pipeline.api.place(order(order_id))
        assert pipeline.api.place(order(order_id)) == first
        assert pipeline.api.place({**order(order_id), "amount": 10}).status == 409
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        assert pipeline.api.place(order(order_id)) == first
        assert collect_updates(pipeline, [order_id]) == {order_id: ["placed", "confirmed"]}


class TestLocation:
    def test_of_a_posted_and_of_a_cancelled_order_leads_to_it(
        self, pipeline: PipelineUnderTest
    ) -> None:
        (order_id,) = pipeline.ids(1)
        address = f"{pipeline.stack.outputs['ApiUrl']}/orders"
        body = order(order_id, **{"never-in-stock": 1})  # so that it is never confirmed
        posted = answer(pipeline, "POST", address, json.dumps(body).encode())
        assert posted.status == 202
        followed = urljoin(address, posted.headers["Location"])
        assert answer(pipeline, "GET", followed).json()["order_id"] == order_id
        cancelled = answer(pipeline, "DELETE", followed)
        assert cancelled.status == 202
        assert urljoin(followed, cancelled.headers["Location"]) == followed

    def test_of_a_tested_method_leads_to_it(self, pipeline: PipelineUnderTest) -> None:
        (order_id,) = pipeline.ids(1)
        gateway, api = pipeline.apigateway, pipeline.stack.outputs["ApiId"]
        resources = {r["path"]: r["id"] for r in gateway.get_resources(restApiId=api)["items"]}
        posted = gateway.test_invoke_method(
            restApiId=api,
            resourceId=resources["/orders"],
            httpMethod="POST",
            pathWithQueryString="/orders",
            body=json.dumps(order(order_id)),
        )
        headers = {name.lower(): value for name, value in posted["headers"].items()}
        shown = gateway.test_invoke_method(
            restApiId=api,
            resourceId=resources["/orders/{order_id}"],
            httpMethod="GET",
            pathWithQueryString=urljoin("/orders", headers["location"]),
        )
        assert json.loads(shown["body"])["order_id"] == order_id


def answer(
    pipeline: PipelineUnderTest, method: str, url: str, body: bytes | None = None
) -> BaseHTTPResponse:
    """What the API answers to a signed request, with its headers."""
    headers = pipeline.api._authorize(method, url, body, {"Content-Type": "application/json"})
    return pipeline.api._pool.request(method, url, body=body, headers=headers)


@pytest.mark.long
class TestLoadAndCrashes:
    def test_the_books_balance_after_a_burst_with_failures_declines_scarce_stock_and_kills(
        self, pipeline: PipelineUnderTest, state_directory: Path
    ) -> None:
        with unlucky_cards(pipeline):
            self.burst(pipeline, state_directory)

    def burst(self, pipeline: PipelineUnderTest, state_directory: Path) -> None:
        rare = pipeline.sku("rare")
        pipeline.set_stock({rare: 240})
        ids = pipeline.ids(400)
        for start in range(0, 400, 100):
            pipeline.publish(*[order(i, **{rare: 1}) for i in ids[start : start + 100]])
            for step in CONSUMERS.values():
                kill_workers(state_directory, step.function_name)
        pipeline.publish_events([("order.cancel_requested", {"order_id": i}) for i in ids[::10]])

        def all_ended() -> bool:
            ended = pipeline.statuses(ids)
            unfinished = set(pipeline.unfinished()) & set(ids)
            return len(ended) == len(ids) and not unfinished and pipeline.idle()

        eventually(all_ended, within=180)
        eventually(
            lambda: pipeline.idle() and not any(pipeline.dead_letters.depths().values()),
            within=120,
        )
        report = audit(pipeline)
        unjudged = {*report.moving, *report.skus_moving, *report.skus_unknown}
        assert not {*ids, rare} & (unjudged | {f.subject for f in report.findings})
        told = collect_updates(pipeline, ids, within=120)
        # Of another publisher's order an update may come again, and the last is how it stands.
        for order_id, status in pipeline.statuses(ids).items():
            assert set(told[order_id]) == {"placed", status}
            assert told[order_id][-1] == status


@contextmanager
def unlucky_cards(pipeline: PipelineUnderTest) -> Iterator[None]:
    """Have charges fail and cards be declined for a while."""
    artifact = package.build(Target.this_machine())
    rates = {"ChargeFailureRate": "0.3", "ChargeDeclineRate": "0.2"}
    pipeline.cloud.deploy(artifact, parameters=rates)
    try:
        yield
    finally:
        pipeline.cloud.deploy(artifact, parameters=dict.fromkeys(rates, "0"))


def kill_workers(state_directory: Path, function: str) -> None:
    """Kill a function's running processes in one local cloud, as a lost machine would."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if (
            str(state_directory).encode() in command
            and f"ministack-lambda-{function}".encode() in command
        ):
            os.kill(int(process.name), signal.SIGKILL)


class TestThingsGoWrong:
    def test_a_lost_permission_parks_the_messages_and_a_redrive_completes_them(
        self, pipeline: PipelineUnderTest
    ) -> None:
        ids = pipeline.ids(3)
        with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
            pipeline.publish(*map(order, ids))
            eventually(lambda: pipeline.dead_letters.depths()["payments-dlq"] == 3)
        assert pipeline.reserved(ids) == set(ids), "the other consumer is not affected"
        reasons = {
            line["reason"]
            for line in pipeline.log_lines("payments-processor")
            if line.get("order_id") in ids
        }
        assert all("AccessDenied" in reason for reason in reasons)
        eventually(lambda: pipeline.alarms.states()["payments-dlq"] == "ALARM")
        pipeline.dead_letters.queue("PaymentsDLQ").redrive()
        eventually(lambda: pipeline.charged(ids) == set(ids))
        eventually(lambda: pipeline.alarms.states()["payments-dlq"] == "OK")

    def test_a_bus_that_refuses_is_a_503_that_a_retry_mends(
        self, pipeline: PipelineUnderTest
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with pipeline.without_permission("OrderApiRole", "events:PutEvents"):
            answer = pipeline.api.place(order(order_id))
            assert answer.status == 503
            assert "Send the same request again" in answer.body["detail"]
        assert pipeline.api.place(order(order_id)).status == 202
        eventually(lambda: pipeline.charged([order_id]))

    def test_a_notification_that_keeps_failing_is_parked_with_its_event(
        self, pipeline: PipelineUnderTest
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with pipeline.without_permission("NotificationRole", "sns:Publish"):
            pipeline.publish(order(order_id))
            # That it is confirmed may be parked, too, by the time one looks.
            eventually(lambda: pipeline.dead_letters.depths()["notifications-dlq"] >= 1)
        eventually(lambda: pipeline.alarms.states()["notifications-dlq"] == "ALARM")
        queue = pipeline.stack.outputs["NotificationsDLQUrl"]
        (message,) = pipeline.sqs.receive_message(QueueUrl=queue)["Messages"]
        record = json.loads(message["Body"])
        assert record["requestContext"]["approximateInvokeCount"] == 3
        assert record["requestPayload"]["detail"]["order_id"] == order_id
        assert "AuthorizationError" in json.dumps(record["responsePayload"])

    def test_an_event_no_queue_takes_is_parked_as_undeliverable(
        self, pipeline: PipelineUnderTest
    ) -> None:
        assert pipeline.cloud
        queue = pipeline.stack.outputs["InventoryQueueUrl"]
        policy = pipeline.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])
        (order_id,) = pipeline.ids(1)
        pipeline.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
        try:
            pipeline.publish(order(order_id))
            eventually(lambda: pipeline.dead_letters.depths()["undeliverable-events-dlq"] == 1)
        finally:
            pipeline.sqs.set_queue_attributes(
                QueueUrl=queue, Attributes={"Policy": policy["Attributes"]["Policy"]}
            )
        eventually(lambda: pipeline.charged([order_id]))
        eventually(lambda: pipeline.alarms.states()["undeliverable-events-dlq"] == "ALARM")


def test_an_order_that_does_not_end_rings_until_it_ends(pipeline: PipelineUnderTest) -> None:
    (order_id,) = pipeline.ids(1)
    with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
        pipeline.api.place(order(order_id))
        eventually(lambda: pipeline.dead_letters.depths()["payments-dlq"] == 1)
        pipeline.backdate(order_id, timedelta(minutes=20))
        eventually(lambda: pipeline.alarms.states()["stuck-orders"] == "ALARM")
    pipeline.dead_letters.queue("PaymentsDLQ").redrive()
    eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
    eventually(lambda: pipeline.alarms.states()["stuck-orders"] == "OK")


def test_the_same_event_twice_is_one_update(pipeline: PipelineUnderTest) -> None:
    ids = pipeline.ids(2)
    pipeline.publish(*map(order, ids * 3))
    for told in collect_updates(pipeline, ids).values():
        # The end may be told once more where it came about while `placed` was being told.
        assert told in (["placed", "confirmed"], ["placed", "confirmed", "confirmed"])


def test_a_visit_takes_nothing_from_the_shop_and_leaves_nothing_even_when_it_fails(
    pipeline: PipelineUnderTest,
) -> None:
    """As against a stack that others use: their updates, their stock and their queues stay."""
    cloud, topic = pipeline.cloud, pipeline.stack.outputs["OrderUpdatesTopicArn"]
    sns = cloud.session().client("sns")

    def subscribed() -> set[str]:
        found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return {subscription["Endpoint"] for subscription in found}

    before = subscribed(), pipeline.sqs.list_queues()["QueueUrls"], pipeline.stock.available()
    waiting = pipeline.queue("OrderUpdatesQueue").depth()
    visitor = PipelineUnderTest(cloud.session(), cloud.state.stack_name, None)
    (order_id,) = visitor.ids(1)
    with pytest.raises(ZeroDivisionError), visitor.visiting():
        visitor.set_stock({visitor.sku("mug"): 1})
        visitor.api.place(order(order_id, **{visitor.sku("mug"): 1}))
        collect_updates(visitor, [order_id])
        raise ZeroDivisionError
    eventually(lambda: pipeline.queue("OrderUpdatesQueue").depth() == waiting + 2)
    assert before == (
        subscribed(),
        pipeline.sqs.list_queues()["QueueUrls"],
        pipeline.stock.available(),
    )
