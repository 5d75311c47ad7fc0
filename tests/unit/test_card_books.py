"""What a card processor is asked for, and how the simulated one names its charges."""

from __future__ import annotations

from orders.card_books import Booked, SimulatedCardBooks, simulated_charge_id


def test_the_charge_of_a_key_is_the_same_in_every_version() -> None:
    """Else an audit would find two charges for every order that an older version has charged."""
    assert simulated_charge_id("order-1") == "ch_56d2698c143b86040446d366"
    assert SimulatedCardBooks().find("order-1") == Booked((simulated_charge_id("order-1"),))
    assert simulated_charge_id("order-2") != simulated_charge_id("order-1")
