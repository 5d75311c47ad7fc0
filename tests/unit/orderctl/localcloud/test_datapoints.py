"""What is counted often is few datapoints, and the sums are the same."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import cloudwatch

from orderctl.localcloud.gaps.cloudwatch import datapoints


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves on."""
    now = [1_000.0]
    monkeypatch.setattr("orderctl.localcloud.gaps.cloudwatch.datapoints.time.time", lambda: now[0])
    monkeypatch.setattr(cloudwatch, "_metrics", {})
    return now


def points(name: str = "Errors", **dimensions: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloudwatch._metric_bucket(
        ("AWS/Lambda", name, cloudwatch._dims_key(dimensions))
    )
    return found


def test_equal_values_at_once_are_one_datapoint_with_a_count(clock: list[float]) -> None:
    for clock[0] in (1_000.0, 1_000.125, 1_000.25, 1_000.5):
        datapoints.record("AWS/Lambda", "Errors", 1, "Count", {"FunctionName": "a"})
    kept = points(FunctionName="a")
    assert [(point["Timestamp"], point.get("Count")) for point in kept] == [
        (1_000, 3),
        (1_000.5, None),
    ]
    stats = cloudwatch._calc_stats(kept)
    assert (stats["Sum"], stats["SampleCount"], stats["Maximum"]) == (4, 4, 1)


def test_what_differs_is_kept_apart(clock: list[float]) -> None:
    datapoints.record("AWS/Lambda", "Duration", 5.0, "Milliseconds")
    datapoints.record("AWS/Lambda", "Duration", 7.0, "Milliseconds")
    datapoints.record("AWS/Lambda", "Duration", 7.0, "Seconds")
    assert [point["Value"] for point in points("Duration")] == [5, 7, 7]
    datapoints.record("AWS/Lambda", "Errors", 1, "Count", {"FunctionName": "a"})
    datapoints.record("AWS/Lambda", "Errors", 1, "Count", {"FunctionName": "b"})
    assert len(points(FunctionName="a")) == len(points(FunctionName="b")) == 1


def test_a_statistic_set_is_not_added_to(clock: list[float]) -> None:
    points().append(
        {
            "Timestamp": clock[0],
            "Value": 1.0,
            "Unit": "Count",
            "Dimensions": {},
            "_stat": {"Sum": 9},
        }
    )
    datapoints.record("AWS/Lambda", "Errors", 1, "Count")
    assert len(points()) == 2
