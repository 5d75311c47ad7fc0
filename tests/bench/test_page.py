"""The page about costs tells what was recorded."""

from __future__ import annotations

import json

from bench import page
from bench.processes import ROOT

RECORDED = json.loads((ROOT / "bench" / "results" / "bench.json").read_text())


def test_has_the_tables_of_the_recorded_run() -> None:
    text = page.PAGE.read_text()
    assert page.filled(text, RECORDED) == text


def test_another_run_makes_another_page() -> None:
    text = page.PAGE.read_text()
    other = json.loads(json.dumps(RECORDED))
    other["costs"]["by_rate"]["1"]["ours"]["DynamoDB"] += 1
    assert page.filled(text, other) != text


def test_the_floor_is_below_what_is_paid() -> None:
    for bills in RECORDED["costs"]["by_rate"].values():
        ours, floor = bills["ours"], bills["floor"]
        assert floor["DynamoDB"] == 4 * 0.625, "one unit each: order-api, payments, stock, tracker"
        assert floor["EventBridge"] == 4.0
        # Lambda's own lines, which we have switched off, are in the floor.
        assert all(floor[name] <= ours[name] for name in floor.keys() - {"CloudWatch Logs"})
