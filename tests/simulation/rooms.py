"""The real handlers, loaded as Lambda loads them: from the template's handler and environment.

They are loaded anew, beside what tests may have imported, so that their clients and their clock
lead into the simulation, and so that a sabotage breaks nobody else's code.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import partial
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any, Final
from unittest import mock

import msgspec

from simulation.clients import Transport
from simulation.coroutines import owner_here
from simulation.faults import ProcessorFailure
from simulation.requests import CARD_PROCESSOR, Request
from simulation.template import Topology

_PACKAGE: Final = "orders"
API: Final = "order-api"
CARETAKER: Final = "caretaker"
CIRCUIT_BREAKER: Final = "circuit-breaker"
_ELSEWHERE: Final = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://nowhere"}

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A small piece of the handlers' source, and what stands there instead."""

    name: str
    module: str
    old: str
    new: str


class NothingToSabotageError(Exception):
    """The text that a sabotage replaces is not there just once."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The handlers by function name."""

    handlers: Mapping[str, Handler]


def load(topology: Topology, *sabotages: Sabotage) -> Rooms:
    """Load the handlers of all functions that the simulation plays.

    Raises:
        NothingToSabotageError: a sabotage does not fit the source.
    """
    handlers: dict[str, Handler] = {}
    with _afresh(sabotages):
        _replace(importlib.import_module("orders.aws.clients"), "make", _client_maker())
        for function in topology.functions.values():
            module_name, _, attribute = function.handler.rpartition(".")
            with mock.patch.dict("os.environ", function.environment):
                module = importlib.import_module(module_name)
            handlers[function.name] = _adapted(getattr(module, attribute))
        _lead_into_the_simulation()
        _resolve_types()
    return Rooms(handlers)


@contextmanager
def _afresh(sabotages: Sequence[Sabotage]) -> Iterator[None]:
    """Have the package's modules imported anew, and afterwards those back that were there."""
    before = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    for name in before:
        del sys.modules[name]
    finders = [_Saboteur(sabotage) for sabotage in sabotages]
    sys.meta_path[:0] = finders
    try:
        yield
        for sabotage in sabotages:
            if sabotage.module not in sys.modules:
                raise NothingToSabotageError(f"no handler imports {sabotage.module}")
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == _PACKAGE


def _client_maker() -> Callable[[str], object]:
    """Makes the lean clients as they are deployed, but for what carries their requests."""
    client_module = importlib.import_module("orders.aws.wire.client")
    connection = importlib.import_module("orders.aws.wire.connection")
    signing = importlib.import_module("orders.aws.wire.signing")
    signer = signing.Credentials("simulated", "simulated")
    _replace(signing, "from_environment", lambda: signer)

    def make(service: str) -> object:
        with mock.patch.dict("os.environ", _ELSEWHERE):
            client = client_module.Client(service)
        client.transport = Transport(service, connection)
        return client

    return make


def _lead_into_the_simulation() -> None:
    """Give the modules the run's clock, ids and ears."""
    telemetry = importlib.import_module("orders.aws.telemetry")
    for level in ("info", "warning", "error"):
        setattr(telemetry, level, partial(_say, level.upper()))
    for silent in ("begin", "count", "gauge"):
        assert hasattr(telemetry, silent)
        setattr(telemetry, silent, _nothing)
    for module in (
        "orders.clock",
        "orders.caretaker.handler",
        "orders.circuit_breaker.handler",
        "orders.payments.tries",
    ):
        _replace(importlib.import_module(module), "datetime", _Datetime)
    for module in ("orders.aws.order_table", "orders.inventory.moving"):
        _replace(
            importlib.import_module(module),
            "sample",
            lambda population, k: owner_here().sample(population, k),
        )
    patience = importlib.import_module("orders.aws.patience")
    _replace(patience, "sleep", lambda seconds: owner_here().sleep(seconds))
    _replace(patience, "uniform", lambda least, most: owner_here().uniform(least, most))
    client = importlib.import_module("orders.aws.wire.client")
    _replace(client, "sleep", lambda seconds: owner_here().sleep(seconds))
    _replace(client, "random", lambda: owner_here().uniform(0, 1))
    _replace(client, "new_token", lambda: owner_here().new_token())
    _replace(
        importlib.import_module("orders.order_api.handler"),
        "uuid",
        SimpleNamespace(uuid4=lambda: owner_here().new_uuid()),
    )


def _resolve_types() -> None:
    """Have the types of all fields looked up, which msgspec does late and by module name."""
    # It looks the types up itself, once, and keeps them.
    fields_of = importlib.import_module("orders.order_api.validation")._fields
    for name in [name for name in sys.modules if _is_ours(name)]:
        for value in vars(sys.modules[name]).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                msgspec.json.Decoder(value)
                fields_of(value)


def _replace(module: ModuleType, name: str, value: object) -> None:
    assert hasattr(module, name), f"{module.__name__} has no {name}"
    setattr(module, name, value)


class _Datetime(datetime):
    """The run's time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        # Not of this class: msgspec writes no other than datetime's own.
        instant: datetime = owner_here().instant()
        return datetime.fromtimestamp(instant.timestamp(), tz)


def _say(level: str, message: str, **facts: object) -> None:
    owner_here().say(level, message, facts)


def _nothing(*_: object, **__: object) -> None:
    pass


def _adapted(handler: Any) -> Handler:  # noqa: ANN401 - a room
    """The handler as it is composed, but with a card processor that keeps books."""
    if hasattr(handler, "processor"):
        provider = sys.modules["orders.payments.provider"]
        handler = dataclasses.replace(
            handler, processor=_CardProcessor(provider), tries=_Tries(handler.tries)
        )
    adapted: Handler = handler
    return adapted


class _Tries:
    """What each execution environment of a run remembers of its own."""

    def __init__(self, fresh: Any) -> None:  # noqa: ANN401 - the room's
        self._fresh = fresh

    def note(self, *, failed: bool) -> None:
        self._here().note(failed=failed)

    def take_notice(self) -> object:
        return self._here().take_notice()

    def are_failing(self) -> bool:
        failing: bool = self._here().are_failing()
        return failing

    @property
    def pause(self) -> object:
        return self._here().pause

    def _here(self) -> Any:  # noqa: ANN401
        remembered = owner_here().memory
        if "tries" not in remembered:
            remembered["tries"] = dataclasses.replace(self._fresh, _tries=deque())
        return remembered["tries"]


class _CardProcessor:
    """The handlers' protocol, in front of the simulation's card processor."""

    def __init__(self, provider: ModuleType) -> None:
        self._provider: Any = provider

    def charge(self, idempotency_key: str, amount: Decimal, currency: str) -> object:
        charge_id = self._ask(
            "charge",
            {"idempotency_key": idempotency_key, "amount": amount, "currency": currency},
        )
        if charge_id is None:
            return self._provider.Declined("card declined")
        return self._provider.Charged(charge_id)

    def cancel(self, idempotency_key: str) -> None:
        self._ask("cancel", {"idempotency_key": idempotency_key})

    def _ask(self, operation: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
        try:
            return owner_here().ask(Request(CARD_PROCESSOR, operation, arguments))
        except ProcessorFailure:
            raise self._provider.ProcessorFailedError("no answer") from None


class _Saboteur(importlib.abc.MetaPathFinder):
    """Finds one module, whose source is not what it was."""

    def __init__(self, sabotage: Sabotage) -> None:
        self._sabotage = sabotage

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._sabotage.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _SabotagedLoader(fullname, spec.origin, self._sabotage)
        return spec


class _SabotagedLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, sabotage: Sabotage) -> None:
        super().__init__(fullname, path)
        self._sabotage = sabotage

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname)
        assert source is not None
        if source.count(self._sabotage.old) != 1:
            raise NothingToSabotageError(
                f"{self._sabotage.name}: {self._sabotage.old!r} stands "
                f"{source.count(self._sabotage.old)} times in {fullname}"
            )
        code = compile(source.replace(self._sabotage.old, self._sabotage.new), self.path, "exec")
        assert isinstance(code, CodeType)
        return code
