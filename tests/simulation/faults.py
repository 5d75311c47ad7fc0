"""What can go wrong with a request, as the client that has sent it sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

from simulation.clients import NoAnswer, Refusal
from simulation.coroutines import Crash
from simulation.requests import CARD_PROCESSOR, Perform, Request, listed, named, orders_in
from simulation.weather import RAMP_UP
from simulation.world import World

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
    ramp_up: bool = False
    """Whether a table or the bus refused it for a while only, which nobody may fail for."""


Happen = Callable[[Request, Perform, Random], Answer]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    rate: float
    """How often it strikes a call it applies to, where the weather is moderate."""
    applies: Callable[[Request], bool]
    happen: Happen
    lasts: float = 0.0
    """How often it strikes the client's second try as well."""


class Faults:
    """Has calls take effect, or not, as the weather is."""

    def __init__(self, world: World, targets: Sequence[str]) -> None:
        """Take the tables and the bus, by name, which may have to ramp up."""
        self._weather = world.weather
        self._random = world.random
        self._scheduler = world.scheduler
        self._targets = targets
        self.lasting: list[tuple[Request, Fault]] = []
        """Faults that strike the same request once more."""

    def answer(
        self,
        request: Request,
        perform: Perform,
        function: str,
        orders: frozenset[str],
        *,
        retries_cover_it: bool,
    ) -> Answer:
        """Have a request performed, with at most one fault.

        Args:
            request: the call.
            function: whose call it is.
            orders: those it works on, any of which a call may be for that names none.
            perform: has it take effect.
            retries_cover_it: whether the function has tries and time left for a refusal.
        """
        if self._weather.is_denied(function, request.service, self._scheduler.now):
            code = "AccessDeniedException"
            told = f"{listed(request.orders)}: {code}"
            return Answer(Refusal(code), told, request.orders or orders)
        if retries_cover_it and request.operation in _REFUSE:
            refuse = _REFUSE[request.operation]
            if refused := self._ramping_up(request):
                self._weather.struck[RAMP_UP] += 1
                return replace(refuse(request, perform, refused), blamed=frozenset(), ramp_up=True)
        if fault := self._fault(request):
            answer = fault.happen(request, perform, self._random)
            return answer if request.orders else replace(answer, blamed=orders)
        value = _outcome(request, perform)
        blamed = request.orders if isinstance(value, ProcessorFailure) else frozenset()
        return Answer(value, _shown(request, value), blamed)

    def _fault(self, request: Request) -> Fault | None:
        """The fault that strikes a request, if any."""
        for lasting in self.lasting:
            if lasting[0] == request:
                self.lasting.remove(lasting)
                return lasting[1]
        for fault in FAULTS:
            if fault.applies(request) and self._weather.strikes(fault.name):
                if self._random.random() < fault.lasts:
                    self.lasting.append((request, fault))
                return fault
        return None

    def _ramping_up(self, request: Request) -> list[int]:
        """The numbers of a call's parts that a table or the bus refuses for now."""
        targets = named(request, self._targets)
        share = self._weather.refused_share(targets, self._scheduler.now)
        if not share:
            return []
        return [n for n in range(_parts(request)) if self._random.random() < share]


def _outcome(request: Request, perform: Perform) -> Any:  # noqa: ANN401 - the answer, or an error
    try:
        return perform(request)
    except (Refusal, ProcessorFailure) as error:
        return error


def _shown(request: Request, value: object) -> str:
    """A call's ordinary end."""
    told = listed(request.orders)
    if isinstance(value, Refusal):
        return f"{told}: {value.code}"
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
    return Answer(
        NoAnswer("EndpointConnectionError"),
        f"{listed(request.orders)}: not reached",
        request.orders,
    )


def _throttled(request: Request, _perform: Perform, random: Random) -> Answer:
    code = "ThrottlingException"
    if request.service == "dynamodb":
        code = random.choice((code, "ProvisionedThroughputExceededException"))
    return Answer(
        Refusal(code, "Rate exceeded"),
        f"{listed(request.orders)}: {code}",
        request.orders,
    )


def _reply_lost(request: Request, perform: Perform, _random: Random) -> Answer:
    _outcome(request, perform)
    return Answer(
        NoAnswer("ReadTimeoutError"),
        f"{listed(request.orders)}: applied, reply lost",
        request.orders,
    )


def _statements_fail(request: Request, perform: Perform, random: Random) -> Answer:
    """Some statements fail; what failed with an internal error may have been applied."""
    failing = _some(range(_parts(request)), random)
    code = random.choice(
        ("ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict")
        + ("InternalServerError",) * 3
    )
    applied = {n for n in failing if code == "InternalServerError" and random.random() < 0.5}
    return _refuse_statements(request, perform, failing, code, applied)


def _refuse_statements(
    request: Request,
    perform: Perform,
    failing: Sequence[int],
    code: str = "ThrottlingError",
    applied: Collection[int] = (),
) -> Answer:
    statements = request.arguments["Statements"]
    sent = [n for n in range(len(statements)) if n not in failing or n in applied]
    answers: dict[int, Any] = {}
    if sent:
        value = _outcome(
            request, lambda r: perform(r.with_arguments(Statements=[statements[n] for n in sent]))
        )
        if isinstance(value, Refusal):
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
    error = Refusal("InternalServerError", "Internal server error")
    told = f"{listed(request.orders)}: InternalServerError, applied for{listed(orders_in(some))}"
    return Answer(error, told, request.orders)


def _keys_left(request: Request, perform: Perform, random: Random) -> Answer:
    """Some keys are not read and come back as unprocessed."""
    return _leave_keys(request, perform, _some(range(_parts(request)), random))


def _leave_keys(request: Request, perform: Perform, numbers: Sequence[int]) -> Answer:
    wanted: dict[str, Any] = request.arguments["RequestItems"]
    keys = [(table, key) for table, of_it in wanted.items() for key in of_it["Keys"]]
    left = _keys_by_table(wanted, [keys[n] for n in numbers])
    read = _keys_by_table(wanted, [key for n, key in enumerate(keys) if n not in numbers])
    value: Any = {"Responses": {}}
    if read:
        value = _outcome(request, lambda r: perform(r.with_arguments(RequestItems=read)))
        if isinstance(value, Refusal):
            return Answer(value, _shown(request, value))
    value["UnprocessedKeys"] = left
    blamed = orders_in(left)
    return Answer(value, f"{listed(request.orders)}: unprocessed{listed(blamed)}", blamed)


def _keys_by_table(
    wanted: Mapping[str, Any], keys: Sequence[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """What a ``BatchGetItem`` asks, for some of its keys."""
    tables = {table for table, _ in keys}
    return {
        table: {**of_it, "Keys": [key for place, key in keys if place == table]}
        for table, of_it in wanted.items()
        if table in tables
    }


def _keys_throttled(request: Request, perform: Perform, numbers: Sequence[int]) -> Answer:
    """When none of the keys can be read the call itself fails."""
    if len(numbers) == _parts(request):
        code = "ProvisionedThroughputExceededException"
        return Answer(Refusal(code), f"{listed(request.orders)}: {code}")
    return _leave_keys(request, perform, numbers)


def _transaction_conflict(request: Request, perform: Perform, random: Random) -> Answer:
    met = _some(range(_parts(request)), random)
    return _cancel_transaction(request, perform, met, "TransactionConflict")


def _cancel_transaction(
    request: Request, _perform: Perform, met: Sequence[int], code: str = "ThrottlingError"
) -> Answer:
    codes = [code if n in met else "None" for n in range(_parts(request))]
    error = Refusal(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons [{', '.join(codes)}]",
        CancellationReasons=[{"Code": code} for code in codes],
    )
    return Answer(error, f"{listed(request.orders)}: {code}", request.orders)


def _entries_refused(request: Request, perform: Perform, random: Random) -> Answer:
    """PutEvents takes some entries and refuses others; no client looks."""
    refused = _some(range(_parts(request)), random)
    code = random.choice(("InternalFailure", "ThrottlingException"))
    return _refuse_entries(request, perform, refused, code)


def _refuse_entries(
    request: Request,
    perform: Perform,
    refused: Sequence[int],
    code: str = "ThrottlingException",
) -> Answer:
    entries = request.arguments["Entries"]
    sent = [n for n in range(len(entries)) if n not in refused]
    answers: dict[int, Any] = {}
    if sent:
        taken = perform(request.with_arguments(Entries=[entries[n] for n in sent]))
        answers = dict(zip(sent, taken["Entries"], strict=True))
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
    _outcome(request, perform)
    return Answer(ProcessorFailure(), f"{listed(request.orders)}: done, reply lost", request.orders)


def _parts(request: Request) -> int:
    """Of how many parts a call is made that can be refused one by one."""
    if request.operation == "BatchGetItem":
        return sum(len(wanted["Keys"]) for wanted in request.arguments["RequestItems"].values())
    return len(request.arguments[_PARTS[request.operation]])


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


_PARTS: Final = {
    "BatchExecuteStatement": "Statements",
    "PutEvents": "Entries",
    "TransactWriteItems": "TransactItems",
}

_REFUSE: Final[dict[str, Callable[[Request, Perform, Sequence[int]], Answer]]] = {
    "BatchExecuteStatement": _refuse_statements,
    "BatchGetItem": _keys_throttled,
    "PutEvents": _refuse_entries,
    "TransactWriteItems": _cancel_transaction,
}
"""How what ramps up refuses some parts of a call, by operation."""

FAULTS: Final = (
    Fault("died before a call", 0.02, _always, _crash_before),
    Fault("died after a call", 0.03, _always, _crash_after),
    Fault("service not reached", 0.02, _at_aws, _not_reached, lasts=0.8),
    Fault("throttled", 0.03, _at_aws, _throttled, lasts=0.8),
    Fault("applied, reply lost", 0.08, _at_aws, _reply_lost, lasts=0.5),
    Fault("statements failed", 0.06, _of("BatchExecuteStatement"), _statements_fail),
    Fault("batch broke off", 0.03, _of("BatchExecuteStatement"), _batch_breaks_off, lasts=0.5),
    Fault("keys unprocessed", 0.05, _of("BatchGetItem"), _keys_left),
    Fault("transaction conflict", 0.08, _of("TransactWriteItems"), _transaction_conflict),
    Fault("entries refused", 0.08, _of("PutEvents"), _entries_refused),
    Fault("charge failed", 0.1, _at_processor, _processor_fails),
    Fault("charge done, reply lost", 0.08, _at_processor, _processor_reply_lost),
)
