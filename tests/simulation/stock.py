"""What must hold of the stock: at every call, and of every order that is turned away."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from orders.stock import sku_of
from simulation.dynamodb import Item
from simulation.requests import listed
from simulation.rules import STOCK
from simulation.shelves import at_first
from simulation.story import Violation
from simulation.witness import lines, number
from simulation.workload import Plan
from simulation.world import World

_INVOCATION_SECONDS: Final = 12.0
"""No function works longer, so none may turn an order away for what was so before."""
_OLD_LOOK_SECONDS: Final = 30.0
"""How old a look at the stock may be that is not consistent."""


class StockWatch:
    """Follows what is on the shelves, and what orders hold."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._scheduler = world.scheduler
        self._put_in = plan.stock
        self._levels = at_first(plan)
        """How much is available on each shelf that is there."""
        self._since: dict[str, float] = {}
        """Since when those are there that have come later."""
        self._held: dict[str, Counter[str]] = {}
        """How much an order has taken of each shelf."""
        self._totals: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        """How much of a SKU there was in all, and since when."""
        self._moved: Counter[str] = Counter()
        """What was put on each shelf by the call that is taking effect."""
        self._wanted: Counter[str] = Counter()
        """What the reservations that it wrote put there."""
        self._put_back: Counter[str] = Counter()
        """What of this they put back; on the first shelf, if theirs seemed to be gone."""
        self._is_orders = False
        """Whether it wrote any."""
        self._note_totals()

    def __repr__(self) -> str:
        """What a run's future depends on, in the same words for the same."""
        held = {order_id: sorted(taken.items()) for order_id, taken in self._held.items()}
        totals = {sku: [total for _, total in had] for sku, had in self._totals.items()}
        return f"{sorted(self._levels.items())} {sorted(held.items())} {totals}"

    def shelf_changed(self, key: str, after: Item | None) -> None:
        """Look at a change of a shelf."""
        if sku_of(key) not in self._put_in:
            raise Violation(STOCK, f"{key} is on no list")
        available = int(number(after, "available"))
        if available < 0:
            raise Violation(STOCK, f"{key}: {available} available")
        if key not in self._levels:
            self._since[key] = self._scheduler.now
        self._moved[key] += available - self._levels.get(key, 0)
        if after is None:
            del self._levels[key]
        else:
            self._levels[key] = available

    def reservation_changed(self, order_id: str, state: str | None, after: Item | None) -> None:
        """Look at the new state of a reservation."""
        if state == "rejected":
            self._check_rejection(order_id, lines(after))
        if state == "reserved":
            self._held[order_id] = _taken(after)
            self._wanted.subtract(self._held[order_id])
            self._is_orders = True
        elif held := self._held.pop(order_id, None):
            self._wanted.update(held)
            self._put_back.update(held)
            self._is_orders = True

    def check(self) -> None:
        """Check the books, when all items of a call have been looked at.

        Raises:
            Violation: something was lost or made, or stands where it should not.
        """
        if self._is_orders and not self._is_as_wanted():
            moved = {key: by for key, by in self._moved.items() if by}
            wanted = {key: by for key, by in self._wanted.items() if by}
            raise Violation(STOCK, f"shelves changed by {moved}, reservations by {wanted}")
        if self._moved:
            self._note_totals()
        self._moved, self._wanted, self._put_back = Counter(), Counter(), Counter()
        self._is_orders = False
        for sku, put_in in self._put_in.items():
            available = self._totals[sku][-1][1]
            holders = {
                order_id: sum(n for key, n in held.items() if sku_of(key) == sku)
                for order_id, held in self._held.items()
            }
            reserved = sum(holders.values())
            if available + reserved != put_in:
                told = listed(frozenset(order_id for order_id, n in holders.items() if n))
                raise Violation(
                    STOCK,
                    f"{sku}: {available} available and {reserved} reserved are not {put_in}{told}",
                )

    def _is_as_wanted(self) -> bool:
        """Whether each shelf has changed as the reservations say.

        What is put back comes onto the first shelf when its own is there no more, or has come so
        lately that it is not there in a look that is old.
        """
        elsewhere: Counter[str] = Counter()
        for key in {*self._moved, *self._wanted}:
            less = self._wanted[key] - self._moved[key]
            elsewhere[sku_of(key)] += less
            may_differ = self._put_back[key] if self._is_young(key) else 0
            if key != sku_of(key) and not 0 <= less <= may_differ:
                return False
        return not any(elsewhere.values())

    def _is_young(self, key: str) -> bool:
        """Whether a shelf is not there, or was not a while ago."""
        since = self._since.get(key, -_OLD_LOOK_SECONDS)
        return key not in self._levels or self._scheduler.now - since < _OLD_LOOK_SECONDS

    def _note_totals(self) -> None:
        totals: Counter[str] = Counter(dict.fromkeys(self._put_in, 0))
        for key, available in self._levels.items():
            totals[sku_of(key)] += available
        for sku, total in totals.items():
            if not self._totals[sku] or self._totals[sku][-1][1] != total:
                self._totals[sku].append((self._scheduler.now, total))

    def _check_rejection(self, order_id: str, wanted: Mapping[str, int]) -> None:
        if all(self._least(sku) >= quantity for sku, quantity in wanted.items()):
            raise Violation(STOCK, f"{order_id} was rejected, though there was always enough")

    def _least(self, sku: str) -> int:
        """The least that there was of a SKU since the longest invocation can have begun."""
        begin = self._scheduler.now - _INVOCATION_SECONDS
        history = self._totals.get(sku, [(0.0, 0)])
        ends = [since for since, _ in history[1:]] + [self._scheduler.now]
        return min(total for (_, total), end in zip(history, ends, strict=True) if end >= begin)


def _taken(reservation: Item | None) -> Counter[str]:
    """What a reservation says that it took from which shelf."""
    assert reservation is not None
    if "taken" not in reservation:
        return Counter(lines(reservation))
    return Counter({key: int(value["N"]) for key, value in reservation["taken"]["M"].items()})
