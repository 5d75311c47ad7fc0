"""Why messages are parked, and what an order's story is made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from orderctl.commands.replay import check
from orderctl.commands.trace import facts, screen
from orderctl.errors import OrderctlError
from orderctl.pipeline import reasons, trace
from orderctl.pipeline.dead_letters import event_in
from orderctl.pipeline.logs import LogLine
from orderctl.pipeline.parked import Parked
from orderctl.pipeline.queues import Message
from orderctl.pipeline.reasons import Reason
from orderctl.pipeline.replay import Progress, too_old
from orderctl.pipeline.trace import Entry, Story, Waiting
from support.lambdas import order_placed

NOW = datetime(2026, 11, 24, 12, 30, 0, 500_000, tzinfo=UTC)


def message(body: str, **attributes: str) -> Message:
    return Message(
        id="3f2a81c0-0000",
        receipt_handle="handle",
        body=body,
        attributes=attributes,
        receive_count=1,
        sent_at=NOW,
    )


def line(seconds: float, text: str, **fields: Any) -> LogLine:  # noqa: ANN401 - what a log has
    at = NOW + timedelta(seconds=seconds)
    return LogLine(str(seconds), at, "payments-processor", text, {"message": text, **fields})


class TestReasons:
    def test_eventbridge_says_it_in_attributes(self) -> None:
        reason = reasons.of_undelivered(
            {
                "ERROR_CODE": "NO_PERMISSIONS",
                "ERROR_MESSAGE": "not allowed",
                "RULE_ARN": "arn:aws:events:eu-west-1:1:rule/order-events/order-placed",
                "TARGET_ARN": "arn:aws:sqs:eu-west-1:1:inventory",
            }
        )
        assert reason.text == (
            "not delivered to inventory by rule order-placed: NO_PERMISSIONS: not allowed"
        )
        assert "EventBridge did not park it" in reasons.of_undelivered({}).text

    def test_lambda_says_it_in_its_record(self) -> None:
        record: dict[str, Any] = {
            "timestamp": "2026-11-24T12:00:00.000Z",
            "requestContext": {
                "functionArn": "arn:aws:lambda:eu-west-1:1:function:notifications:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "responsePayload": {"errorType": "NotificationFailedError", "errorMessage": "refused"},
        }
        assert reasons.of_invocation(json.dumps(record)) == Reason(
            "notifications failed (RetriesExhausted, 3 tries): refused", "2026-11-24T12:00:00.000Z"
        )
        del record["responsePayload"]
        assert reasons.of_invocation(json.dumps(record)).text.endswith("3 tries)")

    @pytest.mark.parametrize("body", ["", "[]", "{}", "5", '{"requestContext":5}', "[" * 10_000])
    def test_what_is_no_record_is_told(self, body: str) -> None:
        assert "not a record of an invocation" in reasons.of_invocation(body).text

    def test_a_functions_log_says_it_by_the_last_failure_of_the_order(self) -> None:
        found = reasons.of_consumed(
            message(json.dumps(order_placed("a"))),
            [
                line(1, "charge failed", order_id="a", attempt=1, reason="busy"),
                line(2, "charge failed", order_id="a", attempt=3, reason="no answer"),
                line(3, "charge failed", order_id="b", attempt=3, reason="declined"),
            ],
            "payments-processor",
        )
        assert found == Reason("charge failed: no answer (try 3)", "2026-11-24T12:30:02.500Z")

    def test_or_by_the_message_that_could_not_be_read(self) -> None:
        unreadable = line(1, "message cannot be read", message_id="3f2a81c0-0000", reason="no JSON")
        found = reasons.of_consumed(message("nonsense"), [unreadable], "payments-processor")
        assert found.text == "message cannot be read: no JSON"

    def test_or_not_at_all(self) -> None:
        other = line(1, "charge failed", order_id="b", reason="busy")
        for body in ("nonsense", json.dumps(order_placed("a"))):
            found = reasons.of_consumed(message(body), [other], "payments-processor")
            assert "payments-processor has logged nothing about it" in found.text

    def test_a_reader_of_the_updates_or_sns_failed(self) -> None:
        assert "did not delete it" in reasons.of_update({}).text
        assert reasons.of_update({"ErrorMessage": "no"}).text == "SNS could not deliver it: no"

    @pytest.mark.parametrize(
        ("body", "name"),
        [
            (order_placed("a"), "order.placed"),
            ({"requestContext": {}, "requestPayload": order_placed("a")}, "order.placed"),
            ({"order_id": "a", "status": "confirmed"}, "update confirmed"),
            ({}, "?"),
            ([], "?"),
        ],
    )
    def test_a_message_is_called_after_its_event(self, body: object, name: str) -> None:
        assert reasons.event_name(event_in(json.dumps(body))) == name


class TestStory:
    order: ClassVar = {
        "status": "placed",
        "inventory": "reserved",
        "amount": Decimal("12.50"),
        "currency": "USD",
        "items": [{"sku": "mug", "quantity": Decimal(2)}],
        "history": [
            {"type": "order.placed", "at": "2026-11-24T12:30:00.602Z"},
            {"type": "inventory.reserved", "at": "2026-11-24T12:30:00Z"},
        ],
    }

    def test_an_events_whole_second_comes_after_what_is_known_better(self) -> None:
        entries = sorted(trace.order_entries(self.order), key=lambda entry: entry.place)
        assert [entry.what for entry in entries] == ["order.placed", "inventory.reserved"]
        assert [entry.is_to_the_second for entry in entries] == [False, True]

    def test_a_record_tells_its_state_and_facts(self) -> None:
        record = {
            "order_id": "a",
            "state": "reserved",
            "at": "2026-11-24T12:30:00.700Z",
            "lines": [{"sku": "mug", "quantity": Decimal(2)}, {"sku": "tea", "quantity": 1}],
        }
        (entry,) = trace.record_entries("table reservations", record)
        assert (entry.where, entry.what) == ("table reservations", "reserved")
        assert entry.facts == {"lines": "2 mug, 1 tea"}

    def test_a_log_line_tells_its_level_unless_that_is_normal(self) -> None:
        failed = line(1, "charge failed", order_id="a", level="WARNING", attempt=1)
        charged = line(2, "charged", order_id="a", level="INFO", request_id="r")
        assert [(entry.what, entry.facts) for entry in trace.log_entries([failed, charged])] == [
            ("WARNING charge failed", {"attempt": "1"}),
            ("charged", {}),
        ]

    def test_says_where_a_message_is_parked_or_may_wait(self) -> None:
        parked = Parked(
            "payments-dlq",
            message(json.dumps(order_placed("a"))),
            "a",
            "order.placed",
            Reason("charge failed: busy", "2026-11-24T12:30:03.000Z"),
        )
        entries = trace.parked_entries([parked])
        assert entries[0].at == datetime(2026, 11, 24, 12, 30, 3, tzinfo=UTC)
        told = Story(
            self.order,
            (*trace.order_entries(self.order), *entries),
            (parked,),
            (Waiting("payments", 3, 1, paused=True),),
        )
        shown = [text.plain for text in screen("a", told)]
        assert shown[0] == "a   placed   payment -   inventory reserved   12.50 USD   2 mug"
        assert any("dlq redrive --message 3f2a81c0-0000" in text for text in shown)
        assert "perhaps in payments (its consumer is paused): 3 waiting" in shown[-1]
        assert (
            json.loads(msgspec.json.encode(facts("a", told)))["parked"][0]["queue"]
            == "payments-dlq"
        )

    def test_an_order_without_a_record_is_told_so(self) -> None:
        told = Story({}, (Entry(NOW, "log order-api", "order invalid", {}, NOW),), (), ())
        assert told.is_known
        assert screen("a", told)[0].plain == "a   not in the orders table"
        assert not Story({}, (), (), ()).is_known


class TestReplay:
    def test_times_must_make_a_span_in_the_past(self) -> None:
        hour = timedelta(hours=1)
        check(NOW - hour, NOW, NOW)
        with pytest.raises(OrderctlError, match="must be before --to"):
            check(NOW, NOW - hour, NOW)
        with pytest.raises(OrderctlError, match="in the future"):
            check(NOW, NOW + hour, NOW)

    def test_what_the_archive_keeps_no_more_is_too_old(self) -> None:
        month = timedelta(days=30)
        assert too_old(NOW - timedelta(days=31), NOW, month)
        assert not too_old(NOW - timedelta(days=29), NOW, month)
        assert not too_old(NOW - timedelta(days=9999), NOW, timedelta(0))

    def test_progress_is_a_share_of_the_time(self) -> None:
        start, end = NOW - timedelta(minutes=10), NOW
        half = Progress("RUNNING", NOW - timedelta(minutes=5))
        assert half.share(start, end) == 0.5
        assert not half.ended
        assert Progress("STARTING", None).share(start, end) == 0
        assert Progress("COMPLETED", half.last_replayed).share(start, end) == 1
        assert Progress("CANCELLED", None).ended
