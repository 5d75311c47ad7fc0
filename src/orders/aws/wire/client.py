"""The client of a service: calls, tries, and the clock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from random import random
from time import sleep, time
from typing import TYPE_CHECKING, Any, Final

from orders.aws.errors import AwsError
from orders.aws.wire import endpoints, signing
from orders.aws.wire.connection import ANSWER_SECONDS, Connection, NoAnswerError, Request
from orders.aws.wire.protocols import (
    Json,
    Query,
    Rest,
    UnreadableAnswerError,
    UnsendableError,
)
from orders.aws.wire.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orders.aws.wire.connection import Transport
    from orders.aws.wire.protocols import Asked, Values, WireProtocol

LONGEST_PAUSE_SECONDS: Final = 1.0
"""Between the two tries of a call; how much of it is chance."""
RETRIED_STATUSES: Final = frozenset({500, 502, 503, 504})
RETRIED_CODES: Final = frozenset(
    {
        # Throttling, and what else passes: the lists of the SDK's retry mode "standard".
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        # No answer, or none that can be believed.
        "ChecksumError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "ReadTimeoutError",
        "ResponseParserError",
        "SSLError",
    }
)
"""What is tried a second time; all else is final."""
_SKEWED_CODES: Final = frozenset(
    {
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
"""What services answer to a request that was signed at another time than now."""
_MOST_SKEW_SECONDS: Final = 240
"""Signatures are good for five minutes; a clock that is wrong by less is not the reason."""
_SAFE_IN_TRACES: Final = "-=;:+&[]{}\"',"
_FIRST_ERROR_STATUS: Final = 300
_TOKENS: Final = {"TransactWriteItems": "ClientRequestToken"}
"""The member that makes an operation's second try the same as its first one, by operation."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be known of a service."""

    name: str
    """In host names and signatures."""
    id: str
    """In the name of the variable that tells its endpoint."""
    protocol: WireProtocol
    answer_seconds: float = ANSWER_SECONDS
    """How long an answer is waited for."""
    is_tried_twice: bool = True
    fips_in_govcloud: bool = False
    """Whether its FIPS endpoints in GovCloud have names of their own."""


_EVENT_SOURCE_MAPPING: Final = "/2015-03-31/event-source-mappings/{UUID}"
_LAMBDA: Final = Rest(
    {
        "GetEventSourceMapping": ("GET", _EVENT_SOURCE_MAPPING),
        "UpdateEventSourceMapping": ("PUT", _EVENT_SOURCE_MAPPING),
        "Invoke": ("POST", "/2015-03-31/functions/{FunctionName}/invocations"),
    },
    raw={"Invoke": "Payload"},
)

SERVICES: Final = {
    service.name: service
    for service in (
        Service("dynamodb", "DYNAMODB", Json("1.0", "DynamoDB_20120810")),
        Service("events", "EVENTBRIDGE", Json("1.1", "AWSEvents")),
        # Who calls a function waits for its end, and does not call it again.
        Service("lambda", "LAMBDA", _LAMBDA, 90.0, is_tried_twice=False, fips_in_govcloud=True),
        Service("logs", "CLOUDWATCH_LOGS", Json("1.1", "Logs_20140328")),
        Service("sns", "SNS", Query("2010-03-31")),
        Service("sqs", "SQS", Json("1.0", "AmazonSQS")),
    )
}


class Client:
    """Calls the operations of a service: methods and arguments are named as the SDK's are.

    It is for one thread. An answer has no ``ResponseMetadata``.
    """

    def __init__(self, service: str) -> None:
        """Look up where the service is; nothing is sent yet.

        Args:
            service: one of SERVICES.

        Raises:
            WrongSettingError: the environment names no region, or has an unusable endpoint.
            NoCredentialsError: the environment has no credentials.
        """
        signing.from_environment()  # a function without credentials does not start
        self._service = SERVICES[service]
        self._endpoint = endpoints.find(
            service, self._service.id, fips_in_govcloud=self._service.fips_in_govcloud
        )
        self._signer = signing.Signer(service, endpoints.region())
        self.transport: Transport = Connection(
            self._endpoint,
            self._service.answer_seconds,
            may_send_again=self._service.is_tried_twice,
        )
        """What carries requests; a test may put another one in its place."""
        self._skew = 0.0
        self._date = ""

    def __getattr__(self, method: str) -> Callable[..., Values]:
        """The method of an operation: ``put_item`` calls ``PutItem``."""
        if method.startswith("_"):
            raise AttributeError(method)
        operation = "".join(part.capitalize() for part in method.split("_"))
        call = partial(self._call_by_names, operation)
        setattr(self, method, call)  # found directly the next time
        return call

    def _call_by_names(self, operation: str, **arguments: Any) -> Values:  # noqa: ANN401
        return self.call(operation, arguments)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Values:
        """Call an operation, a second time if the first try failed for a passing reason.

        Args:
            operation: such as ``PutItem``.
            arguments: by the names of the API reference.

        Raises:
            AwsError: AWS refused it, or gave no answer.
        """
        if token := _TOKENS.get(operation):
            arguments = {token: new_token(), **arguments}
        try:
            asked = self._service.protocol.ask(operation, arguments)
        except UnsendableError:
            raise AwsError("SerializationException", operation) from None
        try:
            return self._try(operation, asked)
        except AwsError as error:
            if error.code in _SKEWED_CODES and self._set_clock():
                pass
            elif self._service.is_tried_twice and is_retried(error):
                sleep(random() * LONGEST_PAUSE_SECONDS)  # noqa: S311 - no secret
            else:
                raise
        return self._try(operation, asked)

    def _try(self, operation: str, asked: Asked) -> Values:
        try:
            answer = self.transport.exchange(self._sign(asked))
            self._date = answer.headers.get("date", "")
            if answer.status < _FIRST_ERROR_STATUS:
                return self._service.protocol.read(operation, answer)
            refusal = self._service.protocol.read_refusal(answer)
        except (NoAnswerError, UnreadableAnswerError) as error:
            raise AwsError(error.code, operation) from None
        except signing.NoCredentialsError as error:
            raise AwsError("NoCredentialsError", operation, message=str(error)) from None
        raise AwsError(
            refusal.code,
            operation,
            message=refusal.message,
            status=answer.status,
            answer=refusal.values,
        )

    def _sign(self, asked: Asked) -> Request:
        headers = {"host": self._endpoint.netloc, **asked.content_headers}
        path = self._endpoint.path + asked.path
        signed = self._signer.sign(
            asked.method,
            path,
            headers,
            asked.body,
            credentials=signing.from_environment(),
            now=time() + self._skew,
        )
        return Request(asked.method, path, signed | _trace(), asked.body)

    def _set_clock(self) -> bool:
        """Go by the clock of the last answer; False if this one goes right already."""
        from calendar import timegm  # noqa: PLC0415 - seldom needed
        from time import strptime  # noqa: PLC0415

        try:
            right = timegm(strptime(self._date, "%a, %d %b %Y %H:%M:%S GMT"))
        except ValueError:
            return False
        wrong_by = right - (time() + self._skew)
        if abs(wrong_by) < _MOST_SKEW_SECONDS:
            return False
        self._skew += wrong_by
        return True


def _trace() -> dict[str, str]:
    """The header by which Lambda follows a trace, and stops functions that call in a loop.

    See "Use Lambda recursive loop detection" in the AWS Lambda developer guide. It is not signed.
    """
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    return {"x-amzn-trace-id": quote(trace, safe=_SAFE_IN_TRACES)} if trace else {}


def is_retried(error: AwsError) -> bool:
    """Whether a call that failed so is tried a second time."""
    return error.status in RETRIED_STATUSES or error.code in RETRIED_CODES


def new_token() -> str:
    """A text that nobody has used, to tell a call from another one with the same arguments."""
    return os.urandom(16).hex()
