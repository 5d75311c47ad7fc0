"""The page about costs tells what was recorded."""

from __future__ import annotations

import json

import pytest

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
    units = 4  # one each: order-api, payments, reservations, tracker
    provisioned = units / 0.7 * 0.00065 / 3_600 * 1e6
    for rate, bills in RECORDED["costs"]["by_rate"].items():
        ours, floor = bills["ours"], bills["floor"]
        assert floor["DynamoDB"] == pytest.approx(
            provisioned if rate == "10000" else units * 0.625, rel=1e-4
        )
        assert floor["EventBridge"] == 4.0
        # Lambda's own lines, which we have switched off, are in the floor.
        assert all(floor[name] <= ours[name] for name in floor.keys() - {"CloudWatch Logs"})


def test_both_ways_to_pay_for_tables_are_told_of_the_same_load() -> None:
    told = RECORDED["costs"]["by_billing"]
    high = RECORDED["costs"]["by_rate"]["10000"]
    for version, dollars in told["as provisioned"].items():
        assert dollars == pytest.approx(sum(high[version].values()), rel=1e-4)
        assert dollars < told["by the request"][version]
