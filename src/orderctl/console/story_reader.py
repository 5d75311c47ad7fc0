"""Reads what has become of the newest orders, for a console that may not follow the bus.

To follow the bus takes a rule and a queue of one's own. An order's record has its history, so a
console that only reads sees the same events there, some seconds later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orderctl.console.collector import Open, explained
from orderctl.console.watching import Watching
from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.feed import SeenEvent
from orderctl.pipeline.order_list import NotListedError, Wanted

if TYPE_CHECKING:
    from orderctl.pipeline import Pipeline

ORDERS: Final = 100
"""How many are read at a time: the newest."""
PLACED_WITHIN: Final = timedelta(minutes=15)
_JUST_NOW: Final = timedelta(minutes=1)


class StoryReader(Watching):
    """A thread that reads the newest orders again and again, and tells what is new of them."""

    def __init__(
        self,
        open_pipeline: Open,
        seconds: float,
        tell: Callable[[Sequence[SeenEvent]], None],
    ) -> None:
        """Take what opens the pipeline, how long to rest, and who is told, from the thread."""
        super().__init__("story-reader")
        self._open = open_pipeline
        self._seconds = seconds
        self._tell = tell
        self._pipeline: Pipeline | None = None
        self._known: Mapping[str, int] | None = None
        """How many steps of each order were told; None before the first look."""

    def _work(self) -> None:
        try:
            with explained():
                self._pipeline = self._pipeline or self._open()
                orders = _newest(self._pipeline)
        except OrderctlError:  # the collector says why
            self._pipeline = None
        else:
            if events := self._news(orders, datetime.now(UTC)):
                self._tell(events)
        self._stopped.wait(self._seconds)

    def _news(self, orders: Sequence[Mapping[str, Any]], now: datetime) -> list[SeenEvent]:
        """What happened since the last look, oldest first; at the first look, just now."""
        since = now - _JUST_NOW if self._known is None else reading.FIRST
        known = self._known or {}
        stories = {reading.to_text(order["order_id"]): list(_steps(order)) for order in orders}
        self._known = {order_id: len(story) for order_id, story in stories.items()}
        news = [step for id_, story in stories.items() for step in story[known.get(id_, 0) :]]
        return sorted(
            (step for step in news if (step.at or reading.FIRST) >= since),
            key=lambda step: step.at or reading.FIRST,
        )


def _newest(pipeline: Pipeline) -> Sequence[Mapping[str, Any]]:
    """The newest orders; those not finished alone where the stack does not list the others."""
    now = datetime.now(UTC)
    wanted = Wanted(since=now - PLACED_WITHIN, until=now)
    try:
        return pipeline.order_list.page(wanted, ORDERS, look_at=ORDERS).orders
    except NotListedError:
        unfinished = replace(wanted, unfinished=True)
        return pipeline.order_list.page(unfinished, ORDERS, look_at=ORDERS).orders


def _steps(order: Mapping[str, Any]) -> Iterator[SeenEvent]:
    """An order's history as events."""
    order_id = reading.to_text(order["order_id"])
    for number, step in enumerate(reading.maps(order.get("history"))):
        yield SeenEvent(
            id=f"{order_id}/{number}",
            at=reading.parse_time(step.get("at")),
            source="",
            type=reading.to_text(step.get("type", reading.UNREADABLE)),
            order_id=order_id,
            detail={},
            replay=None,
            body="",
        )
