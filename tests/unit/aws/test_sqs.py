from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT
from orders.aws.sqs import FAILED, MAX_CONFLICTS, Batch, Retry
from orders.events import decode_command
from support import aws
from support.aws import TappedBus
from support.lambdas import Context, order_placed, sqs_event

Logged = Callable[[], list[dict[str, Any]]]


class TestBatch:
    def test_reads_what_can_be_read_and_fails_the_rest_alone(
        self, tap: TappedBus, retry: Retry
    ) -> None:
        event = sqs_event(order_placed("a"), "not JSON", order_placed("b"), order_placed(amount=-1))
        batch = Batch.read(event["Records"], decode_command)
        (messages,) = batch.rounds()
        assert [message.order_id for message in messages] == ["a", "b"]
        assert batch.finish(tap.bus, retry, Context()) == {
            "batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]
        }

    def test_says_why_a_message_cannot_be_read(self, logged: Logged) -> None:
        Batch.read(sqs_event(order_placed(amount=-1))["Records"], decode_command)
        (line,) = logged()
        assert line["level"] == "ERROR"
        assert line["message_id"] == "m0"
        assert "amount must be from 0" in line["reason"]

    def test_nothing_failed_is_an_empty_list(self, tap: TappedBus, retry: Retry) -> None:
        batch = Batch.read(sqs_event(order_placed())["Records"], decode_command)
        assert batch.finish(tap.bus, retry, Context()) == {"batchItemFailures": []}

    def test_an_order_stands_once_in_a_round(self) -> None:
        event = sqs_event(*(order_placed(order_id) for order_id in "abaac"))
        batch = Batch.read(event["Records"], decode_command)
        rounds = [[m.id for m in messages] for messages in batch.rounds()]
        assert rounds == [["m0", "m1", "m4"], ["m2"], ["m3"]]

    def test_what_was_written_and_what_failed_is_counted(self) -> None:
        batch = Batch.read(sqs_event(order_placed("a"), "not JSON")["Records"], decode_command)
        for state in ("charged", "declined", "charged"):
            batch.count(state)
        assert batch.counts() == {"charged": 2, "declined": 1, FAILED: 1}

    def test_what_failed_comes_back_after_its_delay_and_the_rest_does_not(
        self, tap: TappedBus
    ) -> None:
        sqs = aws.sqs()
        url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
        event = sqs_event(order_placed("a"), "not JSON")
        for record in event["Records"]:
            sqs.send_message(QueueUrl=url, MessageBody=record["body"])
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        handles = {message["Body"]: message["ReceiptHandle"] for message in received}
        for record in event["Records"]:
            record["receiptHandle"] = handles[record["body"]]
        batch = Batch.read(event["Records"], decode_command)
        batch.finish(tap.bus, Retry(lambda: sqs, url, first_delay_seconds=0), Context())
        back = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in back] == ["not JSON"]

    def test_an_empty_batch_has_no_round(self) -> None:
        assert list(Batch.read([], decode_command).rounds()) == []


class TestConflicts:
    """A message that met another writer is looked at anew, before its order's later ones."""

    def test_a_message_is_given_up_after_some_conflicts_and_fails(
        self, tap: TappedBus, retry: Retry, logged: Logged
    ) -> None:
        batch = Batch.read(sqs_event(order_placed("a"))["Records"], decode_command)
        taken_up = 0
        for messages in batch.rounds():
            taken_up += 1
            assert taken_up < 10, "it is never given up"
            batch.refuse(messages, "not recorded", CONFLICT)
        assert taken_up == MAX_CONFLICTS + 1
        (line,) = logged()
        assert (line["message"], line["order_id"]) == ("given up for now", "a")
        assert line["reason"] == "other writers were quicker each time"
        response = batch.finish(tap.bus, retry, Context())
        assert response == {"batchItemFailures": [{"itemIdentifier": "m0"}]}

    def test_it_is_taken_up_before_what_came_after_it(self) -> None:
        event = sqs_event(*(order_placed(order_id) for order_id in "abab"))
        batch = Batch.read(event["Records"], decode_command)
        rounds = []
        for messages in batch.rounds():
            rounds.append([m.id for m in messages])
            if len(rounds) == 1:
                batch.refuse(messages[:1], "not recorded", CONFLICT)
        assert rounds == [["m0", "m1"], ["m0", "m3"], ["m2"]]

    def test_an_order_s_messages_keep_their_order(self) -> None:
        event = sqs_event(*(order_placed(order_id) for order_id in "aba"))
        batch = Batch.read(event["Records"], decode_command)
        rounds = []
        for groups in batch.rounds_by_order():
            rounds.append({id_: [m.id for m in messages] for id_, messages in groups.items()})
            if len(rounds) == 1:
                batch.refuse(groups["a"], "not followed", CONFLICT)
        assert rounds == [{"a": ["m0", "m2"], "b": ["m1"]}, {"a": ["m0", "m2"]}]

    def test_any_other_reason_fails_the_messages(
        self, tap: TappedBus, retry: Retry, logged: Logged
    ) -> None:
        event = sqs_event(*(order_placed("a") for _ in range(2)))
        batch = Batch.read(event["Records"], decode_command)
        for groups in batch.rounds_by_order():
            batch.refuse(groups["a"], "not followed", "AccessDenied")
        assert [line["reason"] for line in logged()] == ["AccessDenied"] * 2
        failures = batch.finish(tap.bus, retry, Context())["batchItemFailures"]
        assert [failure["itemIdentifier"] for failure in failures] == ["m0", "m1"]


class TestRetry:
    @pytest.mark.parametrize(
        ("attempt", "least", "most"), [(1, 5, 10), (2, 10, 20), (3, 20, 40), (60, 900, 900)]
    )
    def test_the_delay_doubles_with_each_attempt_and_is_spread(
        self, attempt: int, least: int, most: int
    ) -> None:
        retry = Retry(aws.sqs, "", 5)
        delays = {retry._seconds(f"message-{number}", attempt) for number in range(500)}
        assert delays == set(range(least, most + 1))

    def test_without_a_first_delay_there_is_none(self) -> None:
        assert Retry(aws.sqs, "", 0)._seconds("m", 1) == 0

    def test_a_failed_message_comes_back_after_its_delay(self) -> None:
        sqs = aws.sqs()
        url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="order")
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        Retry(lambda: sqs, url, first_delay_seconds=0).delay({"m0": (message["ReceiptHandle"], 1)})
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "order"

    def test_a_delay_that_cannot_be_set_harms_nobody(self, logged: Logged) -> None:
        Retry(aws.sqs, "https://sqs.us-east-1.amazonaws.com/000000000000/gone", 5).delay(
            {"m0": ("handle", 1)}
        )
        assert logged()[-1]["message"] == "retry delay not set"


def test_of_what_is_sent_anew_that_stays_which_sqs_refuses_in_whichever_call() -> None:
    sqs, calls = aws.sqs(), list[int]()
    url = sqs.create_queue(QueueName="q")["QueueUrl"]

    def refuse_the_second(parsed: dict[str, Any]) -> None:
        if len(calls) == 2:
            parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]

    aws.line(sqs).before("SendMessageBatch", lambda asked: calls.append(len(asked["Entries"])))
    aws.line(sqs).after("SendMessageBatch", refuse_the_second)
    event = sqs_event(*(order_placed(f"o{number}") for number in range(23)))
    (messages,) = Batch.read(event["Records"], decode_command).rounds()
    left = Retry(lambda: sqs, url, first_delay_seconds=1).send_anew(messages)
    assert ([message.id for message in left], calls) == (["m11"], [10, 10, 3])


def test_time_is_up_three_seconds_before_the_timeout() -> None:
    assert not time_is_up(Context(remaining_milliseconds=3000))
    assert time_is_up(Context(remaining_milliseconds=2999))
