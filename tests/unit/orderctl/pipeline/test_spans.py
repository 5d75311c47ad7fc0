"""An order's time in spans: what is known is told apart, and what is not is not made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderctl.pipeline.attempts import Attempt, combine
from orderctl.pipeline.executions import _attempts as executed
from orderctl.pipeline.logs import FunctionLog, LogLine, Ran
from orderctl.pipeline.spans import Kind, ParkedEvent, Published, Span, build

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
STEPS = {"payments-processor": "payments", "order-tracker": "tracker", "order-api": "order-api"}
PLACED = Published("order.placed", NOW + timedelta(milliseconds=1))
CHARGED = Published("payment.charged", NOW + timedelta(milliseconds=90))


def at(milliseconds: float) -> datetime:
    return NOW + timedelta(milliseconds=milliseconds)


def attempt(begins: float, ends: float | None, **known: Any) -> Attempt:  # noqa: ANN401
    """The payments' attempt at order.placed, as the local cloud records it."""
    return Attempt(
        **{
            "step": "payments",
            "event": "order.placed",
            "event_id": "event-1",
            "published_at": at(1),
            "message": "message-1",
            "number": 1,
            "sent_at": at(5),
            "began_at": at(begins),
            "ended_at": None if ends is None else at(ends),
            **known,
        }
    )


def line(milliseconds: float, message: str, **fields: Any) -> LogLine:  # noqa: ANN401
    """A line of the payments' log."""
    function = fields.pop("function", "payments-processor")
    stream = fields.pop("stream", f"stream-{milliseconds}")
    said = {"level": "INFO", "message": message, **fields}
    return LogLine(f"{function}-{milliseconds}", at(milliseconds), function, "", said, stream)


def failed(milliseconds: float, number: int) -> LogLine:
    return line(
        milliseconds,
        "charge failed",
        level="WARNING",
        attempt=number,
        reason="no answer",
        request_id=f"request-{number}",
    )


def told(spans: Sequence[Span]) -> list[tuple[str, float | None, float | None]]:
    """The kinds of spans with their times in milliseconds."""
    return [(span.kind.value, since(span.begins_at), since(span.ends_at)) for span in spans]


def since(moment: datetime | None) -> float | None:
    return (moment - NOW) / timedelta(milliseconds=1) if moment else None


def spans_of(
    attempts: Sequence[Attempt],
    published: Sequence[Published] = (),
    parked: Sequence[ParkedEvent] = (),
    *,
    is_open: bool = False,
) -> list[tuple[str, float | None, float | None]]:
    return told(build(attempts, published, parked, is_open=is_open))


class TestRecorded:
    def test_bus_queue_and_work_are_apart(self) -> None:
        assert spans_of([attempt(20, 60)]) == [
            ("bus", 1, 5),
            ("queue", 5, 20),
            ("work", 20, 60),
        ]

    def test_a_cold_start_is_apart_from_the_work(self) -> None:
        assert spans_of([attempt(20, 60, loaded_at=at(50))])[2:] == [
            ("start", 20, 50),
            ("work", 50, 60),
        ]

    def test_after_a_failure_it_waits_for_the_next_attempt(self) -> None:
        spans = build(
            [attempt(20, 60, failed=True), attempt(1060, 1070, number=2)], [], [], is_open=False
        )
        assert told(spans)[2:] == [("work", 20, 60), ("retry", 60, 1060), ("work", 1060, 1070)]
        assert [span.number for span in spans if span.kind is Kind.WORK] == [1, 2]

    def test_the_last_failure_of_an_open_order_is_followed_by_a_wait_without_end(self) -> None:
        attempts = [attempt(20, 60, failed=True)]
        assert spans_of(attempts, is_open=True)[-1] == ("retry", 60, None)
        assert spans_of(attempts, is_open=False)[-1] == ("work", 20, 60)

    def test_an_attempt_at_work_has_no_end_and_nothing_after_it(self) -> None:
        assert spans_of([attempt(20, None)], is_open=True)[-1] == ("work", 20, None)

    def test_what_is_parked_is_so_until_it_is_redriven(self) -> None:
        third = attempt(20, 60, failed=True, number=3)
        parked = ParkedEvent("payments", "order.placed", "event-1", at(60))
        assert spans_of([third], parked=[parked], is_open=True)[-1] == ("parked", 60, None)
        redriven = attempt(9_050, 9_070, message="message-2", sent_at=at(9_000))
        assert spans_of([third, redriven])[2:] == [
            ("work", 20, 60),
            ("parked", 60, 9_000),
            ("queue", 9_000, 9_050),
            ("work", 9_050, 9_070),
        ]

    def test_a_message_that_was_sent_anew_is_not_taken_for_parked(self) -> None:
        again = attempt(2_050, 2_060, message="message-2", sent_at=at(60))
        assert [kind for kind, _, _ in spans_of([attempt(20, 60), again])] == [
            *("bus", "queue", "work", "queue", "work"),
        ]

    def test_of_forgotten_attempts_nothing_is_made_up(self) -> None:
        assert spans_of([attempt(5_000, 5_010, number=3)])[1:] == [
            ("unsplit", 5, 5_000),
            ("work", 5_000, 5_010),
        ]

    def test_a_clock_that_is_behind_makes_no_span(self) -> None:
        assert spans_of([attempt(20, 60, published_at=at(7))])[0] == ("queue", 5, 20)

    def test_attempts_at_an_asynchronous_invocation_are_counted(self) -> None:
        known: dict[str, Any] = {"message": "", "number": None, "sent_at": None}
        attempts = [attempt(20, 60, failed=True, **known), attempt(1060, 1070, **known)]
        spans = build(attempts, [], [], is_open=False)
        assert told(spans) == [
            ("queue", 1, 20),
            ("work", 20, 60),
            ("retry", 60, 1060),
            ("work", 1060, 1070),
        ]
        assert [span.number for span in spans if span.kind is Kind.WORK] == [1, 2]

    def test_each_event_has_a_wait_of_its_own(self) -> None:
        refund = attempt(
            *(220, 230),
            event="order.cancelled",
            event_id="event-2",
            message="message-9",
            published_at=at(200),
            sent_at=at(205),
        )
        assert spans_of([attempt(20, 60), refund])[3:] == [
            ("bus", 200, 205),
            ("queue", 205, 220),
            ("work", 220, 230),
        ]


class TestNotTakenYet:
    def test_an_event_that_nobody_took_waits(self) -> None:
        spans = build([], [PLACED], [], is_open=True)
        assert [(span.step, span.kind, span.ends_at) for span in spans] == [
            ("payments", Kind.QUEUE, None),
            ("inventory", Kind.QUEUE, None),
        ]

    def test_a_step_that_has_answered_does_not_wait(self) -> None:
        spans = build([], [PLACED, CHARGED], [], is_open=True)
        assert [span.step for span in spans] == ["inventory"]

    def test_an_ended_order_waits_for_nothing(self) -> None:
        assert spans_of([], [PLACED]) == []

    def test_what_is_parked_does_not_wait(self) -> None:
        parked = ParkedEvent("payments", "order.placed", "event-1", None)
        spans = build([], [PLACED], [parked], is_open=True)
        assert [(span.step, span.kind) for span in spans] == [
            ("payments", Kind.PARKED),
            ("inventory", Kind.QUEUE),
        ]


class TestLogs:
    def test_they_do_not_tell_waiting_and_work_apart(self) -> None:
        lines = [failed(60, 1), failed(1_070, 2), line(3_000, "charged", attempt=3)]
        spans = build(combine([], lines, STEPS, {}), [PLACED], [], is_open=False)
        assert told(spans) == [
            ("unsplit", 1, 60),
            ("unsplit", 60, 1_070),
            ("unsplit", 1_070, 3_000),
        ]
        assert [span.number for span in spans] == [1, 2, 3]
        assert [span.attempt and span.attempt.failed for span in spans] == [True, True, False]
        assert spans[0].attempt
        assert spans[0].attempt.says == ("charge failed: no answer",)

    def test_with_the_system_s_log_they_do(self) -> None:
        lines = [failed(60, 1), line(3_000, "charged", attempt=2)]
        ran = {lines[0].id: Ran(at(20), at(62)), lines[1].id: Ran(at(2_990), at(3_005))}
        assert spans_of(combine([], lines, STEPS, ran), [PLACED]) == [
            ("queue", 1, 20),
            ("work", 20, 62),
            ("retry", 62, 2_990),
            ("work", 2_990, 3_005),
        ]

    def test_without_a_cause_only_the_end_is_told(self) -> None:
        assert spans_of(combine([], [line(60, "charged")], STEPS, {})) == [("work", None, 60)]
        to_the_second = Published("order.placed", None)
        attempts = combine([], [line(60, "charged")], STEPS, {})
        assert spans_of(attempts, [to_the_second]) == [("work", None, 60)]

    def test_lines_of_one_invocation_are_one_attempt(self) -> None:
        lines = [
            line(60, "charged", stream="s"),
            line(61, "outcome not published", level="WARNING", request_id="r", stream="s"),
            line(62, "charged", stream="another"),
        ]
        first, second = combine([], lines, STEPS, {})
        assert first.says == ("charged", "outcome not published")
        assert first.failed
        assert not second.failed

    def test_the_second_event_of_a_step_has_its_own_cause(self) -> None:
        cancelled = Published("order.cancelled", at(200))
        lines = [line(60, "charged"), line(250, "refunded")]
        spans = build(combine([], lines, STEPS, {}), [PLACED, cancelled], [], is_open=False)
        assert [(span.event, *told([span])[0][1:]) for span in spans] == [
            ("order.placed", 1, 60),
            ("order.cancelled", 200, 250),
        ]

    def test_a_line_that_comes_late_is_about_the_first_event_not_dealt_with(self) -> None:
        cancelled = Published("order.cancelled", at(50))
        lines = [line(60, "rejected"), line(65, "refunded")]
        spans = build(combine([], lines, STEPS, {}), [PLACED, cancelled], [], is_open=False)
        assert [span.event for span in spans] == ["order.placed", "order.cancelled"]

    def test_the_tracker_logs_only_what_it_decides_on_the_last_event(self) -> None:
        reserved = Published("inventory.reserved", at(70))
        lines = [line(110, "confirmed", function="order-tracker")]
        events = [PLACED, reserved, CHARGED]
        (span,) = build(combine([], lines, STEPS, {}), events, [], is_open=False)
        assert (span.event, *told([span])[0]) == ("payment.charged", "unsplit", 90, 110)

    @pytest.mark.parametrize("odd", [["a list"], {"a": 1}, None, float("nan"), 10**400])
    def test_odd_values_in_a_line_do_no_harm(self, odd: object) -> None:
        lines = [line(60, "charged", level="WARNING", request_id=odd, attempt=odd, reason=odd)]
        assert len(combine([], lines, STEPS, {})) == 1


class TestBothSources:
    def test_a_line_belongs_to_the_attempt_that_logged_it(self) -> None:
        attempts = [
            attempt(20, 60, failed=True, request_id="request-1"),
            attempt(1_060, 1_070, number=2, request_id="request-2"),
        ]
        lines = [line(1_075, "charged"), failed(1_080, 1)]
        first, second = combine(attempts, lines, STEPS, {})
        assert first.says == ("charge failed: no answer",)
        assert second.says == ("charged",)

    def test_a_line_is_not_of_an_attempt_that_still_went_on(self) -> None:
        attempts = [attempt(20, 60.4), attempt(58, 90, event_id="event-2")]
        first, second = combine(attempts, [line(60, "charged")], STEPS, {})
        assert (first.says, second.says) == (("charged",), ())

    def test_what_the_records_have_forgotten_the_logs_still_tell(self) -> None:
        lines = [failed(60, 1), line(1_075, "charged")]
        found = combine([attempt(1_060, 1_070, number=2)], lines, STEPS, {})
        assert [(each.began_at, each.says) for each in found] == [
            (None, ("charge failed: no answer",)),
            (at(1_060), ("charged",)),
        ]


def execution(**known: Any) -> dict[str, Any]:  # noqa: ANN401
    """An execution as the local cloud tells it."""
    return {
        "function": "payments-processor",
        "request_id": "request-1",
        "began": NOW.timestamp(),
        "loaded": None,
        "ended": NOW.timestamp() + 1,
        "error": "",
        "records": 1,
        "naming": [],
        "calls": [],
        **known,
    }


def call(operation: str, *, names_it: bool = True) -> dict[str, Any]:
    return {
        "service": "dynamodb",
        "operation": operation,
        "on": ["payments"],
        "began": NOW.timestamp(),
        "ended": None,
        "error": "",
        "names_it": names_it,
    }


def message(body: str, id_: str | None = "m") -> dict[str, Any]:
    return {"id": id_, "body": body, "sent_at": 1.5, "attempt": 2, "failed": True}


class TestExecutions:
    def test_a_message_says_what_it_is_about(self) -> None:
        body = '{"id": "e", "detail-type": "order.placed", "detail": {"at": "%s"}}'
        told_of = execution(naming=[message(body % NOW.isoformat())], calls=[call("PutItem")])
        (found,) = executed([told_of], STEPS)
        assert (found.step, found.event, found.event_id) == ("payments", "order.placed", "e")
        assert (found.published_at, found.number, found.failed) == (NOW, 2, True)
        assert [each.operation for each in found.calls] == ["PutItem"]

    def test_of_a_batch_only_the_calls_for_the_order_are_told(self) -> None:
        calls = [call("BatchGetItem"), call("PutEvents", names_it=False)]
        (found,) = executed([execution(naming=[message("{}")], records=5, calls=calls)], STEPS)
        assert [each.operation for each in found.calls] == ["BatchGetItem"]
        assert (found.messages, found.other_calls) == (5, 1)

    def test_who_only_reads_an_order_makes_no_attempt_at_it(self) -> None:
        request = message('{"httpMethod": "GET", "resource": "/orders/{order_id}"}', None)
        reads = execution(function="order-api", naming=[request], calls=[call("GetItem")])
        assert not list(executed([reads], STEPS))
        places = execution(function="order-api", calls=[call("GetItem"), call("PutItem")])
        assert len(list(executed([places], STEPS))) == 1

    def test_two_messages_of_one_invocation_share_its_calls(self) -> None:
        both = execution(naming=[message("{}"), message("{}", "n")], records=2)
        first, second = executed([{**both, "calls": [call("PutItem")]}], STEPS)
        assert len(first.calls) == 1
        assert not second.calls

    def test_what_is_no_event_is_read_all_the_same(self) -> None:
        for body in ("", "[]", '{"detail": 1, "id": {}}', "\x00"):
            assert len(list(executed([execution(naming=[message(body)])], STEPS))) == 1


class _Logs:
    """CloudWatch Logs with one page."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, _name: str) -> _Logs:
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        self.asked.append(asked)
        return [{"events": self.events}]


def report(ended: float, taken: str) -> dict[str, Any]:
    text = f'{{"type": "platform.report", "record": {{"metrics": {{"durationMs": {taken}}}}}}}'
    return {"eventId": "r", "timestamp": int(at(ended).timestamp() * 1000), "message": text}


class TestWhenAnInvocationRan:
    def test_the_next_report_of_the_stream_says_it(self) -> None:
        client: Any = _Logs(report(50, "10"), report(100, "30.0"), report(200, "40"))
        asked = line(90, "charged", stream="s")
        ran = FunctionLog(client, "group", "payments-processor").ran([asked])
        assert ran == {asked.id: Ran(at(70), at(100))}
        assert client.asked[0]["logStreamNames"] == ["s"]

    @pytest.mark.parametrize("taken", ["null", '"x"', "[]", "1e400", "-5", "1e30"])
    def test_an_odd_report_does_no_harm(self, taken: str) -> None:
        client: Any = _Logs(report(100, taken))
        log = FunctionLog(client, "group", "payments-processor")
        for found in log.ran([line(90, "charged", stream="s")]).values():
            assert found.began_at <= found.ended_at
