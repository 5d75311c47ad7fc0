"""Every state that the real decisions reach with one order, whatever happens to it on its way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from model.spin import MISSING, SCOPES, verify
from support.protocol import FROM_OUTSIDE, State, explore, order_of

_STEPS: dict[str, set[tuple[str | None, str]]] = {
    "status": {(None, "placed"), (None, "cancelled"), ("placed", "confirmed")}
    | {("placed", "cancelled"), ("confirmed", "cancelled")},  # the last only from outside
    "payment": {(None, "charged"), (None, "declined"), (None, "voided"), ("charged", "refunded")},
    "reservation": {(None, "reserved"), (None, "rejected"), (None, "voided")}
    | {("reserved", "released")},
}
"""How a record may change."""


@pytest.mark.long
def test_a_record_changes_only_as_it_may() -> None:
    changes = {
        (field, getattr(before.standing, field), getattr(after.standing, field))
        for before, afters in explore().items()
        for after in afters
        for field in _STEPS
    }
    made = {(field, was, now) for field, was, now in changes if was != now}
    assert made == {(field, *step) for field, steps in _STEPS.items() for step in steps}


def test_only_a_cancel_from_outside_overturns_a_decision() -> None:
    for before, afters in explore().items():
        for after in afters:
            if before.standing.status == "confirmed" and after.standing.status != "confirmed":
                assert FROM_OUTSIDE in before.to_tracker - after.to_tracker
                assert after.standing.status == "cancelled"


def test_a_confirmed_order_was_charged_and_reserved() -> None:
    for state in explore():
        if state.standing.status == "confirmed":
            assert state.card in ("charged", "refunded")
            assert state.standing.payment in ("charged", "refunded")
            assert state.standing.reservation in ("reserved", "released")


def test_what_has_ended_is_as_it_should_be() -> None:
    ended = [state for state in explore() if state.is_quiet and order_of(state).is_finished]
    for state in ended:
        status, noted_payment, noted_stock, payment, reservation = state.standing
        confirmed = status == "confirmed"
        assert confirmed == (state.card == "charged")
        assert confirmed == ((payment, reservation) == ("charged", "reserved"))
        assert noted_payment == (None if payment == "voided" else payment)
        assert noted_stock == (None if reservation == "voided" else reservation)
    assert {state.standing.status for state in ended} == {"confirmed", "cancelled"}


def test_every_state_comes_to_an_end_in_whatever_order_its_events_are_delivered() -> None:
    """Without further faults no state comes again, so nobody answers for ever; the last are ended.

    So from every state there is a way to an end, and whoever delivers everything takes it.
    """
    states = explore()
    comes_from = Counter(after for afters in states.values() for after in set(afters))
    left = [state for state in states if not comes_from[state]]
    done = 0
    while left:
        state = left.pop()
        done += 1
        if not states[state]:
            assert order_of(state).is_finished, state
            assert state.is_quiet, state
        for after in set(states[state]):
            comes_from[after] -= 1
            if not comes_from[after]:
                left.append(after)
    assert done == len(states), "some states come again"


def test_the_exploration_begins_at_the_beginning() -> None:
    assert State() in explore()
    assert len(explore()) > 50_000


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
def test_model_and_code_reach_the_same(tmp_path: Path) -> None:
    modelled = verify(tmp_path, SCOPES["no fault"]).standings
    real = {
        (standing.status or "unknown", *(part or "none" for part in standing[1:]))
        for standing in {state.standing for state in explore()}
    }
    assert modelled - real == set(), "only in the model"
    assert real - modelled == set(), "only in the code"
