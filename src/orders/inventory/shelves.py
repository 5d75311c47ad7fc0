"""Which shelves an order's lines are taken from, and put back to: plain functions, plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from orders.events import OrderLine
from orders.inventory.decisions import Reservation
from orders.stock import sku_of

Levels = Mapping[str, int]
"""How much there is on each shelf of a SKU; empty when nobody knows the SKU."""
Change = tuple[Reservation | None, Reservation]
"""What is on record for an order (None: nothing), and what is to be."""
Shuffle = Callable[[Sequence[str]], Sequence[str]]
"""Puts shelves in a random order."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change, and what it does to the stock."""

    change: Change
    taken: Mapping[str, int] = field(default_factory=dict)
    """By shelf."""
    put_back: Mapping[str, int] = field(default_factory=dict)
    """By shelf."""

    @property
    def order_id(self) -> str:
        """The order it is about."""
        return self.change[1].order_id

    @property
    def shelves(self) -> set[str]:
        """Those it touches."""
        return {*self.taken, *self.put_back}


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be done at once. An order that is in neither has to wait for what comes first."""

    moves: list[Move]
    short: set[str]
    """The orders for which there seems to be too little, even if nobody else took any."""


def arrange(changes: Sequence[Change], stock: Mapping[str, Levels], shuffle: Shuffle) -> Plan:
    """Take as many orders as the stock covers, each from as few shelves as possible.

    An order that does not fit beside the others, or that may fit once something is put back, is
    left for later: nobody is turned away for what others only mean to take.

    Args:
        changes: what is to be written; no order twice.
        stock: what there is, by SKU. One that is not in it has to be looked at.
        shuffle: shelves that will do equally well are taken at random, so that transactions
            seldom meet.
    """
    moves = [_put_back(change, stock) for change in changes if change[1].state != "reserved"]
    returned = {sku_of(shelf) for move in moves for shelf in move.put_back}
    short: set[str] = set()
    left = _in_order(changes, stock, shuffle)
    for change in changes:
        _, now = change
        if now.state != "reserved":
            continue
        if taken := _take(now.lines, left):
            moves.append(Move(_noted(change, taken), taken=taken))
        elif not now.lines:
            moves.append(Move(change))
        elif _seems_short(now.lines, stock, returned):
            short.add(now.order_id)
    return Plan(moves, short)


def _in_order(
    changes: Sequence[Change], stock: Mapping[str, Levels], shuffle: Shuffle
) -> dict[str, dict[str, int]]:
    """The shelves of each SKU in the order they are taken from, with what is left on them.

    Those come first that have enough for all orders, and then the fullest.
    """
    wanted: Counter[str] = Counter()
    for _, now in changes:
        if now.state == "reserved":
            for line in now.lines:
                wanted[line.sku] += line.quantity
    left: dict[str, dict[str, int]] = {}
    for sku, quantity in wanted.items():
        levels = stock.get(sku, {})
        if len(levels) > 1:
            fullest = sorted(shuffle(list(levels)), key=lambda shelf: -min(levels[shelf], quantity))
            left[sku] = {shelf: levels[shelf] for shelf in fullest}
        else:
            left[sku] = dict(levels)
    return left


def _take(lines: Sequence[OrderLine], left: Mapping[str, dict[str, int]]) -> dict[str, int]:
    """Take all lines off the shelves, or none: then nothing is returned."""
    taken: dict[str, int] = {}
    for line in lines:
        portions = _portions(line.quantity, left[line.sku])
        if not portions:
            return {}
        taken |= portions
    for shelf, quantity in taken.items():
        left[sku_of(shelf)][shelf] -= quantity
    return taken


def _portions(quantity: int, shelves: Mapping[str, int]) -> dict[str, int]:
    """Take a line off one shelf, or else off as many as it needs; nothing if they are too few."""
    for shelf, there in shelves.items():
        if there >= quantity:
            return {shelf: quantity}
    portions: dict[str, int] = {}
    for shelf, there in sorted(shelves.items(), key=lambda item: -item[1]):
        if there > 0:
            portions[shelf] = min(there, quantity)
            quantity -= portions[shelf]
        if not quantity:
            return portions
    return {}


def _seems_short(
    lines: Sequence[OrderLine], stock: Mapping[str, Levels], returned: set[str]
) -> bool:
    """Whether an order does not fit by itself, and not because it waits for what is returned."""
    unseen = any(line.sku not in stock for line in lines)
    return unseen or bool(find_shortage(lines, stock).keys() - returned)


def find_shortage(lines: Sequence[OrderLine], stock: Mapping[str, Levels]) -> dict[str, int | None]:
    """Of which SKUs there is too little for an order, even if nobody else took any.

    Args:
        lines: the order's.
        stock: what there is, by SKU. One that is not in it is not judged.

    Returns:
        By SKU what there is on all shelves together; None for a SKU that is not known.
    """
    short: dict[str, int | None] = {}
    for line in lines:
        levels = stock.get(line.sku)
        if levels is None:
            continue
        there = sum(max(level, 0) for level in levels.values())
        if there < line.quantity:
            short[line.sku] = there if levels else None
    return short


def _put_back(change: Change, stock: Mapping[str, Levels]) -> Move:
    """Put an order's lines back where they were taken from, or on the first shelf instead."""
    _, now = change
    taken = now.taken or {line.sku: line.quantity for line in now.lines}
    back: Counter[str] = Counter()
    for shelf, quantity in taken.items():
        sku = sku_of(shelf)
        is_gone = sku in stock and shelf not in stock[sku]
        back[sku if is_gone else shelf] += quantity
    return Move(change, put_back=dict(back))


def _noted(change: Change, taken: Mapping[str, int]) -> Change:
    """The reservation with where its lines were taken from, unless it is the first shelves."""
    before, now = change
    noted = None if all(shelf == sku_of(shelf) for shelf in taken) else dict(taken)
    return change if noted == now.taken else (before, msgspec.structs.replace(now, taken=noted))
