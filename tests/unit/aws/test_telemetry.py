"""Log lines and metrics, as CloudWatch reads them."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from typing import Any

import pytest

from orders.aws import telemetry
from support.lambdas import Context


@pytest.fixture(autouse=True)
def in_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a function of this name."""
    monkeypatch.setattr(telemetry, "_service", "payments-processor")
    telemetry.begin(Context(aws_request_id="r1"))


def written(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_happened_is_a_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.info("charged", order_id="ä", attempt=None, tries=0)
    assert capsys.readouterr().out == (
        '{"level":"INFO","message":"charged","order_id":"ä","tries":0}\n'
    )


def test_what_failed_names_its_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.warning("charge failed", order_id="a")
    telemetry.begin(Context(aws_request_id="r2"))
    telemetry.error("order refused", reason=None)
    assert written(capsys) == [
        {"level": "WARNING", "message": "charge failed", "order_id": "a", "request_id": "r1"},
        {"level": "ERROR", "message": "order refused", "request_id": "r2"},
    ]


@pytest.mark.parametrize(
    ("least", "levels"),
    [
        ("DEBUG", ["INFO", "WARNING", "ERROR"]),
        ("INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
    ],
)
def test_what_is_below_the_level_is_not_logged(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    least: str,
    levels: list[str],
) -> None:
    monkeypatch.setattr(telemetry, "_threshold", telemetry._LEVELS.index(least))
    for log in (telemetry.info, telemetry.warning, telemetry.error):
        log("happened")
    assert [line["level"] for line in written(capsys)] == levels


def test_what_was_counted_is_one_metric_line(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.count(Charged=2, Declined=0, Failed=1)
    telemetry.count(Charged=0)
    assert capsys.readouterr().out == '{"metrics":"payments-processor","Charged":2,"Failed":1}\n'


def test_a_level_of_zero_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.gauge(StuckOrders=0)
    assert written(capsys) == [{"metrics": "payments-processor", "StuckOrders": 0}]


def test_metrics_are_reported_at_every_level(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(telemetry, "_threshold", telemetry._LEVELS.index("ERROR"))
    telemetry.count(Charged=1)
    assert written(capsys) == [{"metrics": "payments-processor", "Charged": 1}]


def test_a_line_is_out_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the function then."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(out)))
    telemetry.info("charged")
    assert out.getvalue() == b'{"level":"INFO","message":"charged"}\n'


@pytest.mark.parametrize(("name", "service"), [("tracker", "tracker"), (None, "orders")])
def test_a_metric_is_of_the_function_that_reports_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str | None,
    service: str,
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    if name:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", name)
    spec: Any = telemetry.__spec__
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loaded.gauge(StuckOrders=0)
    (metric_line,) = written(capsys)
    assert metric_line["metrics"] == service
