"""How orders end, while one waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orderctl.pipeline import reading
from orderctl.pipeline.order_list import in_words

if TYPE_CHECKING:
    from orderctl.pipeline.orders import Item, Orders


def has_ended(order: Mapping[str, Any]) -> bool:
    """Whether an order is confirmed, or cancelled with money and stock back where they belong."""
    if order.get("status") == "cancelled":
        return order.get("payment") != "charged" and order.get("inventory") != "reserved"
    return order.get("status") == "confirmed"


class Endings:
    """What becomes of some orders."""

    def __init__(self, orders: Orders, order_ids: Iterable[str]) -> None:
        """Take the orders' ids."""
        self._orders = orders
        self.open = dict.fromkeys(order_ids)
        """The ids of those that have not ended yet."""
        self.ended: dict[str, Item] = {}
        """Those that have, by their id."""

    def look(self) -> int:
        """Look what has ended by now; only what has not is read again.

        Returns:
            How many have ended since the last look.

        Raises:
            ClientError, BotoCoreError: a call to AWS failed.
        """
        found = self._orders.find(list(self.open))
        new = {order_id: order for order_id, order in found.items() if has_ended(order)}
        for order_id in new:
            del self.open[order_id]
        self.ended |= new
        return len(new)

    def counts(self) -> list[tuple[str, int]]:
        """How many have ended in which way, such as `cancelled: out of stock`; most first."""
        return Counter(map(in_words, self.ended.values())).most_common()

    def seconds(self) -> list[float]:
        """How long each took from its placing to the last thing that happened to it."""
        lengths = []
        for order in self.ended.values():
            first = reading.parse_time(order.get("placed_at"))
            steps = reading.maps(order.get("history"))
            times = [reading.parse_time(step.get("at")) for step in steps]
            if first and (last := max(filter(None, times), default=None)):
                lengths.append(max((last - first).total_seconds(), 0.0))
        return lengths
