"""Both clients do the same for those who call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from orders.aws import clients, sdk
from orders.aws.context import FINISHING_MILLISECONDS
from orders.aws.errors import AwsError, reason
from orders.aws.wire import client as lean
from orders.aws.wire.client import LONGEST_PAUSE_SECONDS
from orders.aws.wire.connection import ANSWER_SECONDS, CONNECT_SECONDS
from simulation.template import topology
from support.aws import Lost, Refused, line

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SENT = "4111 1111 1111 1111"
KEY: Any = {"TableName": "orders", "Key": {"order_id": {"S": "a"}}}


@pytest.mark.parametrize(
    ("trouble", "said", "tries"),
    [
        (Refused("ValidationException", message=SENT), "ValidationException from GetItem", 1),
        (Refused("ThrottlingException", message=SENT), "ThrottlingException from GetItem", 2),
        (Refused("InternalServerError", 500), "InternalServerError from GetItem", 2),
        (Lost(SENT), "ReadTimeoutError from GetItem", 2),
    ],
    ids=["refused", "throttled", "failed", "lost"],
)
def test_a_reason_is_what_went_wrong_without_what_was_sent(
    dynamodb: DynamoDBClient, trouble: Exception, said: str, tries: int
) -> None:
    def happen(_: object) -> None:
        raise trouble

    line(dynamodb).before("GetItem", happen)
    line(dynamodb).calls.clear()
    with pytest.raises(AwsError) as caught:
        dynamodb.get_item(**KEY)
    assert reason(caught.value) == str(caught.value) == said
    assert line(dynamodb).calls == ["GetItem"] * tries


def test_what_passes_is_not_noticed(dynamodb: DynamoDBClient) -> None:
    def happen(_: object) -> None:
        line(dynamodb).forget("GetItem")
        raise Lost

    line(dynamodb).before("GetItem", happen)
    assert "Item" not in dynamodb.get_item(**KEY)


def test_an_error_has_the_rest_of_the_answer(dynamodb: DynamoDBClient) -> None:
    item: Any = {"order_id": {"S": "a"}, "raw": {"B": b"\x00\xff"}}
    dynamodb.put_item(TableName="orders", Item=item)
    with pytest.raises(AwsError) as caught:
        dynamodb.put_item(
            TableName="orders",
            Item=item,
            ConditionExpression="attribute_not_exists(order_id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.is_condition_failed
    assert (caught.value.status, caught.value.message) == (400, "The conditional request failed")
    assert caught.value.answer["Item"] == item


def test_any_other_error_says_what_it_is() -> None:
    assert reason(ValueError("no")) == "ValueError: no"


def test_there_is_no_third_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CLIENT", "boto3")
    with pytest.raises(ValueError, match="AWS_CLIENT is 'boto3', neither lean nor sdk"):
        clients.make("dynamodb")


def test_a_call_that_hangs_leaves_time_to_report_what_is_done() -> None:
    """Two tries and a second between them end before a function stops taking up work."""
    config: Any = sdk.Client("dynamodb").botocore.meta.config
    tries = config.retries["total_max_attempts"]
    hanging = tries * (config.connect_timeout + config.read_timeout) + (tries - 1)
    assert hanging == 2 * (CONNECT_SECONDS + ANSWER_SECONDS) + LONGEST_PAUSE_SECONDS
    shortest = min(function.timeout for function in topology().functions.values())
    assert hanging <= shortest - FINISHING_MILLISECONDS / 1000


def test_each_client_is_of_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(clients, "make", made.append)
    names = ("dynamodb", "events", "sns", "sqs", "functions", "logs")
    for name in names:
        get: Any = getattr(clients, name)
        getattr(get, "__wrapped__", get)()  # not one that was made before
    assert made == ["dynamodb", "events", "sns", "sqs", "lambda", "logs"]


def test_the_lean_client_is_the_one_unless_the_other_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_CLIENT", raising=False)
    assert isinstance(clients.make("sqs"), lean.Client)
    monkeypatch.setenv("AWS_CLIENT", "sdk")
    assert isinstance(clients.make("sqs"), sdk.Client)


class TestTheSdk:
    """The SDK's clients, as they are set up, and what they raise."""

    def test_it_tries_twice_and_checks_nothing_itself(self) -> None:
        config: Any = sdk.Client("sqs").botocore.meta.config
        assert (config.connect_timeout, config.read_timeout) == (1, 2)
        assert config.retries == {"mode": "standard", "total_max_attempts": 2}
        given: Any = sdk._CONFIG
        assert given.parameter_validation is False

    def test_it_waits_for_the_end_of_a_function_and_calls_it_once(self) -> None:
        config: Any = sdk.Client("lambda").botocore.meta.config
        assert (config.connect_timeout, config.read_timeout) == (1, 90)
        assert config.retries == {"mode": "standard", "total_max_attempts": 1}

    def test_a_method_is_made_once(self) -> None:
        client = sdk.Client("sqs")
        assert client.send_message is client.send_message

    def test_a_call_that_gets_no_answer_says_why_and_not_what_was_sent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(**_: object) -> None:
            raise ReadTimeoutError(endpoint_url=SENT)

        client = sdk.Client("sqs")
        monkeypatch.setattr(client.botocore, "send_message", lose)
        with pytest.raises(AwsError, match=r"^ReadTimeoutError from SendMessage$"):
            client.send_message()

    def test_a_refusal_is_the_error_of_both_clients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(**_: object) -> None:
            raise ClientError({"Error": {"Code": "Refused"}}, "SendMessage")

        client = sdk.Client("sqs")
        monkeypatch.setattr(client.botocore, "send_message", refuse)
        with pytest.raises(AwsError, match=r"^Refused from SendMessage$"):
            client.send_message()

    def test_an_error_without_a_code_is_unknown(self) -> None:
        error = sdk._refused(ClientError({}, "GetItem"))
        assert (error.code, error.operation, error.message, error.status) == (
            "Unknown",
            "GetItem",
            "",
            0,
        )

    def test_an_error_has_its_code_status_and_the_rest_of_the_answer(self) -> None:
        answer: Any = {
            "Error": {"Code": "Refused", "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
            "Item": 1,
        }
        error = sdk._refused(ClientError(answer, "GetItem"))
        assert (error.code, error.message, error.status) == ("Refused", "no", 400)
        assert error.answer == answer
