"""What the handlers get for boto3 clients: every call becomes a question to the simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Protocol

import botocore.session
from botocore import xform_name
from botocore.errorfactory import BaseClientExceptions, ClientExceptionsFactory
from botocore.exceptions import ClientError
from botocore.model import ServiceModel

from simulation.coroutines import owner_here
from simulation.requests import Request


class Asker(Protocol):
    """The owner of a coroutine, as its AWS calls see it."""

    def ask(self, request: Request) -> Any:  # noqa: ANN401 - the service's answer
        """Have a request answered."""

    def new_token(self) -> str:
        """An id nobody else has."""


class Client:
    """A service's client: the real one's methods and exceptions, without serialization.

    That leaves botocore's own work out, which other tests have in, and makes a call thirty times
    as fast.
    """

    def __init__(self, service: str, _config: object = None) -> None:
        """Take a service by the name boto3 has for it."""
        self.exceptions: BaseClientExceptions = exceptions_of(service)
        self._service = service
        self._operations = {
            xform_name(name): name for name in _service_model(service).operation_names
        }

    def get_paginator(self, method: str) -> Paginator:
        """As botocore's, for operations of which one page has it all."""
        return Paginator(getattr(self, method))

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = self._operations.get(method)
        if operation is None:
            raise AttributeError(f"a client of {self._service} has no method {method}")

        def call(**arguments: Any) -> Any:  # noqa: ANN401 - as boto3's
            asker: Asker = owner_here()
            if operation == "TransactWriteItems":
                # As botocore does, so that the transaction is idempotent when it sends it again.
                arguments.setdefault("ClientRequestToken", asker.new_token())
            return asker.ask(Request(self._service, operation, arguments))

        return call


class Paginator:
    """Calls an operation once."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(
        self,
        *,
        PaginationConfig: object = None,  # noqa: N803 - botocore's name
        **arguments: Any,  # noqa: ANN401
    ) -> Iterator[Any]:
        """The one page."""
        yield self._call(**arguments)


@cache
def exceptions_of(service: str) -> BaseClientExceptions:
    """The exceptions that a client of this service has."""
    return ClientExceptionsFactory().create_client_exceptions(_service_model(service))


def refusal(
    request: Request,
    code: str,
    message: str = "",
    **members: Any,  # noqa: ANN401 - the error's own
) -> ClientError:
    """The exception a client raises when the service answers with an error."""
    answer: Any = {"Error": {"Code": code, "Message": message}, **members}
    kind: type[ClientError] = exceptions_of(request.service).from_code(code)  # type: ignore[assignment]
    return kind(answer, request.operation)


@cache
def _service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)
