"""The commands of an engineer, typed against the running pipeline."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.command_line import PATIENCE_SECONDS, PROGRAM, Orderctl
from support.pipeline import PipelineUnderTest, eventually


def order(order_id: str) -> dict[str, Any]:
    return {"order_id": order_id, "amount": 9.99}


def on_local(said: str) -> str:
    """What a command says after the line that names what it changes."""
    first, _, rest = said.partition("\n")
    assert first.startswith("on local: stack order-pipeline, http://127.0.0.1:")
    return rest


def confirm(pipeline: PipelineUnderTest, order_id: str) -> None:
    pipeline.api.place(order(order_id))
    eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})


@contextmanager
def payment_held(pipeline: PipelineUnderTest, order_id: str) -> Iterator[None]:
    """An order whose payment cannot be recorded; in the end it is in the dead-letter queue."""
    with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
        pipeline.api.place(order(order_id))
        eventually(
            lambda: pipeline.orders.find([order_id])[order_id].get("inventory") == "reserved"
        )
        yield


class TestOneOrder:
    def test_a_pending_order_is_cancelled_and_shown_with_its_history(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with payment_held(pipeline, order_id):
            result = orderctl("cancel", order_id)
        assert (result.returncode, on_local(result.stderr)) == (0, "")
        assert result.stdout == f"Cancelled {order_id}: cancel requested.\n"
        again = orderctl("cancel", order_id, "--json")
        assert json.loads(again.stdout) == {
            "order_id": order_id,
            "http_status": 202,
            "status": "cancelled",
            "reason": "cancel requested",
        }
        shown = orderctl("order", order_id)
        assert shown.returncode == 0
        lines = [line.split() for line in shown.stdout.splitlines()]
        assert ["status", "cancelled"] in lines
        assert ["amount", "9.99", "USD"] in lines
        assert [line[1] for line in lines if line and line[0].startswith("20")][:2] == [
            "order.placed",
            "inventory.reserved",
        ]

    def test_a_confirmed_order_and_an_unknown_one_are_not(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        confirm(pipeline, order_id)
        late = orderctl("cancel", order_id)
        assert (late.returncode, late.stdout) == (1, "")
        assert on_local(late.stderr).startswith("error: Too late: ")
        unknown = orderctl("cancel", "nobody", "--json")
        assert unknown.returncode == 1
        assert json.loads(unknown.stdout)["http_status"] == 404
        assert orderctl("order", "nobody").stderr == "error: There is no order nobody.\n"

    def test_a_request_that_is_not_served_says_to_try_again(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with (
            payment_held(pipeline, order_id),
            pipeline.without_permission("OrderApiRole", "events:PutEvents"),
        ):
            result = orderctl("cancel", order_id, "--no-wait")
        assert result.returncode == 1
        assert "Try again in a few seconds" in result.stderr


class TestUpdates:
    def test_reading_takes_them(self, pipeline: PipelineUnderTest, orderctl: Orderctl) -> None:
        while pipeline.updates.take():
            pass
        (order_id,) = pipeline.ids(1)
        confirm(pipeline, order_id)
        eventually(lambda: pipeline.queue("OrderUpdatesQueue").depth() == 2)
        read = orderctl("updates")
        assert [line.split()[1:] for line in read.stdout.splitlines()] == [
            [order_id, "placed"],
            [order_id, "confirmed"],
        ]
        nothing = orderctl("updates")
        assert (nothing.returncode, nothing.stdout) == (0, "")
        assert on_local(nothing.stderr) == "note: There are no messages on order-updates.fifo.\n"

    def test_following_prints_each_as_it_comes_until_ctrl_c(
        self, pipeline: PipelineUnderTest, environment: dict[str, str]
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with subprocess.Popen(
            [PROGRAM, "updates", "--follow", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as following:
            assert following.stdout
            pipeline.api.place(order(order_id))
            statuses: list[str] = []
            while statuses != ["placed", "confirmed"]:
                update = json.loads(following.stdout.readline())
                statuses += [update["status"]] if update["order_id"] == order_id else []
            following.send_signal(signal.SIGINT)
            _, said = following.communicate(timeout=PATIENCE_SECONDS)
        assert (following.returncode, said.splitlines()[1:]) == (130, ["Stopped by Ctrl-C."])


class TestStuckOrdersAndTheWayBack:
    def test_a_parked_payment_is_found_listed_and_redriven(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with payment_held(pipeline, order_id):
            eventually(lambda: pipeline.dead_letters.depths()["payments-dlq"] == 1)
        # However young it is: nothing that is parked is called not stuck.
        found = map(json.loads, orderctl("orders", "--stuck", "--json").stdout.splitlines())
        (row,) = [row for row in found if row["order_id"] == order_id]
        assert row.pop("age_seconds") >= 0
        assert row.pop("placed_at")
        assert row == {
            "order_id": order_id,
            "status": "placed",
            "payment": None,
            "inventory": "reserved",
            "missing": ["payment"],
            "parked_in": ["payments-dlq"],
        }
        table = orderctl("orders").stdout.splitlines()
        assert table[0].split() == [
            *("order", "age", "status", "payment", "inventory", "missing", "parked", "in")
        ]
        assert any(order_id in line and line.endswith("payments-dlq") for line in table)

        eventually(lambda: pipeline.alarms.states()["payments-dlq"] == "ALARM")
        listed = orderctl("dlq", "list").stdout.splitlines()
        (line,) = [line.split() for line in listed if line.startswith("payments-dlq")]
        assert (line[1], line[-1]) == ("1", "ALARM")

        redriven = orderctl("dlq", "redrive")
        assert (redriven.returncode, on_local(redriven.stderr)) == (0, "")
        assert redriven.stdout == "✓ payments-dlq: moved 1 message to payments\n"
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        assert (
            orderctl("dlq", "redrive").stdout == "There are no messages in any dead-letter queue.\n"
        )

    def test_a_failed_notification_is_made_again(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with pipeline.without_permission("NotificationRole", "sns:Publish"):
            pipeline.api.place(order(order_id))
            eventually(lambda: pipeline.dead_letters.depths()["notifications-dlq"] == 2)
        result = orderctl("dlq", "redrive", "notifications-dlq", "--json")
        assert result.returncode == 0
        assert json.loads(result.stdout) == {
            "queue": "notifications-dlq",
            "moved": {"notifications": 2},
            "failures": [],
        }
        seen: list[str] = []

        def both_seen() -> bool:
            updates = [u for u in pipeline.updates.take() if u["order_id"] == order_id]
            seen.extend(update["status"] for update in updates)
            return len(seen) == 2

        eventually(both_seen)
        assert seen == ["placed", "confirmed"]
        assert pipeline.dead_letters.depths()["notifications-dlq"] == 0

    def test_an_undeliverable_event_is_delivered_and_what_is_none_stays(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        queue = pipeline.stack.outputs["InventoryQueueUrl"]
        policy = pipeline.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])
        (order_id,) = pipeline.ids(1)
        pipeline.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
        try:
            pipeline.api.place(order(order_id))
            eventually(lambda: pipeline.dead_letters.depths()["undeliverable-events-dlq"] == 1)
        finally:
            pipeline.sqs.set_queue_attributes(
                QueueUrl=queue, Attributes={"Policy": policy["Attributes"]["Policy"]}
            )
        pipeline.send("UndeliverableEventsDLQUrl", "no event")
        result = orderctl("dlq", "redrive", "undeliverable-events-dlq")
        assert result.returncode == 1
        assert result.stdout == (
            "✗ undeliverable-events-dlq: moved 1 message to inventory, 1 failed\n"
        )
        assert "Its TARGET_ARN is neither a queue's nor a function's: none" in result.stderr
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        assert pipeline.dead_letters.depths()["undeliverable-events-dlq"] == 1

    def test_a_queue_that_does_not_exist_is_told_the_ones_that_do(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        result = orderctl("dlq", "redrive", "payment-dlq")
        assert result.returncode == 2
        assert "Did you mean payments-dlq?" in result.stderr
        assert "order-updates" in result.stderr
