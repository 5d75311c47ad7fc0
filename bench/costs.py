"""Dollars per million orders: what was counted, times what it costs."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.setting import FLOOR, ON_THE_WAY, OURS, VERSIONS, Function
from bench.warm import BATCHES
from orderctl.deploying import Template

PRICES: Final = Path(__file__).with_name("prices.toml")
MILLION: Final = 1_000_000
_GIGABYTE: Final = 10**9
_DUPLICATES: Final = (0.0, 0.01, 0.1)
_FILLS: Final = (1, 2, 5, 10)
_LOADS: Final = (1, 10, 100)
_LOAD: Final = 100
"""Orders a second, where something else is varied."""


def prices() -> dict[str, Any]:
    """The price table and the assumptions beside it."""
    return tomllib.loads(PRICES.read_text())


def memory_sizes() -> dict[str, int]:
    """The memory of each function in MB, as the template sets it, by the function's name."""
    functions = [
        resource["Properties"]
        for resource in Template.load().resources().values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    names = [function["FunctionName"]["Fn::Sub"] for function in functions]
    return {
        name.removeprefix("${NamePrefix}"): int(function["MemorySize"])
        for name, function in zip(names, functions, strict=True)
    }


def count_resources(kind: str) -> int:
    """How many resources of a type, such as AWS::CloudWatch::Alarm, the template has."""
    return sum(resource["Type"] == kind for resource in Template.load().resources().values())


def count_metrics() -> int:
    """How many custom metrics there are: the dashboard shows each that a function publishes."""
    names = set()
    for resource in Template.load().resources().values():
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            body = re.sub(r"\$\{.+?\}", "1", resource["Properties"]["DashboardBody"]["Fn::Sub"])
            for widget in json.loads(body)["widgets"]:
                names |= _custom(widget["properties"].get("metrics", []))
    return len(names)


def _custom(lines: Sequence[Sequence[Any]]) -> set[str]:
    """The custom metrics that a widget shows; a ``.`` is the namespace of the line before."""
    names, namespace = set(), ""
    for first, name, *_ in lines:
        namespace = namespace if first in (".", "...") else first
        if namespace == "OrderPipeline" and first != "...":
            names.add(name)
    return names


def is_reported() -> bool:
    """Whether Lambda itself logs each invocation, as the template has it by default."""
    return bool(Template.load().parameters["SystemLogLevel"]["Default"] == "INFO")


def watching_month(table: Mapping[str, Any]) -> float:
    """Dollars a month for custom metrics, alarms and dashboards, whatever the load."""
    priced = table["cloudwatch"]
    return float(
        count_metrics() * priced["metric_month"]
        + count_resources("AWS::CloudWatch::Alarm") * priced["alarm_month"]
        + count_resources("AWS::CloudWatch::Dashboard") * priced["dashboard_month"]
    )


@dataclass(frozen=True, slots=True)
class Bill:
    """What orders cost, from what the bench has counted and timed."""

    warm: Mapping[str, Any]
    prices: Mapping[str, Any]
    memory: Mapping[str, int]
    watching_month: float
    """Dollars a month for metrics, alarms and dashboards."""
    reported: bool
    """Whether Lambda logs the start and the report of each of our invocations."""

    def per_million(
        self, version: str, *, rate: float, fill: float, duplicates: float = 0.0
    ) -> dict[str, float]:
        """Dollars per million orders, by service.

        Args:
            version: ours or the textbook's.
            rate: orders a second.
            fill: how many messages a batch holds, 1 to 10.
            duplicates: the share of events that come once more.
        """
        bill: dict[str, float] = {}
        for function in ON_THE_WAY:
            for name, share in (("first", 1.0), ("again", duplicates)):
                if share:
                    used = self._used(function, version, name, fill)
                    for service, dollars in self._dollars(function, used).items():
                        bill[service] = bill.get(service, 0.0) + dollars * share
        bill["API Gateway"] = self.prices["api_gateway"]["request"]
        bill["SQS"] += self._idle(rate)
        month = rate * self.prices["assumptions"]["seconds_per_month"]
        bill["CloudWatch metrics, alarms and dashboard"] = self.watching_month / month
        return {service: round(dollars * MILLION, 4) for service, dollars in bill.items()}

    def floor(self, *, rate: float, fill: float) -> dict[str, float]:
        """Dollars per million orders that the flow costs at the least, by service.

        That is one write unit for an order in each function that has a table, one event for each
        fact, one update for each status, and no log lines but Lambda's own. Nothing is read, and a
        function does nothing but wait for its calls. Without metrics, alarms and dashboards.
        """
        bill: dict[str, float] = {}
        for function in ON_THE_WAY:
            used = self._least(function, fill)
            for service, dollars in self._dollars(function, used).items():
                bill[service] = bill.get(service, 0.0) + dollars
        bill["API Gateway"] = self.prices["api_gateway"]["request"]
        bill["SQS"] += self._idle(rate)
        return {service: round(dollars * MILLION, 4) for service, dollars in bill.items()}

    def _least(self, function: Function, fill: float) -> dict[str, float]:
        """What an order uses of a function at the least."""
        ours = self._used(function, OURS, "first", fill)
        writes, events = (min(ours[key], 1.0) for key in ("write_units", "events"))
        calls = (writes + events) / (fill if function.in_batches else 1)
        return {
            **dict.fromkeys(ours, 0.0),
            "invocations": ours["invocations"],
            "reports": ours["invocations"],
            "write_units": writes,
            "events": events,
            "published": ours["delivered"],
            "delivered": ours["delivered"],
            "calls": calls + ours["delivered"],
        }

    def per_month(self, version: str, *, rate: float, fill: float) -> float:
        """Dollars a month at a constant rate of orders per second."""
        millions = rate * self.prices["assumptions"]["seconds_per_month"] / MILLION
        return round(_total(self.per_million(version, rate=rate, fill=fill)) * float(millions), 2)

    def duration_ms(self, function: Function, version: str, fill: float, memory: int) -> float:
        """How long an invocation takes at a memory size, as far as it is CPU and waiting."""
        assumed = self.prices["assumptions"]
        used = self._used(function, version, "first", fill)
        share = min(memory / assumed["full_cpu_megabytes"], 1.0)
        cpu = used["cpu_ms"] / used["invocations"] * assumed["cpu_scale"]
        waiting = used["calls"] / used["invocations"] * assumed["aws_call_ms"]
        return float(cpu / share + waiting)

    def _used(self, function: Function, version: str, name: str, fill: float) -> dict[str, float]:
        """What an order uses at a batch fill: between what was counted at 1 and at 10.

        What an invocation costs grows by the same with each message, so an order's share is
        a + b / fill.
        """
        measured = self.warm[function.name][version]
        at = {batch: _numbers(measured, name, batch) for batch in measured["counts"]}
        for numbers in at.values():
            is_reported = self.reported or version != OURS
            numbers["reports"] = numbers["invocations"] * is_reported
        one = at[BATCHES[0]]
        if not function.in_batches:
            return one
        ten = at[BATCHES[1]]
        weight = (1 / fill - 1 / BATCHES[1]) / (1 - 1 / BATCHES[1])
        return {key: ten[key] + (one[key] - ten[key]) * weight for key in one}

    def _dollars(self, function: Function, used: Mapping[str, float]) -> dict[str, float]:
        priced, assumed = self.prices, self.prices["assumptions"]
        memory = self.memory[function.name]
        seconds = self._seconds(used, memory)
        logged = (
            used["logged_bytes"]
            + used["logged_lines"] * assumed["log_line_overhead_bytes"]
            + used["reports"]
            * (
                assumed["platform_log_bytes"]
                + assumed["platform_log_lines"] * assumed["log_line_overhead_bytes"]
            )
        )
        published, delivered = used["published"], used["delivered"]
        gigabyte = assumed["update_bytes"] / _GIGABYTE
        sns = priced["sns"]
        bill = {
            "Lambda": used["invocations"] * priced["lambda"]["request"]
            + seconds * memory / 1024 * priced["lambda"]["gigabyte_second"],
            "EventBridge": used["events"] * priced["eventbridge"]["event"],
            "SQS": delivered * priced["sqs"]["fifo_request"],
            "DynamoDB": used["write_units"] * priced["dynamodb"]["write_unit"]
            + used["read_units"] * priced["dynamodb"]["read_unit"],
            "SNS": published * (sns["fifo_publish"] + gigabyte * sns["fifo_publish_gigabyte"])
            + delivered * (sns["fifo_delivery"] + gigabyte * sns["fifo_delivery_gigabyte"]),
            "CloudWatch Logs": logged / _GIGABYTE * priced["cloudwatch"]["log_gigabyte"],
        }
        if function.in_batches:
            bill["SQS"] += self.requests(function, used) * priced["sqs"]["standard_request"]
        return bill

    def requests(self, function: Function, used: Mapping[str, float]) -> float:
        """SQS requests of an order: EventBridge sends each message, Lambda receives and deletes."""
        return function.events_of_an_order + 2 * used["invocations"]

    def _seconds(self, used: Mapping[str, float], memory: int) -> float:
        assumed = self.prices["assumptions"]
        share = min(memory / assumed["full_cpu_megabytes"], 1.0)
        cpu = used["cpu_ms"] * assumed["cpu_scale"] / share
        return float((cpu + used["calls"] * assumed["aws_call_ms"]) / 1000)

    def _idle(self, rate: float) -> float:
        """Lambda asks empty queues, too: the less there is to do the more an order pays for it."""
        queues = sum(function.in_batches for function in ON_THE_WAY)
        receives = queues * self.prices["assumptions"]["idle_receives_per_second"]
        return float(receives / rate * self.prices["sqs"]["standard_request"])


def _numbers(measured: Mapping[str, Any], name: str, batch: int) -> dict[str, float]:
    counted = measured["counts"][batch][name]
    timed = next(t for t in measured["per_order"] if (t["batch"], t["latency_ms"]) == (batch, 0))
    published = counted["calls"].get("Publish", 0.0)
    return {
        "invocations": counted["invocations"],
        "calls": sum(counted["calls"].values()),
        "published": published,
        # The topic drops what it has had: it hands each update on once.
        "delivered": min(published, counted["invocations"]) if name == "first" else 0.0,
        "write_units": sum(counted["write_units"].values()),
        "read_units": sum(counted["read_units"].values()),
        "events": counted["events"],
        "logged_bytes": counted["logged_bytes"],
        "logged_lines": counted["logged_lines"],
        "cpu_ms": timed["cpu_ms"]["median"],
    }


def measure(warm: Mapping[str, Any]) -> dict[str, Any]:
    """The bills: at some rates, and how they grow."""
    table = prices()
    bill = Bill(warm, table, memory_sizes(), watching_month(table), is_reported())
    fills = {int(rate): fill for rate, fill in table["batch_fill"].items()}
    return {
        "prices_as_of": table["as_of"],
        "memory_megabytes": dict(bill.memory),
        "by_rate": {
            rate: {
                **{v: bill.per_million(v, rate=rate, fill=fill) for v in VERSIONS},
                FLOOR: bill.floor(rate=rate, fill=fill),
            }
            for rate, fill in fills.items()
        },
        "by_load": {
            load: {v: bill.per_month(v, rate=load, fill=_fill(fills, load)) for v in VERSIONS}
            for load in _LOADS
        },
        "by_fill": {
            fill: {
                **{v: _total(bill.per_million(v, rate=_LOAD, fill=fill)) for v in VERSIONS},
                FLOOR: _total(bill.floor(rate=_LOAD, fill=fill)),
            }
            for fill in _FILLS
        },
        "by_duplicates": {
            share: {
                v: _total(bill.per_million(v, rate=_LOAD, fill=1, duplicates=share))
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


def _fill(fills: Mapping[int, float], load: float) -> float:
    """The batch fill at the highest rate in the table that a load reaches."""
    return next(fill for rate, fill in sorted(fills.items(), reverse=True) if rate <= load)


def memory_table(bill: Bill) -> dict[str, Any]:
    """Duration and price of an invocation of ours at each memory size, by function."""
    priced = bill.prices["lambda"]
    found: dict[str, Any] = {}
    for function in ON_THE_WAY:
        rows = found.setdefault(function.name, {})
        for fill in BATCHES if function.in_batches else BATCHES[:1]:
            for memory in (128, 192, 256, 512, 1024, 1769):
                milliseconds = bill.duration_ms(function, OURS, fill, memory)
                cost = milliseconds / 1000 * memory / 1024 * priced["gigabyte_second"]
                rows.setdefault(memory, {})[fill] = {
                    "milliseconds": round(milliseconds, 1),
                    "dollars_per_million": round((cost + priced["request"]) * MILLION, 3),
                }
    return found


def _total(bill: Mapping[str, float]) -> float:
    return round(sum(bill.values()), 4)
