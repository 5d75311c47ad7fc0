"""The commands of an operator, typed against the running pipeline."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from support.command_line import PATIENCE_SECONDS, PROGRAM, Orderctl
from support.pipeline import PipelineUnderTest, eventually


def answered(result: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - any JSON
    """What a command told of one thing; it complained of nothing."""
    assert (result.returncode, complaints(result.stderr)) == (0, [])
    return json.loads(result.stdout)


def listed(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What a command listed; it complained of nothing."""
    assert (result.returncode, complaints(result.stderr)) == (0, [])
    return [json.loads(line) for line in result.stdout.splitlines()]


def complaints(said: str) -> list[str]:
    """What a command said beside where it changes something."""
    return [line for line in said.splitlines() if '"on": "local: stack order-pipeline' not in line]


def lines(*orders: dict[str, Any]) -> str:
    return "".join(json.dumps(order) + "\n" for order in orders)


@contextmanager
def paused(orderctl: Orderctl, consumer: str) -> Iterator[None]:
    answered(orderctl("pause", consumer, "--json"))
    try:
        yield
    finally:
        assert orderctl("resume", consumer, "--json").returncode == 0


class TestSubmit:
    def test_one_order_is_taken_and_another_of_its_id_is_not(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        taken = orderctl("submit", "--amount", "12.50", "--id", order_id)
        assert (taken.returncode, taken.stdout) == (0, f"Accepted: {order_id}\n")
        other = orderctl("submit", "--amount", "13", "--id", order_id)
        assert other.returncode == 1
        assert "409: The order id" in other.stderr
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})

    def test_a_file_is_sent_whole_or_not_at_all(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        first, second = pipeline.ids(2)
        good = {"order_id": first, "amount": 1}
        refused = orderctl("submit", "-", text=lines(good, {"order_id": second}))
        assert refused.returncode == 1
        assert "line 2: amount: is required" in refused.stderr
        assert pipeline.orders.find([first]) == {}
        sent = answered(
            orderctl("submit", "-", "--json", text=lines(good, {"order_id": second, "amount": 2}))
        )
        assert (sent["taken"], sent["not_taken"]) == (2, 0)
        assert {order["order_id"]: order["status"] for order in sent["orders"]} == {
            first: 202,
            second: 202,
        }

    def test_a_load_keeps_its_rate_and_says_how_long_answers_took(self, orderctl: Orderctl) -> None:
        sent = answered(orderctl("submit", "--count", "10", "--rate", "5", "--json"))
        assert (sent["taken"], sent["rate_was_kept"]) == (10, True)
        assert sent["latency_ms"]["202"]["calls"] == 10
        assert 0 < sent["latency_ms"]["202"]["p50"] <= sent["latency_ms"]["202"]["max"]

    def test_ctrl_c_says_what_was_done(self, environment: dict[str, str]) -> None:
        with subprocess.Popen(
            [PROGRAM, "logs", "order-api", "--follow", "--since", "1s", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as log:
            with subprocess.Popen(
                [PROGRAM, "submit", "--count=1000", "--rate=5", "--amount=77.01", "--json"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as load:
                assert log.stdout
                while json.loads(log.stdout.readline())["facts"].get("amount") != "77.01":
                    pass
                load.send_signal(signal.SIGINT)
                said, complaint = load.communicate(timeout=PATIENCE_SECONDS)
            log.send_signal(signal.SIGINT)
        assert (load.returncode, complaints(complaint)) == (130, ["Stopped by Ctrl-C."])
        assert 0 < json.loads(said)["taken"] < 1000


class TestStock:
    def test_is_set_added_to_and_listed(self, orderctl: Orderctl) -> None:
        listed(orderctl("stock", "set", "operating-mug=5", "--json"))
        added = listed(orderctl("stock", "add", "operating-mug=-2", "--json"))
        assert added == [{"sku": "operating-mug", "before": 5, "available": 3}]
        refused = orderctl("stock", "set", "operating-mug=9", "--was", "5")
        assert refused.returncode == 1
        assert "There are 3 of operating-mug, not 5" in refused.stderr
        levels = listed(orderctl("stock", "list", "operating-mug", "--reserved", "--json"))
        assert levels == [{"sku": "operating-mug", "available": 3, "reserved": 0}]


def test_the_shell_completes_what_there_is(pipeline: PipelineUnderTest, orderctl: Orderctl) -> None:
    (order_id,) = pipeline.ids(1)
    pipeline.api.place({"order_id": order_id, "amount": 1})
    listed(orderctl("stock", "set", "operating-tea=1", "--json"))
    eventually(lambda: order_id in orderctl("__complete", "cancel", "").stdout.split())
    assert "operating-tea=" in orderctl("__complete", "stock", "add", "op").stdout.split()


class TestParked:
    def test_a_message_is_explained_redriven_by_itself_and_purged(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
            pipeline.api.place({"order_id": order_id, "amount": 1})
            pipeline.send("PaymentsQueueUrl", "no event")
            eventually(lambda: pipeline.dead_letters.depths()["payments-dlq"] == 2)
        shown = listed(orderctl("dlq", "show", "payments-dlq", "--json"))
        of_order = next(each for each in shown if each["order_id"] == order_id)
        unreadable = next(each for each in shown if each["order_id"] is None)
        assert "AccessDeniedException from BatchGetItem" in of_order["reason"]
        assert "message cannot be read: JSON is malformed" in unreadable["reason"]
        assert unreadable["body"] == "no event"

        traced = answered(orderctl("trace", order_id, "--json"))
        assert traced["parked"][0]["message_id"] == of_order["message_id"]
        assert {"table orders", "log order-api", "payments-dlq"} <= {
            entry["where"] for entry in traced["story"]
        }

        moved = orderctl("dlq", "redrive", "--message", of_order["message_id"][:13])
        assert moved.returncode == 0
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        assert pipeline.dead_letters.depths()["payments-dlq"] == 1

        unasked = orderctl("dlq", "purge", "payments-dlq")
        assert unasked.returncode == 1
        assert "Cannot ask for confirmation" in unasked.stderr
        purged = listed(orderctl("dlq", "purge", "payments-dlq", "--yes", "--json"))
        assert purged == [{"queue": "payments-dlq", "deleted": 1}]
        assert pipeline.dead_letters.depths()["payments-dlq"] == 0

        ended = orderctl("trace", order_id).stdout.splitlines()
        assert ended[0].startswith(f"{order_id}   confirmed   payment charged")
        assert any("log order-tracker" in line and "confirmed" in line for line in ended)

    def test_there_is_no_trace_of_an_unknown_order(self, orderctl: Orderctl) -> None:
        result = orderctl("trace", "nobody")
        assert (result.returncode, result.stdout) == (1, "")
        assert "Nothing is known about an order nobody" in result.stderr


class TestPause:
    def test_what_comes_waits_and_status_shows_it(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        (order_id,) = pipeline.ids(1)
        with paused(orderctl, "tracker"):
            pipeline.api.place({"order_id": order_id, "amount": 1})
            eventually(lambda: pipeline.queue("OutcomesQueue").depth() == 2)
            status = answered(orderctl("status", "--json"))
            assert status["paused"] == ["tracker"]
            steps = {step["step"]: step for step in status["steps"]}
            assert steps["tracker"]["queue"]["waiting"] == 2
            assert steps["order-api"]["counts"]["placed"] > 0
            assert steps["payments"]["invocations"] > 0
            traced = answered(orderctl("trace", order_id, "--json"))
            (queue,) = traced["may_wait_in"]
            assert (queue["queue"], queue["paused"]) == ("order-outcomes", True)
            assert pipeline.queue("OutcomesQueue").depth() == 2
        eventually(lambda: pipeline.statuses([order_id]) == {order_id: "confirmed"})
        screen = orderctl("status").stdout.splitlines()
        assert screen[2].split()[0] == "step"
        assert not any(line.startswith("paused") for line in screen)


class TestReplay:
    def test_what_was_purged_is_caught_up_on_and_nothing_happens_twice(
        self, pipeline: PipelineUnderTest, orderctl: Orderctl
    ) -> None:
        done, lost = pipeline.ids(2)
        start = datetime.now(UTC).replace(microsecond=0)
        pipeline.api.place({"order_id": done, "amount": 1})
        eventually(lambda: pipeline.statuses([done]) == {done: "confirmed"})
        with paused(orderctl, "payments"):
            pipeline.api.place({"order_id": lost, "amount": 2})
            eventually(lambda: pipeline.queue("PaymentsQueue").depth() == 1)
            pipeline.sqs.purge_queue(QueueUrl=pipeline.stack.outputs["PaymentsQueueUrl"])
        charged = pipeline.orders.payments([done])[done]
        eventually(lambda: datetime.now(UTC) > start + timedelta(seconds=2))
        unasked = orderctl("replay", "--from", start.isoformat())
        assert unasked.returncode == 1
        assert "Cannot ask for confirmation" in unasked.stderr
        replayed = orderctl("replay", "--from", start.isoformat(), "--yes", "--json")
        assert replayed.returncode == 0
        told = json.loads(replayed.stdout)
        assert (told["state"], told["pieces"]) == ("COMPLETED", 1)
        assert told["expected"] >= 2
        eventually(lambda: pipeline.statuses([lost]) == {lost: "confirmed"})
        eventually(pipeline.idle)
        assert pipeline.orders.payments([done]) == {done: charged}
        assert pipeline.statuses([done]) == {done: "confirmed"}


def test_a_function_that_does_not_exist_is_told_the_ones_that_do(orderctl: Orderctl) -> None:
    result = orderctl("logs", "payment-processor")
    assert result.returncode == 2
    assert "Did you mean payments-processor?" in result.stderr
