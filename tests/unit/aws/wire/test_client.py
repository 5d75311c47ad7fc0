"""The lean client's tries, clock and credentials."""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from typing import Any

import botocore.exceptions
import botocore.parsers
import pytest
from botocore.retries import standard

from orders.aws.errors import AwsError
from orders.aws.wire import client as client_module
from orders.aws.wire import signing
from orders.aws.wire.client import Client
from orders.aws.wire.connection import Answer, NoAnswerError, Request
from support.models import model

KEY: Any = {"TableName": "orders", "Key": {"order_id": {"S": "a"}}}
FINE = Answer(200, {}, b"{}")
THROTTLED = Answer(400, {}, b'{"__type":"a#ThrottlingException"}')
Said = Answer | Exception


class Wire:
    """Says what it is told to say, the last of it again and again."""

    def __init__(self, *said: Said) -> None:
        self.said = list(said)
        self.requests: list[Request] = []

    def exchange(self, request: Request) -> Answer:
        self.requests.append(request)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, in seconds."""
    pauses: list[float] = []
    monkeypatch.setattr(client_module, "sleep", pauses.append)
    return pauses


def dynamodb(*said: Said) -> tuple[Any, Wire]:
    client, wire = Client("dynamodb"), Wire(*said)
    client.transport = wire
    return client, wire


@pytest.mark.parametrize(
    "first", [THROTTLED, Answer(503, {}, b""), NoAnswerError("ReadTimeoutError")]
)
def test_what_passes_is_tried_twice_with_a_pause(first: Said, waited: list[float]) -> None:
    client, wire = dynamodb(first, FINE)
    assert client.get_item(**KEY) == {}
    assert len(wire.requests) == 2
    assert len(waited) == 1
    assert 0 <= waited[0] <= 1


def test_pauses_differ(waited: list[float]) -> None:
    for _ in range(10):
        client, _ = dynamodb(THROTTLED, FINE)
        client.get_item(**KEY)
    assert len(set(waited)) > 5


def test_there_is_no_third_try(waited: list[float]) -> None:
    client, wire = dynamodb(THROTTLED)
    with pytest.raises(AwsError, match="ThrottlingException from GetItem"):
        client.get_item(**KEY)
    assert (len(wire.requests), len(waited)) == (2, 1)


def test_a_checksum_that_does_not_fit_is_tried_again(waited: list[float]) -> None:
    client, wire = dynamodb(Answer(200, {"x-amz-crc32": "1"}, b"{}"), FINE)
    assert client.get_item(**KEY) == {}
    assert (len(wire.requests), len(waited)) == (2, 1)


def test_the_second_try_of_a_transaction_is_the_same_transaction(waited: list[float]) -> None:
    client, wire = dynamodb(NoAnswerError("ReadTimeoutError"), FINE)
    client.transact_write_items(TransactItems=[])
    client.transact_write_items(TransactItems=[])
    first, second, other = (request.body for request in wire.requests)
    assert first == second != other
    assert len(waited) == 1


@pytest.mark.parametrize("service", client_module.SERVICES)
def test_every_operation_that_takes_a_token_has_one(service: str) -> None:
    """Those of the model that the functions have a use for."""
    for name in ("TransactWriteItems", "PutItem", "BatchExecuteStatement", "PutEvents", "Publish"):
        if name in model(service).operation_names:
            members = model(service).operation_model(name).idempotent_members
            assert members == [token for token in [client_module._TOKENS.get(name)] if token]


class TestTheClock:
    def skewed(self, code: str, seconds: float) -> Answer:
        date = formatdate(time.time() + seconds, usegmt=True)
        return Answer(400, {"date": date}, f'{{"__type":"a#{code}"}}'.encode())

    def dates(self, wire: Wire) -> list[float]:
        """When requests were signed, from now."""
        times = [request.headers["x-amz-date"] for request in wire.requests]
        epoch = [time.mktime(time.strptime(t, "%Y%m%dT%H%M%SZ")) - time.timezone for t in times]
        return [at - time.time() for at in epoch]

    @pytest.mark.parametrize("code", sorted(client_module._SKEWED_CODES))
    @pytest.mark.parametrize("seconds", [-3600, 86_400])
    def test_is_set_by_the_answer_and_stays_so(
        self, code: str, seconds: float, waited: list[float]
    ) -> None:
        client, wire = dynamodb(self.skewed(code, seconds), FINE)
        client.get_item(**KEY)
        client.get_item(**KEY)
        assert self.dates(wire) == pytest.approx([0, seconds, seconds], abs=5)
        assert waited == []

    @pytest.mark.parametrize("date", ["now", "yesterday", ""])
    def test_that_goes_right_is_not_the_reason(self, date: str, waited: list[float]) -> None:
        sent = formatdate(usegmt=True) if date == "now" else date
        answer = Answer(403, {"date": sent}, b'{"__type":"a#InvalidSignatureException"}')
        client, wire = dynamodb(answer)
        with pytest.raises(AwsError, match="InvalidSignatureException"):
            client.get_item(**KEY)
        assert (len(wire.requests), waited) == (1, [])

    def test_is_set_once_a_call(self) -> None:
        client, wire = dynamodb(*(self.skewed("RequestExpired", s) for s in (3600, 7200, 10_800)))
        with pytest.raises(AwsError, match="RequestExpired"):
            client.get_item(**KEY)
        assert len(wire.requests) == 2


class TestCredentials:
    def test_are_read_anew_for_each_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client, wire = dynamodb(FINE)
        for key, token in (("ONE", "first"), ("TWO", "second")):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            monkeypatch.setenv("AWS_SESSION_TOKEN", token)
            client.get_item(**KEY)
        assert [r.headers["x-amz-security-token"] for r in wire.requests] == ["first", "second"]
        keys = [re.findall("Credential=(.*?)/", r.headers["authorization"]) for r in wire.requests]
        assert keys == [["ONE"], ["TWO"]]

    @pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_elsewhere_are_refused_in_words(
        self, missing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, wire = dynamodb(FINE)
        monkeypatch.setenv("AWS_PROFILE", "somebody")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1")
        monkeypatch.delenv(missing)
        with pytest.raises(AwsError, match="NoCredentialsError from GetItem"):
            client.get_item(**KEY)
        assert wire.requests == []
        with pytest.raises(signing.NoCredentialsError, match=r"looks nowhere else.*AWS_CLIENT=sdk"):
            Client("dynamodb")

    def test_stand_in_no_text(self, monkeypatch: pytest.MonkeyPatch, waited: list[float]) -> None:
        secrets = ("SECRET-KEY", "SESSION-TOKEN", "4111")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secrets[0])
        monkeypatch.setenv("AWS_SESSION_TOKEN", secrets[1])
        quoting = Answer(400, {}, b'{"__type":"a#ValidationException","message":"4111"}')
        for said in (quoting, NoAnswerError("ReadTimeoutError"), Answer(200, {}, b"4111")):
            client, wire = dynamodb(said)
            with pytest.raises(AwsError) as caught:
                client.put_item(TableName="orders", Item={"card": {"S": "4111"}})
            shown = f"{caught.value} {caught.value!r} {wire.requests[0]!r} {quoting!r}"
            shown += repr(signing.from_environment())
            assert not [secret for secret in secrets if secret in shown]


def test_a_client_has_no_private_operations() -> None:
    with pytest.raises(AttributeError):
        Client("sqs")._send_message  # noqa: B018


def test_what_the_sdk_tries_again_is_tried_again() -> None:
    """Its mode "standard"; and each way in which no answer comes, by the SDK's name for it."""
    throttled: Any = standard.ThrottledRetryableChecker()
    transient: Any = standard.TransientRetryableChecker()
    codes = {*throttled._throttled_error_codes, *transient._transient_error_codes}
    assert codes <= client_module.RETRIED_CODES
    no_answer = {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "ReadTimeoutError",
        "ResponseParserError",
        "SSLError",
    }
    assert no_answer <= client_module.RETRIED_CODES
    known = vars(botocore.exceptions) | vars(botocore.parsers)
    assert no_answer <= known.keys()


@pytest.mark.parametrize(
    "code",
    [
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    ],
)
def test_a_call_whose_clock_is_refused_is_signed_anew(code: str, waited: list[float]) -> None:
    date = formatdate(time.time() + 3600, usegmt=True)
    refused = Answer(400, {"date": date}, f'{{"__type":"a#{code}"}}'.encode())
    client, wire = dynamodb(refused, FINE)
    assert client.get_item(**KEY) == {}
    assert (len(wire.requests), waited) == (2, [])


def test_another_refusal_leaves_the_clock_alone(waited: list[float]) -> None:
    date = formatdate(time.time() + 3600, usegmt=True)
    refused = Answer(400, {"date": date}, b'{"__type":"a#ValidationException"}')
    client, wire = dynamodb(refused, FINE)
    with pytest.raises(AwsError, match="ValidationException"):
        client.get_item(**KEY)
    assert (len(wire.requests), waited) == (1, [])


def test_a_redirect_is_no_answer(waited: list[float]) -> None:
    client, _ = dynamodb(Answer(300, {}, b'{"__type":"a#MovedPermanently"}'))
    with pytest.raises(AwsError, match="MovedPermanently"):
        client.get_item(**KEY)


def test_an_operation_is_looked_up_once() -> None:
    client, _ = dynamodb(FINE)
    assert client.get_item is client.get_item


def test_a_function_is_not_called_twice(waited: list[float]) -> None:
    client, wire = Client("lambda"), Wire(Answer(503, {}, b"{}"))
    client.transport = wire
    with pytest.raises(AwsError):
        client.invoke(FunctionName="f", Payload=b"{}")
    assert (len(wire.requests), waited) == (1, [])


def test_a_clock_that_was_set_is_not_the_reason_again(waited: list[float]) -> None:
    date = formatdate(time.time() + 3600, usegmt=True)
    refused = Answer(400, {"date": date}, b'{"__type":"a#SignatureDoesNotMatch"}')
    client, wire = dynamodb(refused, FINE, refused)
    assert client.get_item(**KEY) == {}
    with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
        client.get_item(**KEY)
    assert len(wire.requests) == 3
