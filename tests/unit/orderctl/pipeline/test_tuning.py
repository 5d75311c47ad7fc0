from __future__ import annotations

import pytest

from orderctl.pipeline import tuning
from support.command_line import run_here

WARM = (
    '{"time":"2026-11-24T03:13:20.000Z","type":"platform.report","record":{"requestId":"8286a188",'
    '"metrics":{"durationMs":12.61,"billedDurationMs":13,"memorySizeMB":256,"maxMemoryUsedMB":88},'
    '"status":"success"}}\n'
)
COLD = WARM.replace('":88', '":88,"initDurationMs":412.07')


def test_reads_what_lambda_reports() -> None:
    assert tuning.read_report(WARM) == tuning.Report(12.61, 13, 88)
    assert tuning.read_report(COLD) == tuning.Report(12.61, 13, 88, 412.07)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "REPORT RequestId: 8286a188\tDuration: 12.61 ms",
        WARM.replace("platform.report", "platform.start"),
        WARM.replace("13", '"13"'),
        '{"type":"platform.report","record":1}',
    ],
)
def test_any_other_line_is_no_report(line: str) -> None:
    assert tuning.read_report(line) is None


def test_takes_lambdas_prices_from_the_table_of_prices() -> None:
    prices = tuning.prices()
    assert 0 < prices["gigabyte_second"] < prices["gigabyte_second_x86_64"] < 0.001
    assert 0 < prices["request"] < 0.00001


@pytest.mark.parametrize("size", [127, 10_241])
def test_says_which_memory_sizes_there_are(size: int) -> None:
    ended = run_here("tune", "order-api", "--memory", str(size))
    assert (ended.status, "--memory" in ended.stderr) == (2, True)
    assert f"must be from 128 to 10,240, not {size}" in ended.stderr


@pytest.mark.parametrize(
    ("found", "ended"),
    [
        ({"a": {"status": "confirmed"}, "b": {"status": "cancelled"}}, True),
        ({"a": {"status": "confirmed"}, "b": {"status": "placed"}}, False),
        ({"a": {"status": "confirmed"}}, False),
        ({}, False),
    ],
)
def test_an_order_that_is_not_found_has_not_ended(
    found: dict[str, dict[str, str]], ended: bool
) -> None:
    assert tuning.all_ended(["a", "b"], found) == ended
