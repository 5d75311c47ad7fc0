from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from orders.aws import order_table
from orders.aws.order_table import OrderTable
from orders.caretaker import handler as caretaker_handler
from orders.caretaker.decisions import LATE, LONGEST_SEARCH, MAX_REDRIVES, Parked, Settings
from orders.caretaker.handler import Caretaker, NotLookedAfterError
from orders.caretaker.parked import DeadLetterQueue, UnsearchedError
from orders.clock import timestamp
from orders.events import OrderPlaced, decode_command
from orders.order import Order, Step
from support import aws
from support.lambdas import Context, order_placed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

NOW = datetime.now(UTC)
LOG_GROUP = "/aws/lambda/payments-processor"
Logged = Callable[[], list[dict[str, Any]]]


class House:
    """A caretaker, and what is around it."""

    def __init__(self, dynamodb: DynamoDBClient, tap: aws.TappedBus) -> None:
        self.dynamodb = dynamodb
        self.tap = tap
        self.orders = OrderTable(dynamodb, "orders")
        self.sqs: SQSClient = aws.connect("sqs")
        self.queue = self.sqs.create_queue(QueueName="payments")["QueueUrl"]
        self.dlq = self.sqs.create_queue(QueueName="payments-dlq")["QueueUrl"]
        self.logs = aws.logs()
        self.logs.create_log_group(logGroupName=LOG_GROUP)
        self.logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName="s")
        self.caretaker = Caretaker(
            orders=self.orders,
            bus=tap.bus,
            dead_letter_queues=[
                DeadLetterQueue(
                    lambda: self.sqs,
                    lambda: self.logs,
                    url=self.dlq,
                    source_url=self.queue,
                    log_group=LOG_GROUP,
                    decode=decode_command,
                )
            ],
            settings=Settings(repeat_after=timedelta(minutes=5), deadline=timedelta(days=1)),
            stuck_after=timedelta(minutes=15),
            now=lambda: NOW,
        )

    def run(self, **delta: float) -> list[tuple[str, dict[str, Any]]]:
        """Let it look after everything, so much later; what it published."""
        dataclasses.replace(self.caretaker, now=lambda: NOW + timedelta(**delta))({}, Context())
        return self.tap.take()

    def record(self, order_id: str, minutes: float, **fields: Any) -> None:  # noqa: ANN401
        """Have an order on record that was placed some minutes ago."""
        placed_at = timestamp(NOW - timedelta(minutes=minutes))
        ordered = OrderPlaced(order_id=order_id, amount=Decimal("12.5"), customer_id="c")
        history = (Step("order.placed", placed_at),)
        values: dict[str, Any] = {"placed_at": placed_at, "ordered": ordered, "history": history}
        self.orders.create(Order(**{"order_id": order_id} | values | fields))

    def park(self, body: str, redrives: int | None = None) -> None:
        attributes: Any = {"redrives": {"DataType": "Number", "StringValue": str(redrives)}}
        self.sqs.send_message(
            QueueUrl=self.dlq,
            MessageBody=body,
            MessageAttributes={} if redrives is None else attributes,
        )

    def log(self, level: str, **fields: Any) -> None:  # noqa: ANN401
        line = json.dumps({"level": level, "message": "payment not recorded", **fields})
        at = int(datetime.now(UTC).timestamp() * 1000) + 1
        self.logs.put_log_events(
            logGroupName=LOG_GROUP,
            logStreamName="s",
            logEvents=[{"timestamp": at, "message": line}],
        )

    def taken(self, queue: str) -> list[tuple[str, str | None]]:
        """What is visible on a queue: bodies, and how often each was sent back."""
        found = []
        while messages := self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                attribute = message.get("MessageAttributes", {}).get("redrives")
                found.append((message["Body"], attribute["StringValue"] if attribute else None))
        return found

    def on(self, queue: str) -> int:
        """How many messages are on a queue, delayed ones included."""
        names: Any = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        found = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))


@pytest.fixture
def house(dynamodb: DynamoDBClient, tap: aws.TappedBus) -> House:
    return House(dynamodb, tap)


class TestOrders:
    def test_without_unfinished_orders_none_is_asked_for(self, house: House) -> None:
        """BatchGetItem takes one key at least."""
        asked = aws.line(house.dynamodb).calls
        asked.clear()
        assert house.run() == []
        assert set(asked) == {"Query"}

    def test_an_order_that_is_too_young_is_not_asked_for(self, house: House) -> None:
        house.record("young", 4)
        asked = aws.line(house.dynamodb).calls
        asked.clear()
        assert house.run() == []
        assert set(asked) == {"Query"}

    def test_what_was_ordered_is_published_again_when_nothing_was_heard(self, house: House) -> None:
        house.record("old", 6)
        house.record("young", 4)
        ((kind, detail),) = house.run()
        assert kind == "order.placed"
        expected = {"order_id": "old", "amount": 12.5, "currency": "USD", "customer_id": "c"}
        assert detail == {**expected, "items": []}

    def test_orders_on_further_pages_are_seen_too(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(order_table, "_KEYS_A_PAGE", 1)
        for number in range(12):  # over 8 keys of the index
            house.record(f"o{number}", 6)
        assert {detail["order_id"] for _, detail in house.run()} == {f"o{n}" for n in range(12)}

    def test_once_for_each_pause(self, house: House) -> None:
        house.record("o1", 6)
        assert len(house.run()) == 1
        assert house.run() == []
        assert house.run(minutes=9) == []
        assert len(house.run(minutes=11)) == 1

    def test_its_notes_touch_nothing_that_the_tracker_writes(self, house: House) -> None:
        house.record("o1", 6)
        before = house.orders.get("o1")
        house.run()
        assert house.orders.get("o1") == before
        item = house.dynamodb.get_item(TableName="orders", Key={"order_id": {"S": "o1"}})["Item"]
        assert item["repeats"] == {"N": "1"}
        # Nor does the tracker's next write take them away.
        assert before
        assert not house.orders.write([before], Context())
        item = house.dynamodb.get_item(TableName="orders", Key={"order_id": {"S": "o1"}})["Item"]
        assert item["repeats"] == {"N": "1"}

    def test_of_two_at_once_one_publishes(self, house: House) -> None:
        house.record("o1", 6)
        found, _ = house.orders.find_repeated(["o1"], Context())
        _, repeats = found["o1"]
        answers = [house.orders.note_repeat("o1", repeats, timestamp(NOW)) for _ in range(2)]
        assert answers == [None, "somebody else wrote first"]

    def test_an_order_that_has_ended_meanwhile_is_not_noted(self, house: House) -> None:
        house.record("o1", 6, status="confirmed", payment="charged", inventory="reserved")
        found, _ = house.orders.find_repeated(["o1"], Context())
        why = house.orders.note_repeat("o1", found["o1"][1], timestamp(NOW))
        assert why == "somebody else wrote first"

    def test_the_tracker_is_asked_to_cancel_what_is_too_late(self, house: House) -> None:
        house.record("o1", 24 * 60 + 1, payment="charged")
        requested = {"order_id": "o1", "reason": LATE}
        assert house.run() == [("order.cancel_requested", requested)]

    def test_a_cancel_is_told_again_until_money_is_back(self, house: House) -> None:
        house.record("o1", 6, status="cancelled", reason="why", payment="charged")
        ((kind, detail),) = house.run()
        assert (kind, detail["reason"]) == ("order.cancelled", "why")

    def test_a_run_puts_a_bounded_number_on_their_way(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(caretaker_handler, "ORDERS_A_RUN", 3)
        for number in range(5):
            house.record(f"o{number}", 6)
        first, second = house.run(), house.run()
        assert (len(first), len(second)) == (3, 2)
        assert {detail["order_id"] for _, detail in first + second} == {
            f"o{number}" for number in range(5)
        }

    def test_when_it_has_done_enough_it_looks_no_further(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(caretaker_handler, "ORDERS_A_RUN", 1)
        monkeypatch.setattr(order_table, "_KEYS_A_PAGE", 1)
        for number in range(5):
            house.record(f"o{number}", 6)
        asked = aws.line(house.dynamodb).calls
        asked.clear()
        assert len(house.run()) == 1
        assert asked.count("BatchGetItem") == 1

    def test_a_run_ends_before_its_time_does(self, house: House) -> None:
        house.record("o1", 6)
        house.caretaker({}, Context(remaining_milliseconds=2999))
        assert house.tap.take() == []

    def test_a_record_nobody_can_read_holds_no_other_up(self, house: House, logged: Logged) -> None:
        house.record("bad", 6)
        house.record("good", 6)
        house.dynamodb.update_item(
            TableName="orders",
            Key={"order_id": {"S": "bad"}},
            UpdateExpression="SET amount = :a",
            ExpressionAttributeValues={":a": {"S": "much"}},
        )
        assert [detail["order_id"] for _, detail in house.run()] == ["good"]
        (line,) = [line for line in logged() if line.get("order_id") == "bad"]
        assert (line["level"], line["message"]) == ("WARNING", "order not looked after")

    def test_what_the_bus_refuses_is_published_after_the_next_pause(self, house: House) -> None:
        house.record("o1", 6)
        refused = {"ErrorCode": "AccessDenied"}
        aws.refuse(house.tap.client, "PutEvents", "o1", refused, times=1)
        house.run()
        house.tap.take()
        assert len(house.run(minutes=11)) == 1


class TestParked:
    def test_a_passing_reason_goes_back_and_is_counted(self, house: House) -> None:
        body = json.dumps(order_placed("o1"))
        house.park(body)
        house.log("WARNING", order_id="o1", reason="the card processor did not answer")
        house.run()
        assert house.on(house.dlq) == 0
        assert house.taken(house.queue) == [(body, "1")]

    def test_what_has_gone_back_is_not_shown_on_the_queue_that_it_left(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")))
        calls = aws.line(house.sqs).calls
        calls.clear()
        house.run()
        assert "SendMessageBatch" in calls
        assert "ChangeMessageVisibilityBatch" not in calls

    def test_what_nothing_was_logged_of_goes_back(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")))
        house.run()
        assert (house.on(house.dlq), house.on(house.queue)) == (0, 1)

    def test_the_pause_is_spent_on_the_queue_it_came_from(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")), redrives=2)
        house.run()
        assert house.taken(house.queue) == []
        assert (house.on(house.dlq), house.on(house.queue)) == (0, 1)

    @pytest.mark.parametrize("body", ["no JSON", '{"detail-type": "order.placed"}'])
    def test_what_no_code_can_read_stays_visible(self, house: House, body: str) -> None:
        house.park(body)
        house.run()
        assert house.taken(house.dlq) == [(body, None)]
        assert house.on(house.queue) == 0

    def test_what_was_denied_stays_and_holds_no_other_up(self, house: House) -> None:
        denied, other = (json.dumps(order_placed(name)) for name in ("denied", "other"))
        house.park(denied)
        house.park(other)
        house.log("WARNING", order_id="denied", reason="AccessDeniedException from PutEvents")
        house.run()
        assert house.taken(house.dlq) == [(denied, None)]
        assert house.taken(house.queue) == [(other, "1")]

    def test_the_last_reason_counts(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")))
        house.log("WARNING", order_id="o1", reason="AccessDeniedException from PutEvents")
        house.log("WARNING", order_id="o1", reason="InternalFailure from PutEvents")
        house.run()
        assert house.on(house.dlq) == 0

    def test_the_last_reason_may_be_on_another_page(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")))
        house.log("WARNING", order_id="o1", reason="AccessDeniedException from PutEvents")
        house.log("WARNING", order_id="o1", reason="InternalFailure from PutEvents")
        asked: list[str] = []

        def page(answer: dict[str, Any]) -> None:
            """One event a page, as CloudWatch Logs may answer."""
            number = len(asked) - 1
            more = {"nextToken": str(number)} if number + 1 < len(answer["events"]) else {}
            answer.update({"events": answer["events"][number : number + 1], **more})

        logs = aws.line(house.logs)
        logs.before("FilterLogEvents", lambda wanted: asked.append(wanted.pop("nextToken", "")))
        logs.after("FilterLogEvents", page)
        house.run()
        assert asked == ["", "0"]
        assert house.on(house.dlq) == 0

    @pytest.mark.parametrize(
        "attribute",
        [
            {"DataType": "String", "StringValue": "²"},
            {"DataType": "String", "StringValue": "-1"},
            {"DataType": "String", "StringValue": "9" * 5000},
            {"DataType": "Binary", "BinaryValue": b"1"},
        ],
    )
    def test_somebody_elses_count_says_nothing(self, house: House, attribute: Any) -> None:  # noqa: ANN401
        body = json.dumps(order_placed("o1"))
        house.sqs.send_message(
            QueueUrl=house.dlq, MessageBody=body, MessageAttributes={"redrives": attribute}
        )
        house.run()
        assert house.taken(house.queue) == [(body, "1")]

    def test_it_gives_up_after_a_while(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")), redrives=MAX_REDRIVES)
        house.run()
        assert (house.on(house.dlq), house.on(house.queue)) == (1, 0)

    def test_a_run_takes_a_bounded_number(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orders.caretaker.parked.MESSAGES_A_RUN", 10)
        for number in range(25):
            house.park(json.dumps(order_placed(f"o{number}")))
        house.run()
        assert (house.on(house.dlq), house.on(house.queue)) == (15, 10)

    def test_when_the_log_cannot_be_searched_all_stay_and_orders_are_looked_after(
        self, house: House, logged: Logged
    ) -> None:
        house.park(json.dumps(order_placed("o1")))
        house.record("o2", 6)
        house.logs.delete_log_group(logGroupName=LOG_GROUP)
        with pytest.raises(NotLookedAfterError, match="ResourceNotFoundException"):
            house.run()
        assert len(house.taken(house.dlq)) == 1
        assert [kind for kind, _ in house.tap.take()] == ["order.placed"]

    def test_the_log_is_not_searched_for_what_no_code_can_read(self, house: House) -> None:
        """Nor does the age of such a message count: it may be a day older."""
        searched: list[int] = []
        aws.line(house.logs).before("FilterLogEvents", lambda r: searched.append(r["startTime"]))
        sent_at = NOW - timedelta(hours=3)
        unread = Parked("m1", "h", "no JSON", NOW - timedelta(hours=5), 0, None)
        read = Parked("m2", "h", "", sent_at, 0, "o1")
        queue = house.caretaker.dead_letter_queues[0]
        back = house.caretaker._to_be_redriven(queue, [unread, read], Context())
        assert back == [(read, 0)]
        assert searched == [int(sent_at.timestamp() * 1000)]


@pytest.mark.parametrize(("ages_in_minutes", "stuck"), [((1, 14, 16, 60), 2), ((1,), 0)])
def test_reports_how_many_orders_are_older_than_an_order_should_get(
    house: House,
    capsys: pytest.CaptureFixture[str],
    ages_in_minutes: tuple[int, ...],
    stuck: int,
) -> None:
    for number, minutes in enumerate(ages_in_minutes):
        house.record(f"o{number}", minutes)
    house.record("ended", 99, status="confirmed")
    house.run()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["StuckOrders"] for line in lines if "StuckOrders" in line] == [stuck]


class TestWhatStays:
    def test_without_time_nothing_is_taken(self, house: House) -> None:
        house.park(json.dumps(order_placed("o1")))
        calls = aws.line(house.sqs).calls
        calls.clear()
        house.caretaker({}, Context(1000))
        assert "ReceiveMessage" not in calls

    def test_the_log_is_searched_since_the_oldest_was_sent(self, house: House) -> None:
        """For a day at most, and to its end."""
        asked: list[int] = []
        aws.line(house.logs).before("FilterLogEvents", lambda r: asked.append(r["startTime"]))
        queue = house.caretaker.dead_letter_queues[0]
        ages = (timedelta(hours=3), timedelta(hours=1))
        parked = [Parked("m", "h", "", NOW - age, 0, "o1") for age in ages]
        queue.failures(parked, NOW, Context())
        queue.failures([Parked("m", "h", "", NOW - timedelta(days=9), 0, "o1")], NOW, Context())
        since = (NOW - timedelta(hours=3), NOW - LONGEST_SEARCH)
        assert asked == [int(moment.timestamp() * 1000) for moment in since]
        with pytest.raises(UnsearchedError):
            queue.failures(parked, NOW, Context(1000))

    def test_what_sqs_refuses_stays_and_is_logged(self, house: House, logged: Logged) -> None:
        sent: list[Any] = []

        def refuse_one(parsed: dict[str, Any]) -> None:
            parsed["Failed"] = [{"Id": "0", "Code": "InternalError", "SenderFault": False}]

        aws.line(house.sqs).before("SendMessageBatch", lambda r: sent.extend(r["Entries"]))
        aws.line(house.sqs).after("SendMessageBatch", refuse_one)
        house.park(json.dumps(order_placed("o1")))
        house.park(json.dumps(order_placed("o2")))
        house.run()
        assert len(house.taken(house.dlq)) == 1, "it is shown again at once"
        assert [entry["MessageAttributes"]["redrives"] for entry in sent] == [
            {"DataType": "Number", "StringValue": "1"}
        ] * 2
        (refused,) = [line for line in logged() if line["message"] == "not redriven"]
        assert refused["reason"] == "InternalError"

    def test_a_call_that_fails_keeps_all_its_messages(self, house: House, logged: Logged) -> None:
        def refuse(_: object) -> None:
            raise aws.Refused("AccessDeniedException")

        aws.line(house.sqs).before("SendMessageBatch", refuse)
        house.park(json.dumps(order_placed("o1")))
        house.run()
        assert house.on(house.dlq) == 1
        (refused,) = [line for line in logged() if line["message"] == "not redriven"]
        assert refused["reason"] == "AccessDeniedException from SendMessageBatch"

    def test_what_another_run_has_claimed_is_not_published(self, house: House) -> None:
        def other_run(_: object) -> None:
            aws.line(house.dynamodb).forget("UpdateItem")
            other.extend(house.run())

        other: list[tuple[str, dict[str, Any]]] = []
        house.record("o1", 6)
        aws.line(house.dynamodb).before("UpdateItem", other_run)
        assert (house.run(), len(other)) == ([], 1)

    def test_a_line_of_the_log_that_is_no_json_says_nothing(self, house: House) -> None:
        body = json.dumps(order_placed("o1"))
        house.park(body)
        house.logs.put_log_events(
            logGroupName=LOG_GROUP,
            logStreamName="s",
            logEvents=[
                {"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": '"WARNING" o1'}
            ],
        )
        house.run()
        assert house.taken(house.queue) == [(body, "1")]


class TestWhatIsToldOfIt:
    """Counted and logged: nobody sees these but the operators."""

    def test_what_was_done_is_counted(
        self, house: House, metered: Callable[[], dict[str, int]]
    ) -> None:
        house.park(json.dumps(order_placed("o1")))
        house.record("o2", 6)
        house.run()
        told = metered()
        assert (told["MessagesRedriven"], told["EventsRepeated"]) == (1, 1)

    def test_what_is_published_again_and_what_is_stuck_is_logged(
        self, house: House, logged: Logged
    ) -> None:
        house.record("o1", 60)
        house.run()
        again, stuck = logged()
        assert (again["message"], again["order_id"]) == ("order.placed again", "o1")
        assert (stuck["message"], stuck["orders"]) == ("orders are stuck", 1)
        assert stuck["request_id"] == Context().aws_request_id

    def test_what_the_bus_refuses_is_logged(self, house: House, logged: Logged) -> None:
        house.record("o1", 6)
        aws.refuse(house.tap.client, "PutEvents", "o1", {"ErrorCode": "AccessDenied"})
        house.run()
        (told,) = logged()
        assert told["message"] == "event not repeated"
        assert told["reason"] == "AccessDenied from PutEvents"

    @pytest.mark.parametrize(
        ("code", "messages"),
        [
            ("ConditionalCheckFailedException", []),
            ("AccessDeniedException", ["order not looked after"]),
        ],
    )
    def test_a_claim_that_is_refused_is_logged_unless_another_run_has_it(
        self, house: House, logged: Logged, code: str, messages: list[str]
    ) -> None:
        def refuse(_: object) -> None:
            raise aws.Refused(code)

        house.record("o1", 6)
        aws.line(house.dynamodb).before("UpdateItem", refuse)
        assert house.run() == []
        assert [line["message"] for line in logged()] == messages


def test_each_duty_that_fails_is_named(house: House) -> None:
    def refuse(_: object) -> None:
        raise aws.Refused("AccessDeniedException")

    aws.line(house.dynamodb).before("Query", refuse)
    why = "AccessDeniedException from Query"
    with pytest.raises(NotLookedAfterError, match=f"^{why}; {why}$"):
        house.run()


class TestAsItIsDeployed:
    def test_it_goes_by_the_time_of_its_machine(self) -> None:
        before = datetime.now(UTC)
        assert before <= caretaker_handler.handler.now() <= datetime.now(UTC)

    def test_it_looks_after_the_queue_of_each_consumer(self) -> None:
        queues = caretaker_handler.handler.dead_letter_queues
        assert [(queue.url, queue.source_url) for queue in queues] == [
            (os.environ[f"{name}_DLQ_URL"], os.environ[f"{name}_QUEUE_URL"])
            for name in ("PAYMENTS", "INVENTORY", "OUTCOMES")
        ]
        assert len({queue.log_group for queue in queues}) == len(queues)
