"""Dollars per million orders: what was counted, times what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bench.processes import ROOT
from bench.setting import FLOOR, ON_THE_WAY, OURS, VERSIONS
from orderctl.deploying import Template
from orderctl.pipeline.capacity.bill import MILLION, Bill, Fill, prices, total
from orderctl.pipeline.capacity.demand import Load
from orderctl.pipeline.capacity.fixed import (
    is_reported,
    memory_sizes,
    provisioned_rate,
    watching_month,
)

_DUPLICATES: Final = (0.0, 0.01, 0.1)
_FILLS: Final = (1, 2, 5, 10, 100)
_FILLED: Final = (1, 10)
_LOADS: Final = (1, 10, 100)
_LOAD: Final = 100
"""Orders a second, where something else is varied."""
_HIGH_LOAD: Final = 10_000
_SET: Final = ROOT / "delivery" / "10000-orders-a-second.json"
"""The parameters for a high load; with those by default it does not get through."""


def measure(warm: Mapping[str, Any]) -> dict[str, Any]:
    """The bills: at some rates, and how they grow."""
    table, template = prices(), Template.load()
    resources = template.resources()
    bill = Bill(
        ON_THE_WAY,
        warm,
        table,
        memory_sizes(resources),
        watching_month(table, resources),
        reported=is_reported(template.defaults()),
    )
    fills = {int(rate): fill for rate, fill in table["batch_fill"].items()}
    high = Load(_HIGH_LOAD, {**template.defaults(), **json.loads(_SET.read_text())})
    full = {function.name: high.fill(function) for function in ON_THE_WAY}
    steady = replace(bill, provisioned_rate=provisioned_rate(high.parameters))
    return {
        "prices_as_of": table["as_of"],
        "memory_megabytes": dict(bill.memory),
        "by_rate": {
            **{rate: _bills(bill, rate, fill) for rate, fill in fills.items()},
            _HIGH_LOAD: _bills(steady, _HIGH_LOAD, full),
        },
        "by_billing": {
            name: {v: total(each) for v, each in _bills(of, _HIGH_LOAD, full).items()}
            for name, of in (("by the request", bill), ("as provisioned", steady))
        },
        "by_load": {
            load: {v: bill.per_month(v, rate=load, fill=_fill(fills, load)) for v in VERSIONS}
            for load in _LOADS
        },
        "by_fill": {
            fill: {
                **{v: total(bill.per_million(v, rate=_LOAD, fill=fill)) for v in VERSIONS},
                FLOOR: total(bill.floor(rate=_LOAD, fill=fill)),
            }
            for fill in _FILLS
        },
        "by_duplicates": {
            share: {
                v: total(bill.per_million(v, rate=_LOAD, fill=1, duplicates=share))
                for v in VERSIONS
            }
            for share in _DUPLICATES
        },
        "by_memory": memory_table(bill),
        "peak_megabytes": {
            name: max(c["first"]["peak_megabytes"] for c in measured[OURS]["counts"].values())
            for name, measured in warm.items()
        },
    }


def _bills(bill: Bill, rate: float, fill: Fill) -> dict[str, dict[str, float]]:
    """Those of each version, and the floor."""
    return {
        **{version: bill.per_million(version, rate=rate, fill=fill) for version in VERSIONS},
        FLOOR: bill.floor(rate=rate, fill=fill),
    }


def _fill(fills: Mapping[int, float], load: float) -> float:
    """The batch fill at the highest rate in the table that a load reaches."""
    return next(fill for rate, fill in sorted(fills.items(), reverse=True) if rate <= load)


def memory_table(bill: Bill) -> dict[str, Any]:
    """Duration and price of an invocation of ours at each memory size, by function."""
    priced = bill.prices["lambda"]
    found: dict[str, Any] = {}
    for function in ON_THE_WAY:
        rows = found.setdefault(function.name, {})
        for fill in _FILLED if function.in_batches else _FILLED[:1]:
            for memory in (128, 192, 256, 512, 1024, 1769):
                milliseconds = bill.duration_ms(function, OURS, fill, memory)
                cost = milliseconds / 1000 * memory / 1024 * priced["gigabyte_second"]
                rows.setdefault(memory, {})[fill] = {
                    "milliseconds": round(milliseconds, 1),
                    "dollars_per_million": round((cost + priced["request"]) * MILLION, 3),
                }
    return found
