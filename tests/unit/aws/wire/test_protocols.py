"""What each protocol writes and reads, said in words; test_answers.py compares it with botocore."""

from __future__ import annotations

from zlib import crc32

import pytest

from orders.aws.wire import protocols
from orders.aws.wire.connection import Answer
from orders.aws.wire.protocols import Query, Rest, UnreadableAnswerError, UnsendableError

REST = Rest(
    {"Update": ("PUT", "/things/{Id}"), "Invoke": ("POST", "/run/{Id}")}, {"Invoke": "Payload"}
)


def test_what_cannot_be_read_has_the_sdks_name_for_it() -> None:
    assert (UnreadableAnswerError().code, str(UnreadableAnswerError())) == (
        "ResponseParserError",
        "ResponseParserError",
    )
    assert UnreadableAnswerError("ChecksumError").code == "ChecksumError"


def test_a_body_is_json_unless_a_member_is_all_of_it() -> None:
    asked = REST.ask("Update", {"Id": "a", "Enabled": True})
    assert (asked.method, asked.path, asked.body) == ("PUT", "/things/a", b'{"Enabled":true}')
    assert asked.content_headers == {"content-type": "application/json"}
    assert REST.ask("Update", {"Id": "a"}).body == b"{}"
    invoked = REST.ask("Invoke", {"Id": "a", "Payload": "x"})
    assert (invoked.method, invoked.path, invoked.body) == ("POST", "/run/a", b"x")
    assert REST.ask("Invoke", {"Id": "a"}).body == b""
    with pytest.raises(UnsendableError):
        REST.ask("Invoke", {"Id": "a", "Payload": "x", "LogType": "Tail"})


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos;", "<a> & \"b\" 'c'"),
        ("&#65;&#x42;&#x1F34F;&#10;", "AB🍏\n"),
        ("&unknown;", "&unknown;"),
    ],
)
def test_characters_are_unescaped(escaped: str, text: str) -> None:
    assert protocols._unescape(escaped) == text


def test_a_form_names_the_operation_and_the_version_of_the_api() -> None:
    asked = Query("2010-03-31").ask("Publish", {"Message": "a b"})
    assert asked.body == b"Action=Publish&Version=2010-03-31&Message=a%20b"


def test_an_answer_in_xml_may_have_no_result() -> None:
    query = Query("2010-03-31")
    empty = b"<TagResourceResponse><TagResourceResult/></TagResourceResponse>"
    assert query.read("TagResource", Answer(200, {}, empty)) == {}
    refused = b"<ErrorResponse><Error><Code>Throttled</Code></Error></ErrorResponse>"
    refusal = query.read_refusal(Answer(400, {}, refused))
    assert (refusal.code, refusal.message, refusal.values) == ("Throttled", "", {})
    assert query.read_refusal(Answer(503, {}, b"")).code == "503"


def test_a_refusal_in_json_may_say_nothing_but_its_code() -> None:
    refusal = protocols._read_refusal(Answer(400, {}, b'{"__type":"a#Throttled"}'))
    assert (refusal.code, refusal.message) == ("Throttled", "")
    old = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
    refusal = protocols._read_refusal(Answer(400, old, b'{"__type":"a#QueueDoesNotExist"}'))
    assert refusal.code == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_checksum_must_be_that_of_the_body() -> None:
    body = b"{}"
    assert protocols._checked(Answer(200, {"x-amz-crc32": str(crc32(body))}, body)) == body
    assert protocols._checked(Answer(200, {}, body)) == body
    with pytest.raises(UnreadableAnswerError, match="ChecksumError"):
        protocols._checked(Answer(200, {"x-amz-crc32": "1"}, body))


def test_what_is_no_json_cannot_be_read() -> None:
    with pytest.raises(UnreadableAnswerError):
        protocols._values(b"no JSON")
    assert protocols._values(b'{"a":"\\ud800"}') == {"a": "\ud800"}


def test_only_an_attribute_has_bytes() -> None:
    tidy = protocols._values(b'{"a":{"B":"eA=="},"b":{"BS":["eA=="]},"c":{"B":"eA==","x":1}}')
    assert tidy == {"a": {"B": b"x"}, "b": {"BS": [b"x"]}, "c": {"B": "eA==", "x": 1}}
    two = protocols._values(b'{"a":{"BS":["eA=="],"x":1}}')
    assert two == {"a": {"BS": ["eA=="], "x": 1}}
