"""The way of a scheduled audit through the tables, in legs: plain functions over plain values.

A run has stages, a stage has segments, and a segment is walked in legs: each begins where the one
before it ended. A leg is written once, under the place that it has on the way. So one that is
walked twice, or by two at once, is there once, and nothing that it says can count twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from orders.audit.decisions import StockAudit, StockLevel, StockPass, Unreadable, add_up
from orders.audit.records import unpack_stock
from orders.audit.tables import SEGMENTS

_MOST_ENTRIES: Final = 2500
"""Of a leg: with what one more page brings, its item stays below DynamoDB's 400 KB."""


class Stage(StrEnum):
    """The kinds of stages, in their order.

    The first two come in turn, until the stock adds up or never stands still.
    """

    STOCK = "stock"
    RESERVATIONS = "reservations"
    PAYMENTS = "payments"
    ORDERS = "orders"
    SETTLE = "settle"
    """Reads again what did not look right in the others."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """An audit from its beginning to its end."""

    began_at: str
    """Also its name."""
    ended_at: str | None = None
    findings: int = 0
    """How many there were when an audit last ended: this one, or the one before it."""


class Leg(msgspec.Struct, kw_only=True):
    """What was read at one go; filled page by page, and then written once."""

    run: str
    leg: str
    """Its place on the way: stage, segment and number."""
    end: str | None = None
    """Where the next one begins; None for the last of its segment."""
    read: int = 0
    """How many items were read."""
    stock: dict[str, str] = {}
    """What there is on each shelf, as ``records.pack_stock`` writes it."""
    held: dict[str, int] = {}
    """How much of each SKU is reserved."""
    unreadable: int = 0
    """Of how many reservations nobody knows what they hold."""
    suspects: set[str] = set()
    """Orders that did not look right."""
    findings: int = 0
    not_judged: int = 0
    """Suspects that still move."""

    @property
    def is_full(self) -> bool:
        """Whether it takes no further page."""
        return len(self.stock) + len(self.held) + len(self.suspects) > _MOST_ENTRIES


@dataclass(frozen=True, slots=True)
class Task:
    """The next leg of a segment."""

    stage: Stage
    round: int
    """Of the stages that come in turn, how often they were done before."""
    segment: int
    number: int
    start: str | None
    """Where it begins; None at the beginning of the segment."""

    @property
    def leg(self) -> str:
        """Its place on the way."""
        return f"{_stage(self.stage, self.round)}/{self.segment}/{self.number:06}"


class Way:
    """The legs of a run, and what is to be done next."""

    def __init__(self, legs: Iterable[Leg]) -> None:
        """Take the legs in the order of their places."""
        self._legs: dict[tuple[str, int], list[Leg]] = defaultdict(list)
        for leg in legs:
            self.add(leg)

    def add(self, leg: Leg) -> None:
        """Add a leg that has been written."""
        stage, segment, _ = leg.leg.split("/")
        self._legs[stage, int(segment)].append(leg)

    def tasks(self) -> list[Task]:
        """What can be done now, in any order; nothing when all is done.

        A stage begins when the one before it is done.
        """
        for stage, round_ in self._stages():
            segments = range(1 if stage in (Stage.STOCK, Stage.SETTLE) else SEGMENTS)
            tasks = [task for n in segments if (task := self._task(stage, round_, n))]
            if tasks:
                return tasks
        return []

    def stock(self) -> StockAudit:
        """The stock as it was added up, as often as that was done."""
        audited = StockAudit()
        while self._task(Stage.STOCK, audited.passes + 1, 0) is None and not audited.is_done:
            number = audited.passes
            held: Counter[str] = Counter()
            for leg in self.of(Stage.RESERVATIONS, number):
                held.update(leg.held)
            audited.add(StockPass(self.levels(number), self.levels(number + 1), held))
        return audited

    def findings_of_stock(self) -> StockAudit:
        """What came of it in the end."""
        audited = self.stock()
        if any(leg.unreadable for leg in self.of(Stage.RESERVATIONS)):
            audited.distrust()
        return audited

    def suspects(self) -> list[str]:
        """The orders that did not look right, each once, in the same order each time."""
        walked = (*self.of(Stage.RESERVATIONS), *self.of(Stage.PAYMENTS), *self.of(Stage.ORDERS))
        return sorted({order_id for leg in walked for order_id in leg.suspects})

    def of(self, stage: Stage, round_: int = 0) -> list[Leg]:
        """The legs of a stage."""
        wanted = _stage(stage, round_)
        return [leg for (name, _), legs in self._legs.items() if name == wanted for leg in legs]

    def _stages(self) -> Iterator[tuple[Stage, int]]:
        """The stages in their order; each is asked for when the one before it is done."""
        round_ = 0
        yield Stage.STOCK, 0
        while not self.stock().is_done:
            yield Stage.RESERVATIONS, round_
            round_ += 1
            yield Stage.STOCK, round_
        yield Stage.PAYMENTS, 0
        yield Stage.ORDERS, 0
        yield Stage.SETTLE, 0

    def _task(self, stage: Stage, round_: int, segment: int) -> Task | None:
        """The next leg of a segment; None when it is done."""
        legs = self._legs.get((_stage(stage, round_), segment), [])
        if legs and legs[-1].end is None:
            return None
        return Task(stage, round_, segment, len(legs), legs[-1].end if legs else None)

    def levels(self, round_: int = 0) -> dict[str, StockLevel | Unreadable]:
        """What there was of each SKU when the stock was read for the round."""
        return add_up(
            {
                key: unpack_stock(key, text)
                for leg in self.of(Stage.STOCK, round_)
                for key, text in leg.stock.items()
            }
        )


def _stage(stage: Stage, round_: int) -> str:
    return f"{stage}-{round_}"
