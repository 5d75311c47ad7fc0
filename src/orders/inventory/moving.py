"""Writes reservations and moves their stock, with few transactions, while others do the same.

What met nobody goes on at once; what met another transaction waits a moment, and then goes back to
the queue without having used up a receive, as that says nothing about the order; and what fell
short is arranged anew by what there is then. So a batch is divided by what stood in its way, and
not into single orders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import sample
from typing import TYPE_CHECKING, Final

from orders.aws.context import time_is_up
from orders.aws.dynamodb import CONFLICT
from orders.aws.patience import HELD, TRANSIENT_CODES, Patience
from orders.inventory.decisions import Reservation, reject
from orders.inventory.reservations import Cancelled, Reservations, Stock
from orders.inventory.shelves import Change, Move, arrange, find_shortage
from orders.stock import sku_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from orders.aws.context import Context

_MAX_ACTIONS: Final = 100
"""As many as ``TransactWriteItems`` takes."""
_FIRST_PAUSE_SECONDS: Final = 0.02
_TRIES_OF_HELD: Final = 20
_FIRST_PAUSE_OF_HELD_SECONDS: Final = 0.2
_PAUSE_GROWTH_OF_HELD: Final = 0.8
_SHORTEST_PAUSE_OF_HELD_SECONDS: Final = 0.06
"""What has waited longer asks more often, so that new batches do not get ahead of it for ever. In
all it waits for up to two seconds."""
_MOST_ROUNDS: Final = 50
"""How often a batch is arranged anew, at most."""
_NONE: Final = "None"
_CONDITION_FAILED: Final = "ConditionalCheckFailed"


@dataclass(slots=True)
class Movement:
    """The reservations of a batch on their way to the tables."""

    reservations: Reservations
    stock: Stock
    """As it was seen last."""
    context: Context
    ready: list[Change]
    """What is to be written, and moved."""
    held: list[Change] = field(default_factory=list)
    """What is tried again after a pause."""
    why_held: str = ""
    written: dict[str, Reservation] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    """By order id, CONFLICT if somebody wrote first, HELD, or why else it was not written."""
    rejected: list[Change] = field(default_factory=list)
    """What the stock does not cover."""

    def run(self) -> None:
        """Write each reservation that can be, and say of each other one why not."""
        held_by_others = Patience(
            self.context,
            _FIRST_PAUSE_OF_HELD_SECONDS,
            growth=_PAUSE_GROWTH_OF_HELD,
            shortest_pause=_SHORTEST_PAUSE_OF_HELD_SECONDS,
            tries=_TRIES_OF_HELD,
        )
        refused_by_aws = Patience(self.context, _FIRST_PAUSE_SECONDS)
        for _ in range(_MOST_ROUNDS):
            if not self.ready:
                patience = held_by_others if self.why_held == HELD else refused_by_aws
                if not self.held or not patience.wait():
                    break
                self.ready, self.held = self.held, []
            if time_is_up(self.context):
                self._refuse(self.ready, "the function is about to time out")
                break
            self._go_on()
        else:
            self._refuse(self.ready, "others took of the same stock each time")
        is_held = self.why_held == HELD
        self._refuse(self.held, HELD if is_held else f"{self.why_held} from TransactWriteItems")

    def _go_on(self) -> None:
        """Do what can be done now."""
        self._refuse_unreadable()
        plan = arrange(self.ready, self.stock.levels, _shuffled)
        if plan.short:
            self._turn_away(plan.short)
            return
        moving = {move.order_id for move in plan.moves}
        self.ready = [change for change in self.ready if change[1].order_id not in moving]
        for moves in divide(plan.moves):
            self._make(moves)

    def _refuse_unreadable(self) -> None:
        """Fail the orders of a SKU whose item cannot be read, or is not there to be put back to."""
        readable: list[Change] = []
        for change in self.ready:
            before, now = change
            why = ""
            for line in now.lines:
                if line.sku in self.stock.unreadable:
                    why = f"{line.sku}: {self.stock.unreadable[line.sku]}"
                elif before and self.stock.levels.get(line.sku) == {}:
                    why = f"{line.sku}: there is no stock item to put it back to"
            if why:
                self._refuse([change], why)
            else:
                readable.append(change)
        self.ready = readable

    def _turn_away(self, short: Collection[str]) -> None:
        """Look at the stock of orders that seem to fall short, and reject those that do."""
        doubtful = [now for _, now in self.ready if now.order_id in short]
        seen = self._look({line.sku for now in doubtful for line in now.lines})
        left: list[Change] = []
        for before, now in self.ready:
            too_little = now.order_id in short and find_shortage(now.lines, seen.levels)
            if too_little:
                self.rejected.append((before, reject(now, too_little)))
            else:
                left.append((before, now))
        self.ready = left

    def _look(self, skus: Collection[str]) -> Stock:
        seen = self.reservations.look(sorted(skus), self.context)
        self.stock.add(seen)
        return seen

    def _make(self, moves: Sequence[Move]) -> None:
        """Make a transaction of them."""
        answer = self.reservations.transact(moves)
        if answer is None:
            self.written |= {move.order_id: move.change[1] for move in moves}
            self.stock.move(moves)
        elif isinstance(answer, Cancelled):
            self._sort_out(moves, answer)
        elif answer in TRANSIENT_CODES:
            self._hold([move.change for move in moves], answer)
        else:
            self._refuse([move.change for move in moves], f"{answer} from TransactWriteItems")

    def _sort_out(self, moves: Sequence[Move], cancelled: Cancelled) -> None:
        """Treat each order as what it met wants it, and not as what others met."""
        for move, own in zip(moves, cancelled.records, strict=True):
            codes = {own, *(cancelled.shelves[shelf] for shelf in move.shelves)}
            transient = codes & TRANSIENT_CODES
            lasting = codes - transient - {_NONE, _CONDITION_FAILED}
            if own == _CONDITION_FAILED:
                self._refuse([move.change], CONFLICT)
            elif lasting:
                self._refuse([move.change], f"{min(lasting)} from TransactWriteItems")
            elif transient:
                self._hold([move.change], max(transient - {HELD}, default=HELD))
            else:
                self.ready.append(move.change)
        short = {sku_of(s) for s, code in cancelled.shelves.items() if code == _CONDITION_FAILED}
        if short:
            self._look(short)

    def _hold(self, changes: Sequence[Change], code: str) -> None:
        if not self.held or code != HELD:
            self.why_held = code
        self.held += changes

    def _refuse(self, changes: Sequence[Change], why: str) -> None:
        self.refusals |= dict.fromkeys((now.order_id for _, now in changes), why)


def write(
    reservations: Reservations, changes: Sequence[Change], stock: Stock, context: Context
) -> tuple[dict[str, Reservation], dict[str, str]]:
    """Write reservations and move the stock as they want it, mostly with one call.

    Each is written only if its record is still what it was. One that the stock does not cover
    is written as rejected.

    Args:
        reservations: the tables.
        changes: what is on record (None: nothing), and what is to be; no order twice.
        stock: what was seen of it.
        context: the invocation's, for what is to be tried again, and for the time left.

    Returns:
        What was written, by order id; and, by order id, CONFLICT if somebody wrote first, HELD
        if another transaction was at it each time, or why else it was not written.
    """
    moving = any(now.lines for _, now in changes)
    movement = Movement(reservations, stock, context, list(changes) if moving else [])
    movement.run()
    rest = movement.rejected if moving else changes
    refusals = movement.refusals | reservations.write(rest, context)
    written = movement.written | {now.order_id: now for _, now in rest}
    return {id_: now for id_, now in written.items() if id_ not in refusals}, refusals


def divide(moves: Sequence[Move]) -> Iterator[list[Move]]:
    """Divide moves so that each part fits into one transaction; mostly there is one part.

    Those of one shelf are put together, so that it is written seldom.
    """
    part: list[Move] = []
    shelves: set[str] = set()
    for move in sorted(moves, key=lambda move: min(move.shelves, default="")):
        if part and len(part) + 1 + len(shelves | move.shelves) > _MAX_ACTIONS:
            yield part
            part, shelves = [], set()
        part.append(move)
        shelves |= move.shelves
    if part:
        yield part


def _shuffled(shelves: Sequence[str]) -> Sequence[str]:
    return sample(shelves, len(shelves))
