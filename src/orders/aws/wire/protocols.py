"""How services are asked, and how they answer: in JSON, or with a form and in XML.

Of what the service models say hardly anything is needed: names and values are sent as they are
given, and come back as they are sent. Times are seconds since 1970, both ways.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from zlib import crc32

import msgspec

from orders.aws.wire.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orders.aws.wire.connection import Answer

Values = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class UnreadableAnswerError(Exception):
    """An answer is not what was sent, or nothing that the protocol knows."""

    def __init__(self, code: str = "ResponseParserError") -> None:
        """Take the name that the SDK has for it."""
        super().__init__(code)
        self.code = code


class UnsendableError(Exception):
    """An argument has no form in the protocol."""


class Asked(NamedTuple):
    """The parts of a request that its operation and its arguments make."""

    method: str
    path: str
    content_headers: Mapping[str, str]
    body: bytes


class Refusal(NamedTuple):
    """What an answer says that is an error."""

    code: str
    message: str
    values: Values


class WireProtocol(Protocol):
    """One way of asking and answering."""

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Asked:
        """Write a request.

        Raises:
            UnsendableError: an argument has no form in this protocol.
        """
        ...

    def read(self, operation: str, answer: Answer) -> Values:
        """Read what was answered.

        Raises:
            UnreadableAnswerError: it is not what was sent, or nothing that this protocol knows.
        """
        ...

    def read_refusal(self, answer: Answer) -> Refusal:
        """Read an answer whose status says that it is an error.

        Raises:
            UnreadableAnswerError: it is not what was sent.
        """
        ...


class Json:
    """The protocols "AWS JSON" 1.0 and 1.1."""

    def __init__(self, version: str, target: str) -> None:
        """Take what stands in the headers.

        Args:
            version: 1.0 or 1.1.
            target: the prefix of the operation in ``X-Amz-Target``.
        """
        self._content_type = f"application/x-amz-json-{version}"
        self._target = target

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Asked:
        """Write a request."""
        headers = {
            "content-type": self._content_type,
            "x-amz-target": f"{self._target}.{operation}",
        }
        return Asked("POST", "/", headers, _written(arguments))

    def read(self, operation: str, answer: Answer) -> Values:
        """Read what was answered."""
        return _values(_checked(answer))

    def read_refusal(self, answer: Answer) -> Refusal:
        """Read an error."""
        return _read_refusal(answer)


class Rest:
    """The protocol "REST JSON", as far as members are in the path or in the body."""

    def __init__(self, operations: Mapping[str, tuple[str, str]], raw: Mapping[str, str]) -> None:
        """Take what the service model says.

        Args:
            operations: by name the method, and the path with members in braces.
            raw: the member that is the whole body, both ways, by the name of the operation.
        """
        self._operations = operations
        self._raw = raw

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Asked:
        """Write a request."""
        method, path = self._operations[operation]
        left = dict(arguments)
        for name in _MEMBER.findall(path):
            path = path.replace(f"{{{name}}}", quote(left.pop(name)))
        if raw := self._raw.get(operation):
            body = left.pop(raw, b"")
            if left:
                raise UnsendableError  # they would have to be headers
            return Asked(method, path, {}, body.encode() if isinstance(body, str) else body)
        if not left:
            return Asked(method, path, {}, b"{}" if method == "PUT" else b"")
        return Asked(method, path, {"content-type": "application/json"}, _written(left))

    def read(self, operation: str, answer: Answer) -> Values:
        """Read what was answered; a member that is the whole body is a file, as the SDK has it."""
        raw = self._raw.get(operation)
        if raw is None:
            return _values(answer.body)
        values: Values = {"StatusCode": answer.status, raw: BytesIO(answer.body)}
        if error := answer.headers.get("x-amz-function-error"):
            values["FunctionError"] = error
        return values

    def read_refusal(self, answer: Answer) -> Refusal:
        """Read an error."""
        return _read_refusal(answer)


class Query:
    """The protocol "AWS query": a form, answered in XML of one level."""

    def __init__(self, version: str) -> None:
        """Take the version of the service's API."""
        self._version = version

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Asked:
        """Write a request; values are texts, and maps of texts or of such maps."""
        fields = [("Action", operation), ("Version", self._version), *_fields("", arguments)]
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        try:
            body = "&".join(f"{quote(name)}={quote(value)}" for name, value in fields)
        except UnicodeError as error:
            raise UnsendableError from error
        return Asked("POST", "/", headers, body.encode())

    def read(self, operation: str, answer: Answer) -> Values:
        """Read what was answered."""
        text = _text(answer)
        response = _between(text, f"{operation}Response")
        if response is None:
            raise UnreadableAnswerError
        result = _between(response, f"{operation}Result") or ""
        if not _FLAT.fullmatch(result):
            raise UnreadableAnswerError
        return {name: _unescape(value) for name, value in _ELEMENT.findall(result)}

    def read_refusal(self, answer: Answer) -> Refusal:
        """Read an error."""
        try:
            error = dict(_ELEMENT.findall(_between(_text(answer), "Error") or ""))
        except UnreadableAnswerError:
            error = {}
        code = _unescape(error.get("Code", str(answer.status)))
        return Refusal(code, _unescape(error.get("Message", "")), {})


_MEMBER: Final = re.compile(r"\{(\w+)\}")


def _written(arguments: Mapping[str, Any]) -> bytes:
    try:
        return _encode(arguments)
    except (UnicodeError, TypeError, ValueError) as error:
        raise UnsendableError from error


def _read_refusal(answer: Answer) -> Refusal:
    """Read an error in JSON; one from a load balancer before the service has a status alone."""
    body = _checked(answer)
    try:
        values = _values(body)
    except UnreadableAnswerError:
        values = {}
    code = str(values.pop("__type", answer.status))
    code = answer.headers.get("x-amzn-errortype", code).partition(":")[0].rpartition("#")[2]
    # What it was called when the service still spoke the query protocol: "CODE;Sender".
    query_code, semicolon, _ = answer.headers.get("x-amzn-query-error", "").partition(";")
    message = values.get("message", values.get("Message", ""))
    return Refusal(query_code if semicolon and query_code else code, str(message), values)


def _checked(answer: Answer) -> bytes:
    """The body, if it has the checksum that DynamoDB gives it."""
    checksum = answer.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(crc32(answer.body)):
        raise UnreadableAnswerError("ChecksumError")
    return answer.body


def _values(body: bytes) -> Values:
    """A JSON object as the SDK gives it: without nulls, and bytes as such."""
    try:
        values = _decode(body)
    except (msgspec.MsgspecError, UnicodeError):
        values = _leniently(body)
    if not isinstance(values, dict):
        raise UnreadableAnswerError
    return _tidy(values) if _UNTIDY.search(body) else values


def _leniently(body: bytes) -> object:
    """Read what is no Unicode, such as half of a pair of surrogates, or no number."""
    import json  # noqa: PLC0415 - seldom needed, and 4 ms of a cold start

    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError from None


_UNTIDY: Final = re.compile(rb'"BS?"|null')
"""What a body has that needs to be looked through; it may be part of a text, too."""


def _tidy(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Take nulls away, and decode the bytes in DynamoDB's attributes."""
    if isinstance(value, list):
        return [_tidy(element) for element in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"B": str(text)} if len(value) == 1:
            return {"B": b64decode(text)}
        case {"BS": [str(), *_] as texts} if len(value) == 1:
            return {"BS": [b64decode(text) for text in texts]}
    return {name: _tidy(element) for name, element in value.items() if element is not None}


def _fields(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a form: a map in a map becomes numbered entries."""
    for name, value in values.items():
        if isinstance(value, str):
            yield prefix + name, value
        elif isinstance(value, Mapping):
            for number, (key, entry) in enumerate(value.items(), 1):
                start = f"{prefix}{name}.entry.{number}."
                yield f"{start}Name", key
                yield from _fields(f"{start}Value.", entry)
        else:
            raise UnsendableError


_ELEMENT: Final = re.compile(r"<(\w+)>([^<>]*)</\1>")
_FLAT: Final = re.compile(rf"\s*(?:{_ELEMENT.pattern}\s*)*")
_ENTITY: Final = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(\w+));")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _text(answer: Answer) -> str:
    try:
        return answer.body.decode()
    except UnicodeError:
        raise UnreadableAnswerError from None


def _between(text: str, name: str) -> str | None:
    """What is in the one element of a name."""
    found = re.search(rf"<{name}(?: [^<>]*)?>(.*)</{name}>", text, re.DOTALL)
    return found[1] if found else None


def _unescape(text: str) -> str:
    return _ENTITY.sub(_character, text)


def _character(entity: re.Match[str]) -> str:
    hexadecimal, decimal, name = entity.groups()
    if name:
        return _ENTITIES.get(name, entity[0])
    return chr(int(hexadecimal, 16) if hexadecimal else int(decimal))
