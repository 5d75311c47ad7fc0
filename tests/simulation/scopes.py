"""What is explored: each scope with its bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from simulation.faults import FAULTS
from simulation.weather import (
    CLIENT_GONE,
    DUPLICATED_EVENT,
    EARLY_RETURN,
    LOST_ANSWER,
    THROTTLED_INVOCATION,
    UNDELETED,
)
from simulation.workload import Order, Plan

TIMED_OUT: Final = "function times out, its call takes effect later"

_EVERY_FAULT: Final = frozenset(
    {
        *(fault.name for fault in FAULTS),
        DUPLICATED_EVENT,
        EARLY_RETURN,
        LOST_ANSWER,
        THROTTLED_INVOCATION,
        TIMED_OUT,
        UNDELETED,
    }
)


@dataclass(frozen=True, slots=True)
class Scope:
    """A bounded world, all of whose schedules are gone through."""

    name: str
    says: str
    """The bound, in a sentence."""
    orders: tuple[Order, ...]
    """Each is sent by its client, once more if there is no answer."""
    stock: Mapping[str, int]
    cancels: tuple[str, ...] = ()
    """The orders whose clients ask at any moment to have them cancelled."""
    faults: int = 0
    """How many faults a schedule has at most."""
    kinds: frozenset[str] = _EVERY_FAULT
    """Which."""
    free: frozenset[str] = frozenset({CLIENT_GONE})
    """What may strike however often beside them."""
    batch: int = 1
    """How many messages are handed over at once, at most."""
    at_once: int = 2
    """How many invocations of a function are at work on an order at once, at most."""
    tries: int = 2
    """How often a client calls that gets no answer."""
    caretaker: int = 0
    """How often the caretaker is called in the middle, at most."""
    told: bool = False
    """Whether the shop is told of the orders as it happens; if not, when all has come to rest."""
    never: frozenset[str] = frozenset()
    """Detail-types that no schedule of it has. Should one come, the search begins anew without."""

    @property
    def bound(self) -> str:
        """All of it, in sentences."""
        return self.says if self.told else f"{self.says} The shop is told when all is at rest."

    @property
    def plan(self) -> Plan:
        """The same for the simulation."""
        return Plan(
            stock=dict(self.stock),
            orders={order.order_id: order for order in self.orders},
            declined=frozenset(),
            silent=frozenset(),
            seconds=0,
        )


def _order(number: int) -> Order:
    return Order(f"order-{number}", Decimal(5), "USD", {"apple": 1})


_REJECTED: Final = frozenset({"inventory.rejected"})
_CANCEL_REQUESTED: Final = frozenset({"order.cancel_requested"})

_ONE: Final = Scope(
    "calm",
    "One order in every delivery order, without a fault.",
    orders=(_order(1),),
    stock={"apple": 1},
    never=_REJECTED | _CANCEL_REQUESTED,
)
_TWICE: Final = replace(
    _ONE,
    name="twice",
    says="One order, each of whose events may be delivered twice to each of its targets.",
    free=frozenset({DUPLICATED_EVENT}),
)
_CANCELLED: Final = replace(
    _ONE,
    name="cancel-calm",
    says="One order, and its client's cancel at any moment, without a fault.",
    cancels=("order-1",),
    never=_REJECTED,
)
_LAST: Final = replace(
    _ONE,
    name="last-calm",
    says="Two orders for the last piece, without a fault.",
    orders=(_order(1), _order(2)),
    never=_CANCEL_REQUESTED,
)
_FAULT: Final = replace(
    _ONE,
    name="fault",
    says="One order in every delivery order, with every single fault at every call.",
    faults=1,
)
_PAIR: Final = replace(
    _ONE,
    name="pair",
    says="One order in every delivery order, with every pair of faults.",
    faults=2,
)
_TOLD: Final = replace(
    _ONE,
    name="told-calm",
    says="One order in every delivery order, and the shop told of it as it happens.",
    told=True,
)


def _with_fault(scope: Scope, name: str) -> Scope:
    says = scope.says.removesuffix(".").removesuffix(", without a fault")
    return replace(scope, name=name, says=f"{says}, with every single fault.", faults=1)


def _one_at_a_time(scope: Scope, name: str) -> Scope:
    says = scope.says.removesuffix(".")
    return replace(
        scope, name=name, says=f"{says}; one invocation of a function at a time.", at_once=1
    )


_BATCHES: Final = replace(
    _CANCELLED,
    name="batches",
    says="One order and its cancel, with batches of up to three messages in any order.",
    batch=3,
)
_TOLD_WITH_FAULT: Final = _with_fault(_TOLD, "told")
_CANCELLED_WITH_FAULT: Final = _with_fault(_CANCELLED, "cancel")
_LAST_WITH_FAULT: Final = _with_fault(_LAST, "last")
_CARED_FOR: Final = replace(
    _FAULT,
    name="caretaker",
    says="One order, with every single fault and the caretaker called once at any moment.",
    caretaker=1,
)

SCOPES: Final = (
    _ONE,
    _TOLD,
    _one_at_a_time(_FAULT, "single"),
    _FAULT,
    _TWICE,
    _LAST,
    _CANCELLED,
    _one_at_a_time(_with_fault(_TWICE, "twice"), "twice-single"),
    _one_at_a_time(_PAIR, "pair-single"),
    _one_at_a_time(_CANCELLED_WITH_FAULT, "cancel-single"),
    _one_at_a_time(_LAST_WITH_FAULT, "last-single"),
    _one_at_a_time(_BATCHES, "batches-single"),
    _one_at_a_time(_TOLD_WITH_FAULT, "told-single"),
    _one_at_a_time(_CARED_FOR, "caretaker-single"),
    _TOLD_WITH_FAULT,
    _PAIR,
    _BATCHES,
    _LAST_WITH_FAULT,
    _CANCELLED_WITH_FAULT,
    _CARED_FOR,
)
"""The smallest first."""


def scope(name: str) -> Scope:
    """A scope by its name.

    Raises:
        KeyError: there is none of this name.
    """
    return {each.name: each for each in SCOPES}[name]
