"""What the functions did: each execution, the calls it made, and when. AWS has X-Ray for it.

Lambda gives every invocation a trace header in `_X_AMZN_TRACE_ID`, sampled or not, and the clients
send it along with each call ("Visualize Lambda function invocations using AWS X-Ray", Lambda
developer guide). MiniStack 1.5.33 does so only where tracing is active. Here every execution has a
header of its own, by which its calls are known to be its own.

The newest executions are kept in memory, with what they got and sent: so many bytes in all. The
root user may ask for those that name something, such as an order's id.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from ministack.services import lambda_svc

from orderctl.localcloud import seams
from orderctl.localcloud.asgi import (
    App,
    Message,
    Receive,
    Response,
    Scope,
    Send,
    header,
    json_response,
)
from orderctl.localcloud.gaps.iam import principals

MOST_BYTES: Final = 64 * 1024 * 1024
"""How much of what executions got and sent is kept."""
_BYTES_BESIDE: Final = 512
"""About what else an execution or a call takes in memory."""
_LONGEST_ANSWER: Final = 256 * 1024
_PARENT: Final = re.compile(r"(?:^|;)\s*Parent=([0-9a-f]{16})(?:;|$)")
_ERROR: Final = re.compile(rb'"__type":\s*"(?:[^"#]*#)?([\w.]+)|<Code>([\w.]+)</Code>')
_REFUSED: Final = re.compile(rb'"(?:Error)?Code":\s*"([\w.]+)"')
_LEFT_OUT: Final = re.compile(rb'"(Unprocessed(?:Keys|Items))":\s*\{\s*"')
_TABLE: Final = re.compile(r'\b(?:INTO|UPDATE|FROM)\s+"([^"]+)"')
_NAMES: Final = ("TableName", "EventBusName", "QueueUrl", "TopicArn", "FunctionName")


@dataclass(slots=True)
class _Call:
    service: str
    operation: str
    path: str
    body: bytes
    began: float
    ended: float | None = None
    status: int = 0
    error: str = ""


@dataclass(slots=True)
class _Record:
    """What an execution was called with: a message of a batch, or its whole event."""

    body: str
    id: str | None = None
    handle: str = ""
    sent_at: float | None = None
    attempt: int | None = None


class _Attributes(msgspec.Struct):
    """Of a message. Whoever invokes a function with messages, as circuit-breaker, omits some."""

    sent: int | None = msgspec.field(default=None, name="SentTimestamp")
    receives: int | None = msgspec.field(default=None, name="ApproximateReceiveCount")


class _Message(msgspec.Struct):
    body: str
    id: str = msgspec.field(name="messageId")
    handle: str = msgspec.field(name="receiptHandle")
    attributes: _Attributes = msgspec.field(default_factory=_Attributes)


class _Batch(msgspec.Struct):
    records: list[_Message] = msgspec.field(name="Records")


@dataclass(slots=True)
class _Execution:
    function: str
    request_id: str
    parent: str
    records: Sequence[_Record]
    began: float
    loaded: float | None = None
    """When the function was loaded, if it had to be."""
    ended: float | None = None
    error: str = ""
    failed: Collection[str | None] = ()
    """The ids of the messages that failed."""
    calls: list[_Call] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        texts = [len(record.body) for record in self.records]
        bodies = [len(call.body) for call in self.calls]
        return sum(texts) + sum(bodies) + _BYTES_BESIDE * (1 + len(texts) + len(bodies))

    def may_name(self, text: str) -> bool:
        """Whether what it got or sent has a text in it: a quick look at all of it."""
        for record in self.records:
            if text in record.body:
                return True
        sought = text.encode()
        return any(sought in call.body for call in list(self.calls))


class Traces:
    """The newest executions."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Execution] = OrderedDict()
        self._running: dict[str, _Execution] = {}
        self._bytes = 0
        self._complete_since = time.time()

    def begin(self, function: str, request_id: str, event: object) -> _Execution:
        """Note that an execution begins."""
        execution = _Execution(
            function, request_id, secrets.token_hex(8), _records(event), time.time()
        )
        with self._lock:
            self._kept[request_id] = execution
            self._running[execution.parent] = execution
        return execution

    def end(self, execution: _Execution, error: str) -> None:
        """Note that an execution has ended, and forget the oldest ones if there are too many."""
        execution.ended, execution.error = time.time(), error
        if error:
            execution.failed = [record.id for record in execution.records]
        with self._lock:
            self._running.pop(execution.parent, None)
            if execution.request_id not in self._kept:
                return
            self._bytes += execution.bytes
            while self._bytes > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.bytes if oldest.ended else 0  # counted when it ends
                self._complete_since = oldest.began

    def fail(self, request_id: str, messages: Collection[str]) -> None:
        """Note which messages of an execution's batch failed."""
        if execution := self._kept.get(request_id):
            execution.failed = messages

    def running(self, trace_header: str) -> _Execution | None:
        """The execution whose trace header a request has."""
        found = _PARENT.search(trace_header)
        return self._running.get(found[1]) if found else None

    def naming(self, text: str) -> dict[str, Any]:
        """The executions that got or sent something with a text in it, as a whole word.

        Returns:
            `since`, when the oldest began that could still be told, and the `executions`.
        """
        word = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w.-])")
        with self._lock:
            kept, since = list(self._kept.values()), self._complete_since
        found = (_described(execution, word) for execution in kept if execution.may_name(text))
        return {"since": since, "executions": [each for each in found if each]}


TRACES: Final = Traces()
_current: ContextVar[_Execution | None] = ContextVar("_current", default=None)


def install() -> None:
    """Note every execution, and give it a trace header."""
    execute = seams.original(lambda_svc, "_execute_function_warm")

    def execute_noted(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        configuration = function.get("config") or function
        execution = TRACES.begin(configuration["FunctionName"], request_id, event)
        token, error = _current.set(execution), "it did not end"
        try:
            result: dict[str, Any] = execute(function, event, request_id)
            error = _error(result)
        finally:
            _current.reset(token)
            TRACES.end(execution, error)
        return result

    seams.replace(lambda_svc, "_execute_function_warm", execute_noted)
    seams.replace(lambda_svc, "_xray_trace_id_for_invocation", _trace_header)


def loaded() -> None:
    """Note that the function of the present execution had to be loaded, and now is."""
    if execution := _current.get():
        execution.loaded = time.time()


def _trace_header(configuration: dict[str, Any], inbound: str | None = None) -> str:
    execution = _current.get()
    parent = execution.parent if execution else secrets.token_hex(8)
    root = re.search(r"Root=([0-9a-f-]+)", inbound or "")
    mode = (configuration.get("TracingConfig") or {}).get("Mode", "PassThrough")
    return (
        f"Root={root[1] if root else f'1-{int(time.time()):08x}-{secrets.token_hex(12)}'};"
        f"Parent={parent};Sampled={int(mode == 'Active')}"
    )


def _error(result: dict[str, Any]) -> str:
    """Why an execution failed; empty if it did not."""
    if not result.get("error"):
        return ""
    body = result.get("body")
    message = body.get("errorMessage") if isinstance(body, dict) else body
    return str(message or "it failed")


def _records(event: object) -> list[_Record]:
    """The messages of a batch, or else the event: whoever may invoke a function sends anything."""
    try:
        batch = msgspec.convert(event, _Batch, strict=False)
    except msgspec.ValidationError:
        return [_Record(json.dumps(event, default=str))]
    return [
        _Record(
            body=each.body,
            id=each.id,
            handle=each.handle,
            sent_at=None if each.attributes.sent is None else each.attributes.sent / 1000,
            attempt=each.attributes.receives,
        )
        for each in batch.records
    ]


def supplement(app: App) -> App:
    """Note the calls that the functions make."""

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        trace = header(scope, b"x-amzn-trace-id") if scope["type"] == "http" else ""
        execution = TRACES.running(trace) if trace else None
        if execution is None:
            await app(scope, receive, send)
            return
        target = header(scope, b"x-amz-target")
        call = _Call(
            principals.verified_service(),
            target.rpartition(".")[2],
            scope["path"],
            b"",
            time.time(),
        )
        execution.calls.append(call)
        answer = bytearray()

        async def receive_noted() -> Message:
            message = await receive()
            call.body += message.get("body", b"")
            return message

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            elif len(answer) < _LONGEST_ANSWER:
                answer.extend(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive_noted, send_noted)
        finally:
            call.ended = time.time()
            call.error = _code(call.status, bytes(answer))

    return noting


def _code(status: int, answer: bytes) -> str:
    """Why a call failed, or part of it; empty if nothing did."""
    if status >= HTTPStatus.BAD_REQUEST or not status:
        found = _ERROR.search(answer)
        return (found[1] or found[2]).decode() if found else f"status {status}"
    # An answer 200 can have refusals in it.
    refused = _REFUSED.findall(answer) if b'Code"' in answer else []
    left_out = _LEFT_OUT.findall(answer) if b"Unprocessed" in answer else []
    return ", ".join(dict.fromkeys(code.decode() for code in [*refused, *left_out]))


async def answer(scope: Scope) -> Response:
    """The executions that name what is asked for, for the root user alone."""
    if principals.verified_key() != os.environ["AWS_ACCESS_KEY_ID"]:
        return json_response(HTTPStatus.FORBIDDEN, {"message": "Only the root user may see this."})
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("naming", [""])[0]
    if not asked:
        return json_response(HTTPStatus.BAD_REQUEST, {"message": "Say what: naming=ORDER_ID."})
    return json_response(HTTPStatus.OK, await asyncio.to_thread(TRACES.naming, asked))


def _described(execution: _Execution, word: re.Pattern[str]) -> dict[str, Any] | None:
    """What is told of an execution; None if nothing that it got or sent has the word."""
    records = [record for record in execution.records if word.search(record.body)]
    handles = [record.handle.encode() for record in records if record.handle]
    calls = [(call, _names(call, word, handles)) for call in list(execution.calls)]
    if not records and not any(named for _, named in calls):
        return None
    return {
        "function": execution.function,
        "request_id": execution.request_id,
        "began": execution.began,
        "loaded": execution.loaded,
        "ended": execution.ended,
        "error": execution.error,
        "records": len(execution.records),
        "naming": [
            {
                "id": record.id,
                "body": record.body,
                "sent_at": record.sent_at,
                "attempt": record.attempt,
                "failed": record.id in execution.failed,
            }
            for record in records
        ],
        "calls": [
            {
                "service": call.service,
                "operation": operation,
                "on": list(dict.fromkeys(_resources(call, values))),
                "began": call.began,
                "ended": call.ended,
                "error": call.error,
                "names_it": named,
            }
            for call, named in calls
            for operation, values in (_read(call),)
        ],
    }


def _names(call: _Call, word: re.Pattern[str], handles: Sequence[bytes]) -> bool:
    """Whether a call names the text as a whole word, or a message that does by its handle."""
    found = word.search(call.body.decode(errors="replace"))
    return bool(found) or any(handle in call.body for handle in handles)


def _read(call: _Call) -> tuple[str, dict[str, Any]]:
    """The operation of a call, and what it sent."""
    if call.operation:
        with contextlib.suppress(ValueError):
            sent = json.loads(call.body)
            return call.operation, sent if isinstance(sent, dict) else {}
    form = {name: values[0] for name, values in parse_qs(call.body.decode("latin-1")).items()}
    if "Action" in form:
        return form["Action"], form
    return call.operation or "Invoke", {}


def _resources(call: _Call, sent: dict[str, Any]) -> Iterator[str]:
    """The names of the tables, buses, queues and topics that a call is about."""
    yield from (_last(str(sent[name])) for name in _NAMES if name in sent)
    requests = sent.get("RequestItems")
    yield from requests if isinstance(requests, dict) else ()
    for listed in ("Statements", "TransactStatements", "Entries", "TransactItems"):
        for each in sent.get(listed) or ():
            if table := _TABLE.search(str(each.get("Statement", ""))):
                yield table[1]
            parts = [each, *(part for part in each.values() if isinstance(part, dict))]
            yield from (_last(str(part[name])) for part in parts for name in _NAMES if name in part)
    if "/functions/" in call.path:
        yield _last(call.path.partition("/functions/")[2].partition("/")[0])


def _last(name: str) -> str:
    """The last part of a URL or an ARN."""
    return re.split(r"[/:]", name)[-1]
