from __future__ import annotations

import pytest

from orderctl.pipeline import tuning
from support.command_line import run_here

WARM = (
    "REPORT RequestId: 8286a188-ba32-4475-8077-530cd35c09a9\tDuration: 12.61 ms\t"
    "Billed Duration: 13 ms\tMemory Size: 256 MB\tMax Memory Used: 88 MB\t\n"
)
COLD = WARM.rstrip() + "\tInit Duration: 412.07 ms\t\nXRAY TraceId: 1-5e34a614\t\n"


def test_reads_what_lambda_reports() -> None:
    warm, cold = (tuning._REPORT.match(line) for line in (WARM, COLD))
    assert warm
    assert warm.groupdict() == {"duration": "12.61", "billed": "13", "used": "88", "init": None}
    assert cold
    assert cold["init"] == "412.07"


def test_takes_lambdas_prices_from_the_table_of_prices() -> None:
    prices = tuning.prices()
    assert 0 < prices["gigabyte_second"] < prices["gigabyte_second_x86_64"] < 0.001
    assert 0 < prices["request"] < 0.00001


@pytest.mark.parametrize("size", [127, 10_241])
def test_says_which_memory_sizes_there_are(size: int) -> None:
    ended = run_here("tune", "order-api", "--memory", str(size))
    assert (ended.status, "--memory" in ended.stderr) == (2, True)
    assert ("128" in ended.stderr) == (size < 128)
    assert ("10240" in ended.stderr) == (size > 10_240)


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
