"""The one screen that shows how the pipeline is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from orderctl.commands.status import facts, screen
from orderctl.pipeline.health import Depth, Health, StepHealth
from orderctl.terminal import results
from orders.circuit_breaker.decisions import Circuit

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)

API = StepHealth(
    name="order-api",
    function="order-api",
    calls={"Invocations": 12, "Errors": 0, "Throttles": 0},
    counts={"placed": 11, "invalid": 1},
    queue=None,
    parked=None,
    state=None,
)
PAYMENTS = StepHealth(
    name="payments",
    function="payments-processor",
    calls={"Invocations": 9, "Errors": 1, "Throttles": 2},
    counts={},
    queue=Depth("payments", 3, 1, timedelta(seconds=75)),
    parked=Depth("payments-dlq", 2, 0, None),
    state="Disabled",
    circuit=Circuit(consumer="payments"),
)
SEEN = Health(
    at=NOW,
    window=timedelta(minutes=10),
    steps=(API, PAYMENTS),
    unfinished=4,
    oldest_unfinished=timedelta(minutes=7),
    alarms={"payments-dlq": "ALARM", "stuck-orders": "OK", "api-errors": "INSUFFICIENT_DATA"},
)


def test_a_step_is_a_line_and_what_is_wrong_stands_below() -> None:
    lines = [line.plain for line in screen("order-pipeline", SEEN)]
    assert lines[0].startswith("order-pipeline   2026-11-24 12:30:00 UTC")
    rows = [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in lines]
    assert rows[2] == [
        *("step", "waiting", "at work", "oldest", "parked", "calls", "errors", "done")
    ]
    assert rows[3] == ["order-api", "-", "-", "-", "-", "12", "0", "11 placed, 1 invalid"]
    assert rows[4] == ["payments", "3", "1", "1 min 15 s", "2", "9", "1 +2 throttled"]
    assert lines[6] == "orders   4 unfinished, the oldest for 7 min"
    assert lines[7] == "alarms   on: payments-dlq; 1 without data"
    assert lines[8].startswith("paused   payments (Disabled); to resume it: ")


def test_an_open_circuit_says_why_and_since_when() -> None:
    circuit = Circuit(consumer="payments", state="half-open", since=NOW, reason="16 of 20 failed")
    step = replace(PAYMENTS, circuit=circuit)
    lines = [line.plain for line in screen("order-pipeline", replace(SEEN, steps=(step,)))]
    assert (
        lines[-2] == "circuit  payments is half-open since 2026-11-24 12:30:00 UTC: 16 of 20 failed"
    )
    assert "by the circuit breaker" in lines[-1]
    held = replace(step, circuit=msgspec.structs.replace(circuit, on_hold=NOW))
    lines = [line.plain for line in screen("order-pipeline", replace(SEEN, steps=(held,)))]
    assert "to resume it: " in lines[-1]


def test_when_all_is_well_it_says_so() -> None:
    well = replace(SEEN, steps=(API,), unfinished=0, oldest_unfinished=None, alarms={"a": "OK"})
    lines = [line.plain for line in screen("order-pipeline", well)]
    assert lines[-2:] == ["orders   all finished", "alarms   none of 1 on"]


def test_an_age_that_cannot_be_read_is_not_taken_for_none() -> None:
    lines = [line.plain for line in screen("order-pipeline", replace(SEEN, oldest_unfinished=None))]
    assert "orders   4 unfinished, the oldest unreadable" in lines


def test_a_consumer_that_is_being_changed_is_not_paused() -> None:
    assert SEEN.paused == ["payments"]
    for state in ("Enabled", "Updating", "Enabling", "Creating"):
        assert not replace(PAYMENTS, state=state).is_paused


def test_a_script_gets_numbers() -> None:
    told = results.plain(facts(SEEN))
    assert told["steps"][1] == {
        "step": "payments",
        "function": "payments-processor",
        "invocations": 9,
        "errors": 1,
        "throttles": 2,
        "counts": {},
        "queue": {"name": "payments", "waiting": 3, "at_work": 1, "oldest_seconds": 75},
        "parked": {"name": "payments-dlq", "waiting": 2, "at_work": 0, "oldest_seconds": None},
        "event_source": "Disabled",
        "circuit": {"state": "closed", "since": None, "reason": None, "on_hold_since": None},
    }
    assert (told["unfinished_orders"], told["oldest_unfinished_seconds"]) == (4, 420)
    assert told["paused"] == ["payments"]
