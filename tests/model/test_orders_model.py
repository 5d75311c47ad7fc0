"""The model holds, and notices what is broken on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from model.spin import MISSING, MODEL, Scope, verify

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")


def test_what_is_asserted_holds_with_any_one_fault(tmp_path: Path) -> None:
    report = verify(tmp_path, Scope(faults=1))
    assert report.error is None
    assert report.states > 100_000


def test_every_order_ends(tmp_path: Path) -> None:
    assert verify(tmp_path, Scope(faults=1, bystanders=False, liveness=True)).error is None


class Sabotage(NamedTuple):
    text: str
    """What is in the model."""
    instead: str
    scope: Scope
    found: str
    """What is in the verifier's words for it."""


SABOTAGES = {
    "the processor charges whenever it is asked": Sabotage(
        ":: !refuses && answered == none ->", ":: !refuses ->", Scope(faults=1), "charges<=1"
    ),
    "a late answer overturns a cancel": Sabotage(
        ":: is == placed && is_payment == charged && is_stock == reserved ->",
        ":: is_payment == charged && is_stock == reserved ->",
        Scope(faults=0),
        "reservation==",
    ),
    "payments writes without looking whether somebody else did": Sabotage(
        ":: next == seen || payment == seen ->",
        ":: true ->",
        Scope(faults=0, payments=2),
        "payment==",
    ),
    "stock is taken that is not there": Sabotage(
        "seen == none && available > 0 ->", "seen == none ->", Scope(faults=0), "available>=0"
    ),
    "nobody looks after an order that was never published": Sabotage(
        ":: atomic { status != unknown && !FINISHED && QUIET && NOTHING_PARKED -> help() }",
        "",
        Scope(faults=1, liveness=True),
        "acceptance cycle",
    ),
    "payments and the tracker answer each other for ever": Sabotage(
        "(event == PLACED && next == declined -> DECLINED",
        "(next == declined -> DECLINED",
        Scope(faults=0, liveness=True),
        "acceptance cycle",
    ),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_what_is_broken_on_purpose_is_found(name: str, tmp_path: Path) -> None:
    sabotage = SABOTAGES[name]
    model = MODEL.read_text()
    assert model.count(sabotage.text) == 1
    broken = model.replace(sabotage.text, sabotage.instead)
    error = verify(tmp_path, sabotage.scope, broken).error
    assert error is not None
    assert sabotage.found in error
