"""What carries the handlers' requests: every one becomes a question to the simulation.

The clients above it are the lean ones as they are deployed: they write, sign and read, try again,
and give up.
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from simulation.coroutines import owner_here
from simulation.requests import Request

_FAILURES: Final = ("InternalServerError", "InternalFailure")


class Asker(Protocol):
    """The owner of a coroutine, as its AWS calls see it."""

    def ask(self, request: Request) -> Any:  # noqa: ANN401 - the service's answer
        """Have a request answered."""


class Refusal(Exception):  # noqa: N818 - an answer, which the client makes an error of
    """A service answers with an error."""

    def __init__(self, code: str, message: str = "", **members: Any) -> None:  # noqa: ANN401
        super().__init__(code)
        self.code = code
        self.message = message
        self.members = members
        """The error's own."""

    @property
    def status(self) -> int:
        """Of the HTTP answer."""
        return 500 if self.code in _FAILURES else 400


class NoAnswer(Exception):  # noqa: N818 - the connection raises its own in its place
    """A service is not reached, or its answer does not arrive."""

    def __init__(self, code: str) -> None:
        """Take the name that the client has for it."""
        super().__init__(code)
        self.code = code


class Transport:
    """Stands for a client's connection."""

    def __init__(self, service: str, connection: ModuleType) -> None:
        """Take a service by the name the SDK has for it, and the module of the connection."""
        self._service = service
        self._connection: Any = connection

    def exchange(self, sent: Any) -> Any:  # noqa: ANN401 - the modules are loaded afresh
        """Ask the simulation."""
        asker: Asker = owner_here()
        try:
            values = asker.ask(_request(self._service, sent))
        except NoAnswer as lost:
            raise self._connection.NoAnswerError(lost.code) from None
        except Refusal as refusal:
            return self._answer(refusal.status, _written_error(self._service, refusal))
        if "Payload" in values:
            headers = {"x-amz-function-error": e} if (e := values.get("FunctionError")) else {}
            return self._connection.Answer(200, headers, values["Payload"])
        return self._answer(200, _written(self._service, values))

    def _answer(self, status: int, body: str) -> Any:  # noqa: ANN401
        return self._connection.Answer(status, {}, body.encode())


def _request(service: str, sent: Any) -> Request:  # noqa: ANN401 - the connection's request
    if service == "sns":
        form = dict(parse_qsl(sent.body.decode()))
        return Request(service, form.pop("Action"), form)
    if service == "lambda":
        return _request_to_lambda(sent)
    operation = sent.headers["x-amz-target"].rpartition(".")[2]
    return Request(service, operation, json.loads(sent.body))


def _request_to_lambda(sent: Any) -> Request:  # noqa: ANN401
    _, _, kind, name, *_ = sent.path.split("/")
    if kind == "functions":
        arguments = {"FunctionName": name, "Payload": sent.body.decode()}
        return Request("lambda", "Invoke", arguments)
    operation = {"GET": "GetEventSourceMapping", "PUT": "UpdateEventSourceMapping"}[sent.method]
    return Request("lambda", operation, {"UUID": name, **json.loads(sent.body or b"{}")})


def _written(service: str, values: dict[str, Any]) -> str:
    if service == "sns":
        result = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
        return f"<PublishResponse><PublishResult>{result}</PublishResult></PublishResponse>"
    return json.dumps(values)


def _written_error(service: str, refusal: Refusal) -> str:
    if service == "sns":
        error = f"<Code>{refusal.code}</Code><Message>{refusal.message}</Message>"
        return f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
    return json.dumps({"__type": refusal.code, "message": refusal.message, **refusal.members})
