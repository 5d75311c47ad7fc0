"""Capacity is a calculation: each figure here was worked out by hand, from round numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orderctl.deploying import Template
from orderctl.errors import OrderctlError
from orderctl.pipeline.capacity import (
    Bill,
    Demand,
    Load,
    Part,
    account_quotas,
    highest_rates,
    load_counted,
    load_quotas,
    parts,
    prices,
)
from orderctl.pipeline.capacity.counted import Function, save_counted
from orderctl.pipeline.capacity.demand import first_to_give
from orderctl.pipeline.capacity.fixed import memory_sizes
from orderctl.terminal.options import parse_parameters
from support.command_line import run_here

ROOT = Path(__file__).parents[4]
SET = f"@{ROOT / 'delivery' / '1000-orders-a-second.json'}"
PARAMETERS = Template.load().defaults()
FUNCTIONS = (
    Function("order-api", 1, in_batches=False),
    Function("payments-processor", 1, in_batches=True),
    Function("inventory-processor", 1, in_batches=True),
    Function("order-tracker", 2, in_batches=True),
    Function("notifications", 2, in_batches=False),
)
# A vCPU each: what an execution takes is its CPU time and 5 ms for each call.
MEMORY = dict.fromkeys((function.name for function in FUNCTIONS), 1769)


def counts(batch: int, taken: int, calls: dict[str, float], **more: object) -> dict[str, Any]:
    """What an order takes of a function whose batches are of a size."""
    each = {"write_units": {}, "read_units": {}, "events": 1.0, "logged_bytes": 100.0}
    return {
        "first": {
            "invocations": taken / batch,
            "calls": calls,
            "logged_lines": 1.0,
            **each,
            **more,
        }
    }


def measured(of: dict[int, dict[str, Any]], cpu_ms: float = 1.0) -> dict[str, Any]:
    timed = [{"batch": batch, "latency_ms": 0, "cpu_ms": {"median": cpu_ms}} for batch in of]
    return {"ours": {"counts": of, "per_order": timed}}


def consumer(events: int, write_units: dict[str, float]) -> dict[str, Any]:
    """One that reads, writes and publishes once a batch; a hundred take 1, 4 and 10 calls."""
    return measured(
        {
            batch: counts(
                batch,
                events,
                {
                    "BatchGetItem": events / batch,
                    "BatchExecuteStatement": events * ceil(batch / 25) / batch,
                    "PutEvents": ceil(batch / 10) / batch,
                },
                write_units=write_units,
                read_units={"orders": float(events)},
            )
            for batch in (1, 10, 100)
        }
    )


WARM = {
    "order-api": measured(
        {1: counts(1, 1, {"PutItem": 1.0, "PutEvents": 1.0}, write_units={"orders": 2.0})}
    ),
    "payments-processor": consumer(1, {"payments": 1.0}),
    "inventory-processor": consumer(1, {"stock": 4.0}),
    "order-tracker": consumer(2, {"orders": 2.0, "orders (index unfinished)": 2.0}),
    "notifications": measured({1: counts(1, 2, {"Publish": 3.0, "GetItem": 2.0}, events=0.0)}),
}
BILL = Bill(FUNCTIONS, WARM, prices(), MEMORY, 10.0)


def found(rate: float, **load: Any) -> dict[str, Part]:  # noqa: ANN401
    """The parts by name, in eu-central-1."""
    parameters = {**PARAMETERS, **load.pop("parameters", {})}
    quotas = load_quotas("eu-central-1")
    return {part.name: part for part in parts(BILL, quotas, Load(rate, parameters, **load))}


def test_a_batch_holds_what_comes_while_a_poller_collects() -> None:
    windowed = {**PARAMETERS, "BatchSize": "100", "BatchingWindowSeconds": "1"}
    payments, tracker = FUNCTIONS[1], FUNCTIONS[3]
    assert Load(50, windowed).fill(tracker) == 20  # 50 x 2 x 1 s / 5 pollers
    assert Load(1_000, windowed).fill(tracker) == 100  # full
    assert Load(1_000, windowed).fill(payments) == 10  # its own BatchSize
    assert Load(100, PARAMETERS).fill(payments) == 1  # 100 x 0.05 s / 5
    assert Load(500, PARAMETERS).fill(payments) == 5
    assert Load(500, PARAMETERS).fill(FUNCTIONS[0]) == 1


def test_each_part_is_asked_for_what_an_order_takes_times_the_rate() -> None:
    # At 1,000 orders a second the batches of the defaults are full: 10 messages.
    of = found(1_000)
    demands = {
        "API: a method": (1_000, 100),
        "API: the account": (1_000, 10_000),
        "Lambda: calls of order-api": (1_000, 10_000),
        # 1 from order-api, 0.1 from each consumer
        "EventBridge: PutEvents": (1_300, 2_400),
        # 1 + 1 + 2 messages on queues, and 2 events for notifications
        "EventBridge: deliveries": (6_000, 4_500),
        "SNS: order-updates.fifo": (3_000, 3_000),
        "SQS: order-updates.fifo": (2_000, 19_000),
        "DynamoDB: orders": (4_000, 40_000),
        "DynamoDB: payments": (1_000, 40_000),
        "DynamoDB: orders, reads": (4_000, 40_000),
        "DynamoDB: a key of orders (index unfinished)": (250, 1_000),  # 2 x 1,000 / 8
        "CloudWatch Logs": (1_000 * (1 + 0.1 + 0.1 + 0.2 + 2), 5_000),
    }
    for name, (demand, limit) in demands.items():
        assert of[name].demand == pytest.approx(demand), name
        assert of[name].limit == limit, name


def test_executions_are_what_comes_times_how_long_it_takes() -> None:
    of = found(1_000, charge_ms=100)
    # order-api: 1 ms of CPU and two calls of 5 ms, 1,000 times a second: 11
    # payments: 100 batches a second, of 10 orders: 10 x 1 ms, 3 calls, 10 charges of 100 ms: 102.5
    # inventory: the same without charges: 2.5
    # tracker: 200 batches a second: 5 ms of CPU each, 2 reads and writes a batch, a half PutEvents
    assert of["consumer: payments-processor"].demand == pytest.approx(100 * (10 + 15 + 1_000) / 1e3)
    assert of["consumer: inventory-processor"].demand == pytest.approx(2.5)
    assert of["consumer: order-tracker"].demand == pytest.approx(200 * (5 + 2.5 * 5) / 1e3)
    # notifications: 2,000 a second, each 0.5 ms of CPU and 2.5 calls: 26
    assert of["Lambda: executions"].demand == pytest.approx(11 + 102.5 + 2.5 + 3.5 + 26)
    assert of["consumer: payments-processor"].needs == 103
    # In flight: 1,000 a second, collected for 0.05 s and charged for 1.025 s
    assert of["queue of payments-processor"].demand == pytest.approx(1_075)


def test_pollers_take_the_place_of_the_limit() -> None:
    pollers = {"ConsumerMinimumPollers": "2", "ConsumerMaximumPollers": "4"}
    of = found(1_000, charge_ms=100, parameters=pollers)
    part = of["consumer: payments-processor"]
    assert (part.limited_by, part.limit, part.needs) == ("ConsumerMaximumPollers", 40, 11)
    assert "consumer: payments-processor, at most" not in of


def test_a_full_batch_must_be_done_in_time_whatever_the_rate() -> None:
    large = {"PaymentsBatchSize": "100", "BatchingWindowSeconds": "1"}
    part = found(1, charge_ms=99.0, parameters=large)["a full batch of payments-processor"]
    # 100 x (1 ms of CPU, 15 calls of 5 ms for a hundred, and 99 ms of charging); 10 - 3 s are left
    assert part.demand == pytest.approx(100 * (1 + 0.75 + 99) / 1e3)
    assert (part.limit, part.needs) == (7, 14)
    assert part.share > 1


def test_the_busiest_sku_is_written_once_a_batch_and_spread_over_its_shelves() -> None:
    of = found(1_000, sku_share=1.0, shelves=4)
    # 100 batches a second, all with the SKU, over 4 shelves: 25 transactions of 2 units and 30 ms
    assert of["stock: an item of the busiest SKU"].demand == pytest.approx(50)
    assert of["stock: an item of the busiest SKU, held"].demand == pytest.approx(0.75)
    half = found(1_000, sku_share=0.5)["stock: an item of the busiest SKU, held"]
    assert half.demand == pytest.approx(100 * (1 - 0.5**10) * 0.03)
    assert half.needs == 3


def test_warm_throughput_and_keys_are_raised_by_parameters() -> None:
    of = found(4_000)
    assert of["DynamoDB: the busiest table, at once"].share == 4  # 16,000 of 4,000
    assert of["DynamoDB: the busiest table, at once"].kind == "advice"
    warm = found(4_000, parameters={"WarmWriteUnits": "20000", "UnfinishedOrderKeys": "16"})
    assert warm["DynamoDB: the busiest table, at once"].share == 0.8
    assert warm["DynamoDB: a key of orders (index unfinished)"].demand == 500


def test_what_gives_first_and_the_highest_rates() -> None:
    quotas = load_quotas("eu-central-1")

    def parts_at(rate: float) -> list[Part]:
        return parts(BILL, quotas, Load(rate, PARAMETERS))

    assert first_to_give(parts_at(1_000)).name == "API: a method"
    highest = {name: (round(r), p.name) for name, (r, p) in highest_rates(parts_at).items()}
    assert highest == {
        "parameters": (100, "API: a method"),
        "quotas": (750, "EventBridge: deliveries"),  # 4,500 / 6
        "fixed": (9_500, "SQS: order-updates.fifo"),  # 19,000 / 2
    }


def test_the_bill_of_an_order_is_the_sum_of_what_it_takes() -> None:
    table = prices()
    demand = Demand(BILL, load_quotas("us-east-1"), Load(1_000, PARAMETERS))
    bill = demand.dollars_a_million()
    assert bill["EventBridge"] == 4  # four events
    assert bill["API Gateway"] == 3.5
    units = 2 + 1 + 4 + 4, 4  # written, and read
    assert bill["DynamoDB"] == pytest.approx(units[0] * 0.625 + units[1] * 0.125)
    assert demand.dollars_a_month() == pytest.approx(
        sum(bill.values()) * 1_000 * table["assumptions"]["seconds_per_month"] / 1e6, rel=1e-6
    )
    # Each queue's messages are sent; ten are received, and deleted, at once, also of a hundred.
    for fill, requests in ((1, 3), (10, 1.2), (100, 1.2)):
        used = BILL.used(FUNCTIONS[1], "ours", fill)
        assert BILL.requests(FUNCTIONS[1], used) == pytest.approx(requests)


def test_between_the_sizes_counted_an_order_takes_its_share_of_an_invocation() -> None:
    used = BILL.used(FUNCTIONS[1], "ours", 20)
    assert used["invocations"] == pytest.approx(1 / 20)
    assert used["calls BatchGetItem"] == pytest.approx(1 / 20)


@pytest.mark.parametrize(
    ("region", "put", "fifo"),
    [("us-east-1", 10_000, 70_000), ("eu-central-1", 2_400, 19_000), ("mars-north-1", 400, 2_400)],
)
def test_quotas_differ_by_region(region: str, put: int, fifo: int) -> None:
    quotas = load_quotas(region)
    assert (quotas["events_put"].limit, quotas["sqs_fifo_calls"].limit) == (put, fifo)


def test_each_quota_has_its_page_and_the_table_is_dated() -> None:
    quotas = load_quotas("us-east-1")
    assert date.fromisoformat(quotas.as_of) <= datetime.now(UTC).date()
    for quota in quotas.by_key.values():
        assert quota.page.startswith("https://docs.aws.amazon.com/"), quota
        assert (quota.service is None) == (quota.code is None), quota


class NoSuchResourceException(Exception):  # noqa: N818 - as AWS names it
    """Service Quotas does not have it."""


def session(get: Callable[..., Any]) -> Any:  # noqa: ANN401 - as far as it is used
    client = SimpleNamespace(
        get_service_quota=get,
        exceptions=SimpleNamespace(NoSuchResourceException=NoSuchResourceException),
    )
    return SimpleNamespace(region_name="eu-central-1", client=lambda _service: client)


def test_an_account_has_quotas_of_its_own() -> None:
    def get(ServiceCode: str, QuotaCode: str) -> dict[str, Any]:  # noqa: N803
        if ServiceCode == "logs":
            raise NoSuchResourceException
        return {"Quota": {"Value": 12_345.0 if QuotaCode == "L-9B653E91" else 1.0}}

    quotas = account_quotas(session(get))
    assert quotas.of_account
    assert quotas["events_put"].limit == 12_345
    assert quotas["log_calls"].limit == 5_000
    assert quotas["sqs_fifo_calls"].limit == 19_000


def test_an_account_that_cannot_be_asked_is_an_error_that_says_what_to_do() -> None:
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

    def get(**_: str) -> None:
        raise NoCredentialsError

    with pytest.raises(OrderctlError, match="servicequotas:GetServiceQuota"):
        account_quotas(session(get))


def test_what_the_bench_has_counted_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "counted.json"
    save_counted("2026-11-29", FUNCTIONS, WARM, path)
    counted = load_counted(path)
    assert (counted.at, counted.functions) == ("2026-11-29", FUNCTIONS)
    read = Bill(counted.functions, counted.warm, prices(), MEMORY, 10.0)
    for function in FUNCTIONS:
        for fill in (1, 7, 50):
            assert read.used(function, "ours", fill) == BILL.used(function, "ours", fill)


def test_what_is_shipped_is_of_the_functions_that_the_template_has() -> None:
    counted = load_counted()
    assert counted.functions == FUNCTIONS
    assert counted.warm.keys() <= memory_sizes(Template.load().resources()).keys()


def test_the_set_for_1000_orders_a_second_leaves_only_quotas_to_raise() -> None:
    given = {**PARAMETERS, **parse_parameters((SET,))}
    counted = load_counted()
    memory = memory_sizes(Template.load().resources())
    bill = Bill(counted.functions, counted.warm, prices(), memory, 10.0)
    for region in ("us-east-1", "eu-central-1"):
        load = Load(1_000, given, charge_ms=300)
        passed = [part for part in parts(bill, load_quotas(region), load) if part.share > 1]
        assert {part.kind for part in passed} <= {"quota"}, passed


def test_provisioned_tables_are_paid_by_the_hour_whatever_the_load() -> None:
    steady = replace(BILL, provisioned_rate=1_000)
    writes, reads = (2 + 1 + 4) / 0.7 * 0.00065, 4 / 0.7 * 0.00013  # dollars an hour and order/s
    stock = 4 * 0.625  # by the request, as before
    for rate, share in ((1_000, 1.0), (500, 2.0), (100, 10.0)):
        bill = steady.per_million("ours", rate=rate, fill=10)
        hourly = (writes + reads) * share / 3_600 * 1e6
        assert bill["DynamoDB"] == pytest.approx(stock + hourly, rel=1e-4)
    least = steady.floor(rate=1_000, fill=10)["DynamoDB"]
    units = 1 + 1 + 1 + 1  # of order-api, payments, inventory and the tracker
    assert least == pytest.approx(units / 0.7 * 0.00065 / 3_600 * 1e6, rel=1e-3)


def test_provisioned_tables_are_asked_of_the_quota_and_bear_no_more() -> None:
    given = {"ProvisionedOrdersPerSecond": "10000"}
    of = found(7_000, parameters=given)
    assert of["DynamoDB: orders"].demand == pytest.approx(4 * 10_000 / 0.7)
    assert of["DynamoDB: payments"].demand == pytest.approx(10_000 / 0.7)
    assert of["DynamoDB: stock"].demand == 4 * 7_000
    # All tables, and indexes, of an account together; the stock is not among them.
    writes, reads = (of[f"DynamoDB: what is provisioned{each}"] for each in ("", ", reads"))
    assert writes.demand == pytest.approx(7 * 10_000 / 0.7)
    assert reads.demand == pytest.approx(4 * 10_000 / 0.7)
    assert writes.limit == reads.limit == 80_000
    assert found(7_000)["DynamoDB: what is provisioned"].demand == 0
    at_once = of["DynamoDB: the busiest table, at once"]
    assert (at_once.kind, at_once.limited_by) == ("parameter", "ProvisionedOrdersPerSecond")
    assert at_once.share == pytest.approx(0.49)  # 0.7 of 0.7
    over = found(20_000, parameters=given)["DynamoDB: the busiest table, at once"]
    assert over.share == pytest.approx(1.4)
    assert over.needs == 20_000


def test_the_stock_is_never_taken_for_the_busiest_provisioned_table() -> None:
    bill = replace(BILL, warm={**WARM, "inventory-processor": consumer(1, {"stock": 9.0})})
    quotas = load_quotas("eu-central-1")
    for rate, busiest in (("0", "stock"), ("1000", "orders")):
        load = Load(100, {**PARAMETERS, "ProvisionedOrdersPerSecond": rate})
        (part,) = (p for p in parts(bill, quotas, load) if p.name.endswith("at once"))
        assert part.how.startswith(f"{busiest}: ")


def test_the_command_takes_provisioned_tables_into_account() -> None:
    typed = ("capacity", "--rate", "1000", "--region", "eu-central-1", "--json", "--param")
    steady, asked = (
        json.loads(run_here(*typed, f"ProvisionedOrdersPerSecond={rate}").stdout)
        for rate in (1000, 0)
    )
    assert steady["dollars_a_million"]["DynamoDB"] < 0.6 * asked["dollars_a_million"]["DynamoDB"]


def test_an_index_of_ended_orders_is_a_write_unit_of_each_order() -> None:
    def told(*given: str) -> dict[str, Any]:
        typed = ("capacity", "--rate", "100", "--region", "eu-central-1", "--json", *given)
        answer: dict[str, Any] = json.loads(run_here(*typed).stdout)
        return answer

    without, with_it = told(), told("--param", "OrdersIndex=true")
    more = {p["name"]: p["demand"] for p in with_it["parts"]}
    less = {p["name"]: p["demand"] for p in without["parts"]}
    assert more["DynamoDB: orders (index ended)"] == 100
    assert more.keys() - less.keys() == {
        "DynamoDB: orders (index ended)",
        "DynamoDB: a key of orders (index ended)",
    }
    million = 100 * prices()["assumptions"]["seconds_per_month"] / 1_000_000
    unit = prices()["dynamodb"]["write_unit"] * 1_000_000
    extra = with_it["dollars_a_month"] - without["dollars_a_month"]
    assert extra == pytest.approx(million * unit, rel=0.01)


def test_the_command_shows_and_tells_the_same() -> None:
    typed = ("capacity", "--rate", "1000", "--region", "eu-central-1", "--find")
    shown = run_here(*typed)
    assert shown.status == 0, shown.stderr
    told = json.loads(run_here(*typed, "--json").stdout)
    assert told["first"] == "API: a method"
    assert "Gives first: API: a method, at 1000%" in shown.stdout
    assert "Set ApiRateLimit to 1000 or more" in shown.stdout
    for name, most in told["highest"].items():
        assert f"{most['rate']:,.0f}" in shown.stdout, name
    for part in told["parts"]:
        assert part["name"] in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("--rate", "0"), 2, "--rate"),
        (("--sku-share", "1.5"), 2, "--sku-share"),
        (("--profile", "x"), 2, "--account"),
        (("--param", "BatchSize=0"), 1, "BatchSize must be a whole number"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], status: int, why: str) -> None:
    result = run_here("capacity", *arguments)
    assert (result.status, result.stdout) == (status, "")
    assert why in result.stderr
