"""Many orders for one SKU while transactions hold it: nobody fails for what others hold."""

from __future__ import annotations

import pytest

from simulation.flash_sale import Load, play


@pytest.mark.parametrize(
    "load",
    [
        Load(100, 0),
        Load(100, 0, consumers=50, batch=2),
        Load(100, 0, batch=100, stock=30, shelves=3),
    ],
    ids=["burst", "many consumers", "scarce"],
)
def test_nobody_fails_for_what_others_hold(load: Load) -> None:
    outcome = play(load)
    assert (outcome.failed, outcome.parked) == (0, 0)
    assert outcome.reserved == min(load.orders, load.stock)
    assert outcome.reserved + outcome.rejected == load.orders


def test_a_batch_that_is_not_covered_is_not_dissolved() -> None:
    outcome = play(Load(100, 0, consumers=1, batch=100, stock=30))
    assert outcome.transactions <= 3
