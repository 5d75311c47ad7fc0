"""A transaction holds its items, and who meets it is told."""

from __future__ import annotations

from simulation.dynamodb import Holding
from simulation.scheduler import Scheduler

ITEM = ("reservations", "order-1")


def test_others_meet_a_transaction_and_who_was_answered_does_not() -> None:
    scheduler = Scheduler()
    holding = Holding(scheduler, 3.0)
    holding.writer = "inventory-processor#1"
    holding.hold([ITEM], "token")
    assert not holding.find([ITEM], ""), "it has its answer: for it the transaction is over"
    for other in ("inventory-processor#2", ""):
        holding.writer = other
        assert holding.find([ITEM, ("stock", "mug")], "") == {ITEM}
        assert not holding.find([ITEM], "token"), "the same transaction again"
    assert holding.met == 2
    scheduler.after(3.0, lambda: None)
    scheduler.run()
    assert not holding.find([ITEM], "")
