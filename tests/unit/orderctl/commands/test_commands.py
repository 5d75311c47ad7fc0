"""The decisions of the commands, and what they say."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from orderctl.commands import cancel, dlq, orders, updates
from orderctl.commands.run import describe_payment
from orderctl.pipeline.dead_letters import RedriveResult, order_id_in, without_qualifier
from orderctl.pipeline.queues import Message
from support.lambdas import order_placed


@pytest.mark.parametrize(
    ("payment", "told"),
    [
        ({"state": "charged", "attempt": 1}, "charged"),
        ({"state": "charged", "attempt": 3}, "charged (try 3)"),
        ({"state": "voided"}, "voided"),
    ],
)
def test_a_run_tells_a_payment(payment: dict[str, Any], told: str) -> None:
    assert describe_payment(payment) == told


class TestCancel:
    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (409, "Too late: order-1 is confirmed"),
            (404, "There is no order order-1."),
            (503, "Try again in a few seconds"),
            (401, "ORDERCTL_TOKEN"),
            (403, "The API answered 403"),
        ],
    )
    def test_a_refusal_says_why(self, status: int, said: str) -> None:
        assert said in (cancel.refusal_of(status, "order-1") or "")

    def test_a_request_that_was_taken_is_no_refusal(self) -> None:
        assert cancel.refusal_of(202, "order-1") is None

    def test_what_is_cancelled_says_the_reason(self) -> None:
        order = {"status": "cancelled", "reason": "cancel requested"}
        assert cancel.failure_of(order, "order-1") is None
        assert cancel.success_of(order, "order-1") == "Cancelled order-1: cancel requested."

    @pytest.mark.parametrize(
        ("order", "said"),
        [
            ({"status": "confirmed"}, "was confirmed before the request arrived"),
            ({"status": "placed"}, "The request is kept. See how it ends with: "),
            ({}, "The request is kept"),
        ],
    )
    def test_what_is_not_cancelled_is_a_failure(self, order: dict[str, Any], said: str) -> None:
        assert said in (cancel.failure_of(order, "order-1") or "")


class TestOrders:
    @pytest.mark.parametrize(
        ("order", "paid", "reserved", "missing"),
        [
            ({"status": "placed"}, False, False, ["payment", "inventory"]),
            ({"status": "placed", "inventory": "reserved"}, False, True, ["payment"]),
            ({"status": "placed", "payment": "charged"}, True, False, ["inventory"]),
            ({"status": "placed", "inventory": "reserved"}, True, True, ["decision"]),
            ({"status": "cancelled", "payment": "charged"}, True, True, ["refund"]),
            (
                {"status": "cancelled", "payment": "charged", "inventory": "reserved"},
                True,
                True,
                ["refund", "release"],
            ),
        ],
    )
    def test_says_what_an_order_waits_for(
        self, order: dict[str, Any], paid: bool, reserved: bool, missing: list[str]
    ) -> None:
        assert orders.missing(order, paid=paid, reserved=reserved) == missing


class TestDeadLetters:
    @pytest.mark.parametrize(
        "body",
        [
            order_placed("a"),
            {"requestContext": {}, "requestPayload": order_placed("a"), "responsePayload": {}},
            {"order_id": "a", "status": "placed", "at": "2026-08-18T09:30:00Z"},
        ],
    )
    def test_finds_the_order_whoever_parked_the_message(self, body: dict[str, Any]) -> None:
        assert order_id_in(json.dumps(body)) == "a"

    @pytest.mark.parametrize(
        "body", ["", "no JSON", "[]", "1", '{"detail":[]}', '{"detail":{"order_id":1}}', "{}"]
    )
    def test_a_message_may_name_no_order(self, body: str) -> None:
        assert order_id_in(body) is None

    @pytest.mark.parametrize("qualifier", ["", ":$LATEST", ":7"])
    def test_a_function_is_invoked_without_its_qualifier(self, qualifier: str) -> None:
        arn = "arn:aws:lambda:us-east-1:123456789012:function:notifications"
        assert without_qualifier(arn + qualifier) == arn


class TestDlq:
    def test_says_what_went_where_and_what_did_not(self) -> None:
        result = RedriveResult(Counter({"payments": 2, "inventory": 1}), ["AccessDenied"])
        assert dlq.describe(result) == (
            "moved 2 messages to payments, moved 1 message to inventory, 1 failed"
        )
        assert dlq.describe(RedriveResult()) == "there were no messages any more"


def message(body: str) -> Message:
    return Message(
        id="id",
        receipt_handle="handle",
        body=body,
        attributes={},
        receive_count=1,
        sent_at=datetime(2026, 8, 18, tzinfo=UTC),
    )


class TestUpdates:
    placed = message('{"order_id":"a","status":"placed","at":"2026-08-18T09:30:00Z"}')
    cancelled = message(
        '{\n"order_id":"order-1","status":"cancelled","at":"2026-08-18T09:30:00.123Z",'
        '"reason":"out of stock","new":1.50}'
    )

    def test_lines_are_aligned(self, capsys: pytest.CaptureFixture[str]) -> None:
        printer = updates.Printer(as_json=False)
        assert printer.show([self.placed, self.cancelled]) == [self.placed, self.cancelled]
        printer.show([self.placed])
        first = "2026-08-18T09:30:00Z       a         placed"
        assert capsys.readouterr().out.splitlines() == [
            first,
            "2026-08-18T09:30:00.123Z   order-1   cancelled   out of stock",
            first,
        ]

    def test_json_is_as_it_came_one_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        updates.Printer(as_json=True).show([self.cancelled])
        assert capsys.readouterr().out == self.cancelled.body.replace("\n", "") + "\n"

    def test_what_cannot_be_read_is_not_printed_and_so_not_deleted(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        printer = updates.Printer(as_json=False)
        assert printer.show([message("no JSON"), message("{}"), self.placed]) == [self.placed]
        assert (list(printer.unreadable), printer.shown) == (["id"], 1)
        assert len(capsys.readouterr().out.splitlines()) == 1
