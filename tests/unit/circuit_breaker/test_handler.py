"""The circuit breaker on real tables, a real queue and a real bus; Lambda is played."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orderctl.deploying import Template
from orders.aws.errors import AwsError
from orders.circuit_breaker import handler as handler_module
from orders.circuit_breaker.circuits import Circuits
from orders.circuit_breaker.consumer import Consumer
from orders.circuit_breaker.decisions import LONGEST_RUN
from orders.circuit_breaker.handler import CircuitBreaker, CircuitNotHandledError
from orders.clock import timestamp
from orders.events import UnreadableEventError, decode_command
from support import aws
from support.lambdas import Context, event_of, order_placed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

SCHEDULE = {"source": "aws.events"}
PAUSE = timedelta(seconds=60)


class House:
    """A circuit breaker, what is around it, and what Lambda would say."""

    def __init__(self, dynamodb: DynamoDBClient, tap: aws.TappedBus) -> None:
        self.now = datetime(2026, 8, 18, 9, 30, tzinfo=UTC)
        self.state = "Enabled"
        self.refuses = ""
        self.failing = True
        self.tried: list[str] = []
        self.circuits = Circuits(dynamodb, "circuits")
        self.tap = tap
        self.sqs: SQSClient = aws.connect("sqs")
        self.url = self.sqs.create_queue(QueueName="payments")["QueueUrl"]
        lambdas: Any = self
        self.breaker = CircuitBreaker(
            self.circuits,
            Consumer(
                lambda: lambdas,
                lambda: self.sqs,
                name="payments",
                mapping="m",
                function="payments-processor",
                queue_url=self.url,
                decode=decode_command,
            ),
            tap.bus,
            PAUSE,
            lambda: self.now,
        )

    def get_event_source_mapping(self, **_: object) -> Any:  # noqa: ANN401
        return {"State": self.state}

    def update_event_source_mapping(self, **arguments: Any) -> Any:  # noqa: ANN401
        if self.refuses:
            raise AwsError(self.refuses, "UpdateEventSourceMapping")
        self.state = "Enabled" if arguments["Enabled"] else "Disabled"

    def invoke(self, **arguments: Any) -> Any:  # noqa: ANN401
        records = json.loads(arguments["Payload"])["Records"]
        self.tried += [json.loads(record["body"])["detail"]["order_id"] for record in records]
        failed = [{"itemIdentifier": r["messageId"]} for r in records if self.failing]
        return {"Payload": io.BytesIO(json.dumps({"batchItemFailures": failed}).encode())}

    def alert(self) -> None:
        event = event_of("payments.failing", tries=20, failed=18)
        self.breaker({**event, "time": self.now.strftime("%Y-%m-%dT%H:%M:%SZ")}, Context())

    def minute_passes(self, minutes: int = 1) -> None:
        self.now += timedelta(minutes=minutes)
        self.breaker(SCHEDULE, Context())

    def send(self, *order_ids: str) -> None:
        count: Any = {"redrives": {"DataType": "Number", "StringValue": "2"}}
        for order_id in order_ids:
            body = json.dumps(order_placed(order_id))
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=count)

    def messages(self) -> list[Any]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return list(answer.get("Messages", []))

    def on_the_queue(self) -> int:
        """How many messages there are, hidden and delayed ones included."""
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        counts = answer["Attributes"].items()
        return sum(int(n) for name, n in counts if name.startswith("ApproximateNumberOfMessages"))

    @property
    def circuit(self) -> Any:  # noqa: ANN401
        return self.circuits.get("payments")


@pytest.fixture
def house(dynamodb: DynamoDBClient, tap: aws.TappedBus) -> House:
    return House(dynamodb, tap)


def test_an_alert_pauses_the_consumer_and_a_test_that_passes_resumes_it(house: House) -> None:
    house.alert()
    assert (house.circuit.state, house.state) == ("open", "Disabled")
    ((opened, detail),) = house.tap.take()
    assert (opened, detail["consumer"]) == ("circuit.opened", "payments")
    assert "18 of the last 20" in detail["reason"]
    house.send("a", "b", "c")
    house.failing = False
    house.minute_passes()
    assert sorted(house.tried) == ["a", "b", "c"]
    assert (house.circuit.state, house.state) == ("closed", "Enabled")
    assert [event for event, _ in house.tap.take()] == ["circuit.closed"]
    assert house.on_the_queue() == 0


def test_a_second_alert_and_a_quiet_minute_change_nothing(house: House) -> None:
    house.minute_passes()
    assert house.state == "Enabled"
    house.alert()
    since, _ = house.circuit.since, house.tap.take()
    house.now += timedelta(seconds=1)
    house.alert()
    assert house.circuit.since == since
    assert not house.tap.take()


def test_what_fails_in_a_test_is_as_new_and_loses_nothing(house: House) -> None:
    house.alert()
    house.send("a", "b")
    for _ in range(4):
        house.minute_passes()
    assert house.circuit.state == "open"
    assert len(house.tried) == 8
    found = house.messages()
    assert sorted(json.loads(m["Body"])["detail"]["order_id"] for m in found) == ["a", "b"]
    assert {m["Attributes"]["ApproximateReceiveCount"] for m in found} == {"1"}
    assert {m["MessageAttributes"]["redrives"]["StringValue"] for m in found} == {"2"}


@pytest.mark.parametrize("how", ["refused", "failed"])
def test_a_test_that_lambda_does_not_finish_loses_nothing(house: House, how: str) -> None:
    def invoke(**_: object) -> Any:  # noqa: ANN401
        if how == "refused":
            raise AwsError("TooManyRequestsException", "Invoke")
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}

    house.alert()
    house.send("a", "b")
    house.invoke = invoke  # type: ignore[method-assign]
    house.minute_passes()
    assert house.circuit.state == "open"
    assert house.on_the_queue() == len(house.messages()) == 2


def test_what_could_not_be_sent_anew_is_not_deleted(house: House) -> None:
    def refuse_one(parsed: dict[str, Any]) -> None:
        parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]
        parsed["Successful"] = parsed["Successful"][:1]

    house.alert()
    house.send("a", "b")
    aws.line(house.sqs).after("SendMessageBatch", refuse_one)
    deleted: list[int] = []
    aws.line(house.sqs).before("DeleteMessageBatch", lambda r: deleted.append(len(r["Entries"])))
    house.minute_passes()
    assert deleted == [1]


def test_of_two_runs_at_once_one_has_orders_try(house: House) -> None:
    def other_run(_: object) -> None:
        aws.line(house.circuits.client).forget("PutItem")
        house.breaker(SCHEDULE, Context())

    house.alert()
    house.send("a", "b")
    aws.line(house.circuits.client).before("PutItem", other_run)
    house.minute_passes()
    assert sorted(house.tried) == ["a", "b"]


def test_an_operator_who_comes_in_while_the_state_is_looked_at_wins(house: House) -> None:
    house.alert()
    house.minute_passes()
    assert house.state == "Enabled"
    house.state, look = "Disabled", house.get_event_source_mapping

    def held_meanwhile(**_: object) -> Any:  # noqa: ANN401
        house.circuits.hold("payments", timestamp(house.now))
        return look()

    house.get_event_source_mapping = held_meanwhile  # type: ignore[method-assign]
    house.minute_passes()
    assert house.state == "Disabled"


def test_what_no_code_can_read_has_no_part_in_a_test(house: House) -> None:
    house.alert()
    house.sqs.send_message(QueueUrl=house.url, MessageBody="unreadable")
    house.minute_passes()
    assert not house.tried
    assert not house.circuit.is_closed
    (message,) = house.messages()
    assert message["Attributes"]["ApproximateReceiveCount"] == "2", "so it is parked in time"


def test_an_empty_queue_closes_the_circuit_and_a_hidden_message_does_not(house: House) -> None:
    house.alert()
    house.send("a")
    (message,) = house.messages()
    house.minute_passes()
    assert not house.circuit.is_closed
    house.sqs.delete_message(QueueUrl=house.url, ReceiptHandle=message["ReceiptHandle"])
    house.minute_passes()
    assert house.circuit.is_closed


def test_what_an_operator_holds_is_not_resumed_until_they_release_it(house: House) -> None:
    house.alert()
    house.circuits.hold("payments", timestamp(house.now))
    house.send("a")
    house.failing = False
    house.minute_passes(5)
    assert not house.tried
    assert house.state == "Disabled"
    house.circuits.release("payments", timestamp(house.now))
    house.minute_passes()
    assert (house.circuit.state, house.circuit.on_hold, house.state) == ("closed", None, "Enabled")


def test_a_hold_that_comes_while_orders_try_wins(house: House) -> None:
    house.alert()
    house.send("a")
    house.failing = False
    try_it = house.invoke

    def held_meanwhile(**arguments: Any) -> Any:  # noqa: ANN401
        house.circuits.hold("payments", timestamp(house.now))
        return try_it(**arguments)

    house.invoke = held_meanwhile  # type: ignore[method-assign]
    house.minute_passes()
    assert house.circuit.on_hold
    assert house.state == "Disabled"
    house.minute_passes()
    assert house.state == "Disabled"


def test_what_somebody_else_has_paused_is_left_alone(house: House) -> None:
    house.state = "Disabled"
    house.alert()
    house.minute_passes()
    assert house.circuit.is_closed
    assert house.state == "Disabled"


def test_what_is_paused_long_after_the_circuit_closed_is_left_alone(house: House) -> None:
    house.alert()
    house.minute_passes()
    assert house.state == "Enabled"
    house.minute_passes(10)
    house.state = "Disabled"
    house.minute_passes()
    assert house.state == "Disabled"


def test_what_lambda_refuses_for_now_is_done_a_minute_later(house: House) -> None:
    house.refuses = "ResourceInUseException"
    with pytest.raises(CircuitNotHandledError, match="ResourceInUseException"):
        house.alert()
    assert (house.circuit.state, house.state) == ("open", "Enabled")
    house.refuses = ""
    house.send("a")
    house.minute_passes()
    assert house.state == "Disabled"


def test_an_event_of_another_source_is_unreadable(house: House) -> None:
    event = event_of("payments.failing", tries=20, failed=18)
    with pytest.raises(UnreadableEventError, match="must come from"):
        house.breaker({**event, "source": "com.evil"}, Context())
    assert house.circuit.is_closed


def test_no_run_lasts_longer_than_the_decisions_think() -> None:
    resources = Template.load().resources()
    timeout = resources["CircuitBreakerFunction"]["Properties"]["Timeout"]
    assert timedelta(seconds=timeout) == LONGEST_RUN


def test_the_state_is_counted_and_told_in_the_log(
    house: House,
    metered: Callable[[], dict[str, int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    house.minute_passes()
    assert metered() == {"CircuitOpen": 0}
    house.alert()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines if "message" in line] == ["circuit opened"]
    assert [line["CircuitOpen"] for line in lines if "metrics" in line] == [1]
    assert lines[0]["request_id"] == "request-1"
    house.failing = False
    house.minute_passes()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line["message"] for line in lines if "message" in line]
    assert told == ["circuit tested", "circuit closed"]


def test_a_test_is_claimed_for_as_long_as_it_can_take(house: House) -> None:
    claimed: list[Any] = []
    try_it = house.invoke

    def look(**arguments: Any) -> Any:  # noqa: ANN401
        claimed.append(house.circuit)
        return try_it(**arguments)

    house.alert()
    house.send("a")
    house.invoke = look  # type: ignore[method-assign]
    house.minute_passes()
    (circuit,) = claimed
    assert (circuit.state, circuit.test_at) == ("half-open", house.now + PAUSE)


def test_an_alert_after_the_breaker_itself_paused_it_opens_it_again(house: House) -> None:
    house.alert()
    house.failing, house.refuses = False, "ResourceInUseException"
    with pytest.raises(CircuitNotHandledError):
        house.minute_passes()
    assert (house.circuit.state, house.state) == ("closed", "Disabled")
    house.refuses = ""
    house.alert()
    assert (house.circuit.state, house.state) == ("open", "Disabled")


@pytest.mark.parametrize("state", ["Disabling", "Enabling", "Updating"])
def test_what_lambda_is_changing_is_not_switched(house: House, state: str) -> None:
    house.alert()
    house.state = state
    house.refuses = "ResourceInUseException"
    house.minute_passes()
    assert house.state == state


def test_what_another_run_has_settled_is_left_alone(house: House) -> None:
    house.alert()
    house.minute_passes()
    house.state, look = "Disabled", house.get_event_source_mapping

    def settled_meanwhile(**_: object) -> Any:  # noqa: ANN401
        house.circuits.write(replace(house.circuit, switched_at=None))
        return look()

    house.get_event_source_mapping = settled_meanwhile  # type: ignore[method-assign]
    house.refuses = "it is called"
    house.minute_passes()
    assert house.state == "Disabled"


def test_what_could_not_be_announced_is_announced_with_its_time(house: House) -> None:
    def refuse(parsed: dict[str, Any]) -> None:
        parsed.update(FailedEntryCount=1, Entries=[{"ErrorCode": "NotAuthorizedForSource"}])

    aws.line(house.tap.client).after("PutEvents", refuse)
    house.alert()
    since = timestamp(house.now)
    house.tap.take()
    aws.line(house.tap.client).forget("PutEvents")
    house.now += timedelta(seconds=10)
    house.breaker(SCHEDULE, Context())
    ((opened, detail),) = house.tap.take()
    assert (opened, detail["since"]) == ("circuit.opened", since)


def test_a_delayed_message_keeps_the_circuit_open(house: House) -> None:
    house.alert()
    body = json.dumps(order_placed("a"))
    house.sqs.send_message(QueueUrl=house.url, MessageBody=body, DelaySeconds=600)
    house.minute_passes()
    assert not house.circuit.is_closed


def test_a_tested_message_comes_as_its_queue_brings_it(house: House) -> None:
    house.alert()
    asked: list[Any] = []

    def invoke(**arguments: Any) -> Any:  # noqa: ANN401
        asked.append(arguments)
        return {"Payload": io.BytesIO(b'{"batchItemFailures": []}')}

    house.invoke = invoke  # type: ignore[method-assign]
    house.send("a")
    house.minute_passes()
    ((record,),) = [json.loads(arguments["Payload"])["Records"] for arguments in asked]
    assert record.keys() == {"messageId", "receiptHandle", "body", "attributes", "eventSource"}
    assert record["attributes"] == {"ApproximateReceiveCount": "1"}
    assert record["eventSource"] == "aws:sqs"


def test_a_clock_has_its_zone() -> None:
    assert handler_module._now().tzinfo is UTC


def test_what_somebody_else_is_pausing_is_left_alone(house: House) -> None:
    house.state = "Disabling"
    house.alert()
    assert house.circuit.is_closed


def test_only_what_has_no_part_is_put_back_at_once(house: House) -> None:
    put_back: list[Any] = []
    aws.line(house.sqs).before(
        "ChangeMessageVisibilityBatch", lambda request: put_back.extend(request["Entries"])
    )
    house.alert()
    house.send("a")
    house.sqs.send_message(QueueUrl=house.url, MessageBody="unreadable")
    house.failing = False
    house.minute_passes()
    assert (house.tried, len(put_back), house.on_the_queue()) == (["a"], 1, 1)


def test_attributes_are_sent_anew_as_they_were_but_for_bytes(house: House) -> None:
    sent: list[Any] = []
    aws.line(house.sqs).before("SendMessageBatch", lambda request: sent.extend(request["Entries"]))
    house.alert()
    house.sqs.send_message(
        QueueUrl=house.url,
        MessageBody=json.dumps(order_placed("a")),
        MessageAttributes={
            "redrives": {"DataType": "Number", "StringValue": "2"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"1"},
        },
    )
    house.minute_passes()
    (message,) = sent
    assert message["MessageAttributes"] == {"redrives": {"DataType": "Number", "StringValue": "2"}}


def test_what_is_on_record_is_read_as_it_is_now(house: House) -> None:
    asked: list[Any] = []
    aws.line(house.circuits.client).before("GetItem", asked.append)
    assert house.circuit.is_closed
    assert asked[0]["ConsistentRead"] is True


def test_a_circuit_that_could_not_be_written_is_an_error(house: House) -> None:
    def refuse(_: object) -> None:
        raise aws.Refused("AccessDeniedException")

    aws.line(house.circuits.client).before("PutItem", refuse)
    with pytest.raises(AwsError, match="AccessDeniedException from PutItem"):
        house.circuits.write(house.circuit)


def test_who_releases_a_consumer_closes_its_circuit(house: House) -> None:
    house.alert()
    house.circuits.release("payments", timestamp(house.now))
    assert (house.circuit.state, house.circuit.reason, house.circuit.test_at) == (
        "closed",
        None,
        None,
    )
