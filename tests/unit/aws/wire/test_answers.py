"""What the lean client reads in an answer, and does about it, is what botocore does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

import pytest
from botocore.parsers import create_parser
from botocore.retries import standard
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orders.aws.errors import AwsError
from orders.aws.wire.client import SERVICES, is_retried
from orders.aws.wire.connection import Answer
from orders.aws.wire.protocols import Query, UnreadableAnswerError
from support.models import CALLS, OPERATIONS, as_json, model, values

EXAMPLES = settings(
    max_examples=8,
    # To make such a value smaller takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
JSON_CALLS = [(service, operation) for service, operation in CALLS if service != "sns"]


def read_by_botocore(service: str, operation: str, status: int, raw: bytes, **headers: str) -> Any:  # noqa: ANN401
    parser = create_parser(model(service).metadata["protocol"])
    shape: Any = model(service).operation_model(operation).output_shape
    answer = {"body": raw, "headers": headers, "status_code": status, "context": {}}
    parsed: dict[str, Any] = parser.parse(answer, shape)
    return {name: value for name, value in parsed.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize(("service", "operation"), JSON_CALLS)
@EXAMPLES
@given(data=st.data())
def test_an_answer_is_read_as_botocore_reads_it(
    service: str, operation: str, data: st.DataObject
) -> None:
    shape: Any = model(service).operation_model(operation).output_shape
    # Of bytes the lean client knows DynamoDB's alone.
    answered = data.draw(values(shape, *([] if service == "dynamodb" else ["blob"])))
    absent = [name for name in shape.members if name not in answered] if shape else []
    nulls = dict.fromkeys(data.draw(st.lists(st.sampled_from(absent))) if absent else [])
    raw = as_json(answered | nulls)
    ours = SERVICES[service].protocol.read(operation, Answer(200, {}, raw))
    assert ours == read_by_botocore(service, operation, 200, raw) == answered


def test_an_answer_of_a_function_is_a_file() -> None:
    headers = {"x-amz-function-error": "Unhandled"}
    protocol = SERVICES["lambda"].protocol
    answer = protocol.read("Invoke", Answer(200, headers, b'{"errorMessage": "no"}'))
    assert answer.pop("Payload").read() == b'{"errorMessage": "no"}'
    assert answer == {"StatusCode": 200, "FunctionError": "Unhandled"}
    assert protocol.read("GetEventSourceMapping", Answer(200, {}, b'{"State":"Enabled"}')) == {
        "State": "Enabled"
    }
    refused = Answer(
        409, {"x-amzn-errortype": "ResourceInUseException:http://x/"}, b'{"Message":"m"}'
    )
    assert protocol.read_refusal(refused)[:2] == ("ResourceInUseException", "m")


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html></html>", b'{"a":', b'"x"', b"\xff", b"null"])
def test_an_answer_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        SERVICES["dynamodb"].protocol.read("GetItem", Answer(200, {}, raw))


def test_half_a_surrogate_pair_does_not_hide_the_rest() -> None:
    answer = Answer(200, {}, b'{"Messages": [{"Body": "\\ud800"}, {"Body": "b"}]}')
    read = SERVICES["sqs"].protocol.read("ReceiveMessage", answer)
    assert [message["Body"] for message in read["Messages"]] == ["\ud800", "b"]


ID = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)


@EXAMPLES
@given(message_id=ID, sequence=st.none() | ID)
def test_an_answer_of_sns_is_read_as_botocore_reads_it(
    message_id: str, sequence: str | None
) -> None:
    result = f"<MessageId>{escape(message_id)}</MessageId>"
    if sequence:
        result += f"\n<SequenceNumber>{escape(sequence)}</SequenceNumber>"
    raw = (
        '<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/">'
        f"<PublishResult>{result}</PublishResult>"
        "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"
    ).encode()
    ours = SERVICES["sns"].protocol.read("Publish", Answer(200, {}, raw))
    assert ours == read_by_botocore("sns", "Publish", 200, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<PublishResponse><PublishResult><MessageId>1</MessageId>",
        b"<PublishResponse><PublishResult><A><B>1</B></A></PublishResult></PublishResponse>",
        b"<PublishResponse><PublishResult>1</PublishResult></PublishResponse>",
        b"<SubscribeResponse></SubscribeResponse>",
        b"\xff",
    ],
)
def test_an_answer_of_sns_that_is_not_flat_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        Query("2010-03-31").read("Publish", Answer(200, {}, raw))


def retried_by_botocore(service: str, operation: str, status: int, parsed: Any) -> bool:  # noqa: ANN401
    context = standard.RetryContext(
        attempt_number=1,
        operation_model=model(service).operation_model(operation),
        parsed_response=parsed,
        http_response=SimpleNamespace(status_code=status, headers={}),
    )
    return bool(standard.StandardRetryConditions(max_attempts=2).is_retryable(context))


THROTTLED: Any = standard.ThrottledRetryableChecker
TRANSIENT: Any = standard.TransientRetryableChecker
CODES = [
    *THROTTLED._THROTTLED_ERROR_CODES,
    *TRANSIENT._TRANSIENT_ERROR_CODES,
    "AccessDeniedException",
    "ExpiredTokenException",
    "InternalFailure",
    "ServiceUnavailable",
    "UnrecognizedClientException",
]


def error_codes(service: str) -> list[str]:
    """Every code of the service's model, and those that any service may answer with."""
    errors: Any = model(service).error_shapes
    return sorted({error.error_code for error in errors} | set(CODES))


def error_body(service: str, spelt: str, message: str) -> bytes:
    if service == "sns":
        told = f"<Type>Sender</Type><Code>{spelt}</Code><Message>{escape(message)}</Message>"
        return f"<ErrorResponse><Error>{told}</Error></ErrorResponse>".encode()
    return json.dumps({"__type": spelt, "message": message}).encode()


@pytest.mark.parametrize("service", OPERATIONS)
def test_every_error_is_read_and_classified_as_botocore_does(service: str) -> None:
    operation = OPERATIONS[service][0]
    spellings = ["{}"] if service == "sns" else ["{}", "com.amazon.x#{}", "{}:http://internal/"]
    codes = error_codes(service)
    for code in codes:
        for spelling in spellings:
            for status in (400, 403, 413, 429, 500, 502, 503, 504):
                raw = error_body(service, spelling.format(code), "no <more> & 'less'")
                theirs = read_by_botocore(service, operation, status, raw)
                ours = SERVICES[service].protocol.read_refusal(Answer(status, {}, raw))
                told = theirs["Error"]
                assert (ours.code, ours.message) == (told["Code"], told["Message"])
                error = AwsError(ours.code, operation, status=status)
                wanted = retried_by_botocore(service, operation, status, theirs)
                assert is_retried(error) == wanted, (code, status)
    assert len(codes) > 20


@pytest.mark.parametrize(
    "header", ["AWS.SimpleQueueService.NonExistentQueue;Sender", "Odd", ";Sender", ""]
)
def test_an_error_of_sqs_is_called_as_it_always_was(header: str) -> None:
    raw = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","Message":"gone"}'
    headers = {"x-amzn-query-error": header} if header else {}
    theirs = read_by_botocore("sqs", "SendMessageBatch", 400, raw, **headers)["Error"]
    ours = SERVICES["sqs"].protocol.read_refusal(Answer(400, headers, raw))
    assert (ours.code, ours.message) == (theirs["Code"], theirs["Message"])


@pytest.mark.parametrize("service", OPERATIONS)
@pytest.mark.parametrize("raw", [b"", b"<html><body>Bad gateway</body></html>", b"\xff"])
def test_an_error_without_a_code_is_known_by_its_status(service: str, raw: bytes) -> None:
    ours = SERVICES[service].protocol.read_refusal(Answer(502, {}, raw))
    assert ours.code == "502"
    assert is_retried(AwsError(ours.code, "A", status=502))


def test_a_cancelled_transaction_has_its_reasons_and_items() -> None:
    reasons: list[dict[str, Any]] = [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Item": {"a": {"B": b"\x00"}}},
    ]
    raw = as_json(
        {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": [{**reasons[0], "Item": None, "Message": None}, reasons[1]],
        }
    )
    ours = SERVICES["dynamodb"].protocol.read_refusal(Answer(400, {}, raw))
    assert ours.values["CancellationReasons"] == reasons
    parser = create_parser("json")
    shape = model("dynamodb").shape_for("TransactionCanceledException")
    answer = {"body": raw, "headers": {}, "status_code": 400, "context": {}}
    assert parser.parse(answer, shape)["CancellationReasons"] == reasons
