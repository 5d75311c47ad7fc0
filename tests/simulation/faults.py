"""What can go wrong with a call, as AWS and its SDK let the caller see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from simulation.clients import refusal
from simulation.coroutines import Crash
from simulation.requests import CARD_PROCESSOR, Perform, Request, listed, orders_in
from simulation.weather import Weather

T = TypeVar("T")


class ProcessorFailure(Exception):  # noqa: N818 - the handlers' own error is raised in its place
    """The card processor gives no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended."""

    value: Any
    """What the caller gets; an exception is raised there."""
    told: str
    """For the story: what happened, behind the operation's name."""
    blamed: frozenset[str] = frozenset()
    """The orders whose messages may fail for this."""


Happen = Callable[[Request, Perform, Random], Answer]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    rate: float
    """How often it strikes a call it applies to, where the weather is moderate."""
    applies: Callable[[Request], bool]
    happen: Happen


class Faults:
    """Has calls take effect, or not, as the weather is."""

    def __init__(self, weather: Weather, random: Random) -> None:
        self._weather = weather
        self._random = random

    def answer(self, request: Request, perform: Perform) -> Answer:
        """Have a request performed, with at most one fault."""
        for fault in FAULTS:
            if fault.applies(request) and self._weather.strikes(fault.name):
                return fault.happen(request, perform, self._random)
        value = _outcome(request, perform)
        return Answer(value, _shown(request, value))


def _outcome(request: Request, perform: Perform) -> Any:  # noqa: ANN401 - the answer, or an error
    try:
        return perform(request)
    except (ClientError, ProcessorFailure) as error:
        return error


def _shown(request: Request, value: object) -> str:
    """A call's ordinary end."""
    told = listed(request.orders)
    if isinstance(value, ClientError):
        return f"{told}: {value.response['Error']['Code']}"
    if request.operation == "BatchExecuteStatement":
        assert isinstance(value, dict)
        codes = [answer["Error"]["Code"] for answer in value["Responses"] if "Error" in answer]
        return told + "".join(f", {code}" for code in codes)
    return told


def _crash_before(request: Request, _perform: Perform, _random: Random) -> Answer:
    return Answer(Crash(), f"{listed(request.orders)}: dies before it")


def _crash_after(request: Request, perform: Perform, _random: Random) -> Answer:
    _outcome(request, perform)
    return Answer(Crash(), f"{listed(request.orders)}: applied, then dies")


def _not_reached(request: Request, _perform: Perform, _random: Random) -> Answer:
    error = EndpointConnectionError(endpoint_url=f"https://{request.service}")
    return Answer(error, f"{listed(request.orders)}: not reached", request.orders)


def _throttled(request: Request, _perform: Perform, random: Random) -> Answer:
    code = "ThrottlingException"
    if request.service == "dynamodb":
        code = random.choice((code, "ProvisionedThroughputExceededException"))
    return Answer(
        refusal(request, code, "Rate exceeded"),
        f"{listed(request.orders)}: {code}",
        request.orders,
    )


def _reply_lost(request: Request, perform: Perform, _random: Random) -> Answer:
    _outcome(request, perform)
    error = ReadTimeoutError(endpoint_url=f"https://{request.service}")
    return Answer(error, f"{listed(request.orders)}: applied, reply lost", request.orders)


def _sent_again(request: Request, perform: Perform, _random: Random) -> Answer:
    """The first reply is lost and the SDK sends the same again: the caller gets the second one."""
    _outcome(request, perform)
    value = _outcome(request, perform)
    told = f"{listed(request.orders)}: applied, reply lost, sent again by the SDK"
    return Answer(value, told, request.orders if isinstance(value, Exception) else frozenset())


def _statements_fail(request: Request, perform: Perform, random: Random) -> Answer:
    """Some statements fail; what failed with an internal error may have been applied."""
    statements = request.arguments["Statements"]
    failing = set(_some(range(len(statements)), random))
    code = random.choice(
        ("ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict")
        + ("InternalServerError",) * 3
    )
    applied = {n for n in failing if code == "InternalServerError" and random.random() < 0.5}
    sent = [n for n in range(len(statements)) if n not in failing or n in applied]
    answers: dict[int, Any] = {}
    if sent:
        value = _outcome(
            request, lambda r: perform(r.with_arguments(Statements=[statements[n] for n in sent]))
        )
        if isinstance(value, ClientError):
            return Answer(value, _shown(request, value))
        answers = dict(zip(sent, value["Responses"], strict=True))
    for n in failing:
        answers[n] = {"Error": {"Code": code, "Message": "injected"}}
    blamed = orders_in([statements[n] for n in failing])
    return Answer(
        {"Responses": [answers[n] for n in range(len(statements))]},
        f"{listed(request.orders)}: {code} for{listed(blamed)}"
        + (f", though applied for {len(applied)}" if applied else ""),
        blamed,
    )


def _batch_breaks_off(request: Request, perform: Perform, random: Random) -> Answer:
    """The call fails when only some of its statements have been applied."""
    some = _some(request.arguments["Statements"], random)
    _outcome(request, lambda r: perform(r.with_arguments(Statements=some)))
    error = refusal(request, "InternalServerError", "Internal server error")
    told = f"{listed(request.orders)}: InternalServerError, applied for{listed(orders_in(some))}"
    return Answer(error, told, request.orders)


def _keys_left(request: Request, perform: Perform, random: Random) -> Answer:
    """Some keys are not read and come back as unprocessed."""
    ((table, wanted),) = request.arguments["RequestItems"].items()
    left = _some(wanted["Keys"], random)
    read = [key for key in wanted["Keys"] if key not in left]
    value: Any = {"Responses": {table: []}}
    if read:
        items = {table: {**wanted, "Keys": read}}
        value = _outcome(request, lambda r: perform(r.with_arguments(RequestItems=items)))
        if isinstance(value, ClientError):
            return Answer(value, _shown(request, value))
    value["UnprocessedKeys"] = {table: {**wanted, "Keys": left}}
    blamed = orders_in(left)
    return Answer(value, f"{listed(request.orders)}: unprocessed{listed(blamed)}", blamed)


def _transaction_conflict(request: Request, _perform: Perform, random: Random) -> Answer:
    items = request.arguments["TransactItems"]
    met = set(_some(range(len(items)), random))
    codes = ["TransactionConflict" if n in met else "None" for n in range(len(items))]
    error = refusal(
        request,
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons [{', '.join(codes)}]",
        CancellationReasons=[{"Code": code} for code in codes],
    )
    return Answer(error, f"{listed(request.orders)}: TransactionConflict", request.orders)


def _entries_refused(request: Request, perform: Perform, random: Random) -> Answer:
    """PutEvents takes some entries and refuses others; the SDK does not look."""
    entries = request.arguments["Entries"]
    refused = set(_some(range(len(entries)), random))
    sent = [n for n in range(len(entries)) if n not in refused]
    answers: dict[int, Any] = {}
    if sent:
        taken = perform(request.with_arguments(Entries=[entries[n] for n in sent]))
        answers = dict(zip(sent, taken["Entries"], strict=True))
    code = random.choice(("InternalFailure", "ThrottlingException"))
    for n in refused:
        answers[n] = {"ErrorCode": code, "ErrorMessage": "injected"}
    blamed = orders_in([entries[n] for n in refused])
    return Answer(
        {
            "FailedEntryCount": sum("ErrorCode" in answer for answer in answers.values()),
            "Entries": [answers[n] for n in range(len(entries))],
        },
        f"{listed(request.orders)}: {code} for{listed(blamed)}",
        blamed,
    )


def _processor_fails(request: Request, _perform: Perform, _random: Random) -> Answer:
    return Answer(ProcessorFailure(), f"{listed(request.orders)}: fails", request.orders)


def _processor_reply_lost(request: Request, perform: Perform, _random: Random) -> Answer:
    perform(request)
    return Answer(ProcessorFailure(), f"{listed(request.orders)}: done, reply lost", request.orders)


def _some(things: Sequence[T], random: Random) -> list[T]:
    """At least one of them, in their order."""
    chosen = set(random.sample(range(len(things)), random.randint(1, len(things))))
    return [thing for number, thing in enumerate(things) if number in chosen]


def _always(_request: Request) -> bool:
    return True


def _at_aws(request: Request) -> bool:
    return request.service != CARD_PROCESSOR


def _at_processor(request: Request) -> bool:
    return request.service == CARD_PROCESSOR


def _of(*operations: str) -> Callable[[Request], bool]:
    return lambda request: request.operation in operations


FAULTS: Final = (
    Fault("died before a call", 0.02, _always, _crash_before),
    Fault("died after a call", 0.03, _always, _crash_after),
    Fault("service not reached", 0.02, _at_aws, _not_reached),
    Fault("throttled", 0.03, _at_aws, _throttled),
    Fault("applied, reply lost", 0.04, _at_aws, _reply_lost),
    Fault("applied, reply lost, sent again", 0.04, _at_aws, _sent_again),
    Fault("statements failed", 0.06, _of("BatchExecuteStatement"), _statements_fail),
    Fault("batch broke off", 0.03, _of("BatchExecuteStatement"), _batch_breaks_off),
    Fault("keys unprocessed", 0.05, _of("BatchGetItem"), _keys_left),
    Fault("transaction conflict", 0.08, _of("TransactWriteItems"), _transaction_conflict),
    Fault("entries refused", 0.08, _of("PutEvents"), _entries_refused),
    Fault("charge failed", 0.1, _at_processor, _processor_fails),
    Fault("charge done, reply lost", 0.08, _at_processor, _processor_reply_lost),
)
