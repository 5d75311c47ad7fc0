"""Which steps commute, read from what is wired to what.

Two functions that share no table touch nothing in common: in which order they take their steps
makes no difference to either. The same goes for two orders, where nothing but orders' own items is
touched; the stock is everybody's. So there is a place for each order in each group of functions
that share tables, and steps in different places commute. They meet only through the events that
they publish: a step in one place can bring a message, and so a new step, into another. (What
payments-processor remembers of its last tries, of whatever order, would make a difference only if
more of them failed than a schedule has faults.)

If nothing that happens outside some places can ever bring a message into them, then what is to
happen outside may as well happen later, in any order: it commutes with all that happens inside. So
only the steps inside are taken now. For deadlocks and for what can be seen from inside a place
nothing is lost by that (a persistent set: Godefroid, "Partial-Order Methods for the Verification
of Concurrent Systems", 1996, chapter 4; no schedule comes back to where it was, so no step is put
off for ever). That faults are few changes nothing: put in another order, a schedule has the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulation.rooms import API
from simulation.template import Topology

_NOTHING: Final = frozenset[str]()
_DECISION: Final = frozenset({"order.confirmed", "order.cancelled"})

CAUSES: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    API: {
        "POST": frozenset({"order.placed"}),
        "DELETE": frozenset({"order.cancel_requested"}),
    },
    "payments-processor": {
        "order.placed": frozenset({"payment.charged", "payment.declined", "payment.refunded"}),
        "order.cancelled": frozenset({"payment.refunded"}),
    },
    "inventory-processor": {
        "order.placed": frozenset(
            {"inventory.reserved", "inventory.rejected", "inventory.released"}
        ),
        "order.cancelled": frozenset({"inventory.released"}),
    },
    "order-tracker": {
        "payment.charged": _DECISION,
        "payment.declined": _DECISION,
        "inventory.reserved": _DECISION,
        "inventory.rejected": _DECISION,
        "order.cancel_requested": _DECISION,
    },
}
"""What a function publishes about an order for what it gets of it; nothing if it is not listed.

A run in which one publishes something else is not believed. No scope has another publisher, whose
`order.cancelled` the tracker would announce as its own.
"""

_AFTER_CANCEL: Final = frozenset({"order.cancelled"})
NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "order.cancelled": frozenset(
        {"payment.declined", "inventory.rejected", "order.cancel_requested", "order.cancelled"}
    ),
    # No card is declined, but for one that was cancelled before it was charged.
    "payment.declined": _AFTER_CANCEL,
    "payment.refunded": _AFTER_CANCEL,
    "inventory.released": _AFTER_CANCEL,
}
"""An event of which one of these must have been published before, of the same order.

Whatever gets such an event gets those that it needs, too. So if something outside can bring about
what is needed, that leads to wherever what needs it leads.
"""


@dataclass(frozen=True, slots=True)
class Actor:
    """A function at work for an order."""

    function: str
    order_id: str
    """Empty when it is for several, or for none."""
    gets: frozenset[str] = _NOTHING
    """The types of the events that it works on, or the API's methods."""


Published = Mapping[str, Collection[str]]
"""The types of the events that were published, by order."""


class Places:
    """Where steps happen, and what can come of them elsewhere."""

    def __init__(
        self,
        topology: Topology,
        never: Collection[str],
        orders: Collection[str],
        waiting: Collection[str],
        *,
        orders_apart: bool,
    ) -> None:
        """Read the topology.

        Args:
            topology: what is wired to what.
            never: detail-types that no event has.
            orders: all of them.
            waiting: functions that get nothing before all else has come to rest.
            orders_apart: whether no invocation is for several orders.
        """
        self._only_order = len(orders) == 1
        self._waiting = frozenset(waiting)
        self._never = frozenset(never)
        self._readers = _readers(topology)
        self._groups = _groups(topology, {API}.union(*self._readers.values()))
        self._shared = {
            group
            for name, group in self._groups.items()
            if not (orders_apart or self._only_order)
            or any(topology.tables[table] != "order_id" for table in _tables(topology, name))
        }

    def reduce(self, actors: Sequence[Actor], published: Published) -> list[int]:
        """The numbers of the actors whose steps are to be taken now: others may as well come later.

        Args:
            actors: of all the steps that can come next.
            published: what was published so far.
        """
        by_place: dict[Actor, set[Actor]] = {}
        for actor in actors:
            by_place.setdefault(self.of(actor), set()).add(actor)
        led_to = {
            place: set().union(*(self._led_to(actor, published) for actor in here))
            for place, here in by_place.items()
        }
        closed = [_closed(place, led_to) for place in by_place]
        fewest = min(closed, key=lambda c: sum(self.of(a) in c for a in actors))
        return [n for n, actor in enumerate(actors) if self.of(actor) in fewest]

    def expects(self, actor: Actor, detail_type: str, published: Collection[str]) -> bool:
        """Whether an actor may publish an event.

        Args:
            actor: who.
            detail_type: the event's.
            published: what was published of the order before.
        """
        types = {t for what in actor.gets for t in _causes(actor.function, what)}
        return detail_type in self._possible(types, published)

    def _possible(self, types: Collection[str], published: Collection[str]) -> set[str]:
        """Of some types of events those that there can be, when some were published before."""
        possible: set[str] = set()
        while True:
            before = {*published, *possible}
            more = {t for t in types if t not in NEEDS or not NEEDS[t].isdisjoint(before)}
            more -= self._never
            if more <= possible:
                return possible
            possible |= more

    def has_one_function(self, actor: Actor) -> bool:
        """Whether only an actor's function gets events in its place, and of one order only."""
        place = self.of(actor)
        getting = {name for names in self._readers.values() for name in names} - self._waiting
        here = {name for name in getting if self._groups[name] == place.function}
        return here == {actor.function} and bool(place.order_id or self._only_order)

    def of(self, actor: Actor) -> Actor:
        """The place of an actor: its group's, of its order or of all orders."""
        group = self._groups[actor.function]
        return Actor(group, "" if group in self._shared else actor.order_id)

    def _led_to(self, actor: Actor, published: Published) -> set[Actor]:
        """The places into which something can come of what an actor does, directly or not."""
        orders = [actor.order_id] if actor.order_id else list(published)
        told = {name for order_id in orders for name in published.get(order_id, ())}
        found: set[Actor] = set()
        new = {(actor.function, what) for what in actor.gets}
        known: set[tuple[str, str]] = set()
        while new:
            known |= new
            types = {t for function, what in known for t in _causes(function, what)}
            possible = self._possible(types, told)
            reached = {(reader, t) for t in possible for reader in self._readers.get(t, ())}
            found |= {self.of(Actor(reader, actor.order_id)) for reader, _ in reached}
            new = reached - known
        return found


def _causes(function: str, what: str) -> frozenset[str]:
    return CAUSES.get(function, {}).get(what, _NOTHING)


def _closed(place: Actor, led_to: Mapping[Actor, Iterable[Actor]]) -> frozenset[Actor]:
    """A place with all those from which a message can come into it, directly or not."""
    inside = {place}
    while more := {o for o, to in led_to.items() if o not in inside and inside.intersection(to)}:
        inside |= more
    return frozenset(inside)


def _tables(topology: Topology, function: str) -> set[str]:
    return set(topology.functions[function].environment.values()) & set(topology.tables)


def _groups(topology: Topology, functions: Collection[str]) -> dict[str, str]:
    """Of some functions those that share tables, by one of them."""
    groups: dict[str, str] = {}
    for name in sorted(functions):
        of_same_tables = (
            group
            for other, group in groups.items()
            if _tables(topology, other) & _tables(topology, name)
        )
        groups[name] = next(of_same_tables, name)
    return groups


def _readers(topology: Topology) -> dict[str, set[str]]:
    """The functions that get events of a type."""
    of_queue = {f.queue: name for name, f in topology.functions.items() if f.queue}
    readers: dict[str, set[str]] = {}
    for route in topology.routes:
        for detail_type in route.detail_types:
            reader = of_queue.get(route.target, route.target)
            readers.setdefault(detail_type, set()).add(reader)
    return readers
