"""The bench measures what it says; no time is looked at, as this machine may be busy."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bench import cold, emulator, processes, warm
from bench.setting import BY_NAME, FUNCTIONS, OURS, Function, prepare
from bench.targets import targets
from bench.workload import STOCK
from orderctl.deploying import Template
from orderctl.pipeline.capacity import prices
from orderctl.pipeline.capacity.fixed import (
    count_resources,
    memory_sizes,
    watching_month,
)

RESOURCES = Template.load().resources()
PAYMENTS = BY_NAME["payments-processor"]
CONSUMERS = [function for function in BY_NAME.values() if function.in_batches]


def silent(_done: int, _of: int) -> None:
    pass


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> processes.Code:
    return processes.lay_out(tmp_path_factory.mktemp("code") / "code", versions=[OURS])


@pytest.fixture(scope="module")
def measured(code: processes.Code) -> dict[str, Any]:
    with emulator.start() as aws:
        prepare(aws.endpoint, STOCK)
        return warm.measure(code, aws, CONSUMERS, 1, silent, versions=[OURS])


@pytest.mark.long
@pytest.mark.parametrize("function", CONSUMERS, ids=lambda function: function.name)
def test_a_batch_takes_three_calls_at_most(measured: dict[str, Any], function: Function) -> None:
    counts = measured[function.name][OURS]["counts"]
    assert counts.keys() == {1, 10, 100}
    for batch, most in ((1, 3), (10, 3), (100, 15)):
        assert counts[batch]["first"]["calls_per_invocation"] <= most


@pytest.mark.long
def test_counts_what_an_order_takes(measured: dict[str, Any]) -> None:
    counted = measured[PAYMENTS.name][OURS]["counts"][10]["first"]
    assert counted["calls"] == {"BatchGetItem": 0.1, "BatchExecuteStatement": 0.1, "PutEvents": 0.1}
    assert counted["write_units"] == {"payments": 1.0}
    assert counted["read_units"] == {"payments": 1.0}
    assert counted["events"] == 1.0
    assert 1.0 < counted["logged_lines"] < 1.2
    assert counted["logged_bytes"] < 200


@pytest.mark.long
def test_a_repeated_event_writes_nothing(measured: dict[str, Any]) -> None:
    for name in measured:
        again = measured[name][OURS]["counts"][10]["again"]
        assert again["write_units"] == {}


@pytest.mark.long
def test_a_cold_start_is_measured_beside_the_floor(code: processes.Code) -> None:
    found = cold.measure(code, [PAYMENTS], 1, silent, versions=[OURS])[PAYMENTS.name]
    assert found[OURS]["cpu_ms"]["median"] > 0
    assert found["floor"]["cpu_ms"]["median"] > 0
    assert set(found["imports"]["added"]) <= {
        "making the clients",
        "orders",
        "msgspec",
        "standard library",
    }
    (target,) = targets({"cold": {PAYMENTS.name: found}})
    assert target.what == "cold start of payments-processor, CPU, of the floor"


@pytest.mark.long
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_function_starts(code: processes.Code, function: Function) -> None:
    cold.measure(code, [function], 1, silent, versions=[OURS])


def test_every_function_has_its_memory_in_the_template() -> None:
    assert memory_sizes(RESOURCES).keys() == BY_NAME.keys()


def test_the_prices_are_dated() -> None:
    assert date.fromisoformat(prices()["as_of"]) <= datetime.now(UTC).date()


def test_the_fixed_part_has_every_metric_alarm_and_dashboard() -> None:
    table = prices()
    kinds = Counter(resource["Type"] for resource in RESOURCES.values())
    for kind in ("AWS::Logs::MetricFilter", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"):
        assert count_resources(RESOURCES, kind) == kinds[kind] > 0
    free = {**table["cloudwatch"], "metric_month": 0, "alarm_month": 0}
    assert watching_month({**table, "cloudwatch": free}, RESOURCES) == free["dashboard_month"]
