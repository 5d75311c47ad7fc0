"""Dollars per million orders: what was counted, times what it costs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

PRICES: Final = Path(__file__).with_name("prices.toml")
MILLION: Final = 1_000_000
OURS: Final = "ours"
"""The version of the functions that is deployed."""
_TRACKER: Final = "order-tracker"
_GIGABYTE: Final = 10**9
_SECONDS_PER_HOUR: Final = 3600
PROVISIONED_USE: Final = 0.7
"""The share of provisioned units that is used, when the load is what they are for. DynamoDB's own
auto scaling aims at the same by default ("Managing throughput capacity automatically with DynamoDB
auto scaling", DynamoDB developer guide)."""

Fill = float | Mapping[str, float]
"""How many messages a batch holds: of all functions, or by function."""
Used = Mapping[str, float]
"""What an order uses of a function, each share of it: invocations, calls, units, bytes."""


class Priced(Protocol):
    """A function on the way of an order."""

    @property
    def name(self) -> str:
        """As it is deployed, without a prefix."""
        ...

    @property
    def events_of_an_order(self) -> int:
        """How many events of one order it handles, when all goes well."""
        ...

    @property
    def in_batches(self) -> bool:
        """Whether it reads a queue."""
        ...


def prices() -> dict[str, Any]:
    """The price table and the assumptions beside it."""
    return tomllib.loads(PRICES.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Bill:
    """What orders cost, from what the bench has counted and timed."""

    functions: Sequence[Priced]
    """Those on the way of an order."""
    warm: Mapping[str, Any]
    """By function and version: what was counted by batch size, and the CPU time of an order."""
    prices: Mapping[str, Any]
    memory: Mapping[str, int]
    watching_month: float
    """Dollars a month for metrics, alarms and dashboards."""
    reported: bool = False
    """Whether Lambda logs the start and the report of each of our invocations."""
    lists_ended: bool = False
    """Whether an index has each of our orders that has ended; it was counted without."""
    provisioned_rate: float = 0.0
    """For how many orders a second the tables are provisioned; 0 when paid by the request."""

    def per_million(
        self,
        version: str,
        *,
        rate: float,
        fill: Fill,
        duplicates: float = 0.0,
    ) -> dict[str, float]:
        """Dollars per million orders, by service.

        Args:
            version: ours or the textbook's.
            rate: orders a second.
            fill: how many messages a batch holds.
            duplicates: the share of events that come once more.
        """
        bill: dict[str, float] = {}
        for function in self.functions:
            full = _of(fill, function)
            for name, share in (("first", 1.0), ("again", duplicates)):
                if share:
                    used = self.used(function, version, full, name=name)
                    for service, dollars in self._dollars(function, used, rate).items():
                        bill[service] = bill.get(service, 0.0) + dollars * share
        bill["API Gateway"] = self.prices["api_gateway"]["request"]
        bill["SQS"] += self._idle(rate)
        month = rate * self.prices["assumptions"]["seconds_per_month"]
        bill["CloudWatch metrics, alarms and dashboard"] = self.watching_month / month
        return {service: round(dollars * MILLION, 4) for service, dollars in bill.items()}

    def floor(self, *, rate: float, fill: Fill) -> dict[str, float]:
        """Dollars per million orders that the flow costs at the least, by service.

        That is one write unit for an order in each function that has a table, one event for each
        fact, one update for each status, and no log lines but Lambda's own. Nothing is read, and a
        function does nothing but wait for its calls. Without metrics, alarms and dashboards.
        """
        bill: dict[str, float] = {}
        for function in self.functions:
            used = self._least(function, _of(fill, function))
            for service, dollars in self._dollars(function, used, rate).items():
                bill[service] = bill.get(service, 0.0) + dollars
        bill["API Gateway"] = self.prices["api_gateway"]["request"]
        bill["SQS"] += self._idle(rate)
        return {service: round(dollars * MILLION, 4) for service, dollars in bill.items()}

    def _least(self, function: Priced, fill: float) -> dict[str, float]:
        """What an order uses of a function at the least."""
        ours = self.used(function, OURS, fill)
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

    def per_month(self, version: str, *, rate: float, fill: Fill) -> float:
        """Dollars a month at a constant rate of orders per second."""
        millions = rate * self.prices["assumptions"]["seconds_per_month"] / MILLION
        return round(total(self.per_million(version, rate=rate, fill=fill)) * float(millions), 2)

    def duration_ms(self, function: Priced, version: str, fill: float, memory: int) -> float:
        """How long an invocation takes at a memory size, as far as it is CPU and waiting."""
        assumed = self.prices["assumptions"]
        used = self.used(function, version, fill)
        share = min(memory / assumed["full_cpu_megabytes"], 1.0)
        cpu = used["cpu_ms"] / used["invocations"] * assumed["cpu_scale"]
        waiting = used["calls"] / used["invocations"] * assumed["aws_call_ms"]
        return float(cpu / share + waiting)

    def used(
        self, function: Priced, version: str, fill: float, *, name: str = "first"
    ) -> dict[str, float]:
        """What an order uses at a batch fill: between what was counted at the nearest two.

        What an invocation costs grows by the same with each message, so an order's share is
        a + b / fill. Where calls are full, more messages in a batch save nothing but invocations.

        Args:
            function: which.
            version: ours or the textbook's.
            fill: how many messages a batch holds.
            name: "first", or "again" for events that come once more.
        """
        measured = self.warm[function.name][version]
        at = {int(batch): _numbers(measured, name, batch) for batch in measured["counts"]}
        is_reported = self.reported or version != OURS
        for numbers in at.values():
            numbers["reports"] = numbers["invocations"] * is_reported
            if self.lists_ended and (function.name, version, name) == (_TRACKER, OURS, "first"):
                numbers["write_units"] += 1
                numbers["write_units orders (index ended)"] = 1.0
        sizes = sorted(at)
        if len(sizes) == 1:
            return at[sizes[0]]
        upper = next((size for size in sizes[1:] if fill <= size), sizes[-1])
        lower = sizes[sizes.index(upper) - 1]
        weight = (1 / min(fill, upper) - 1 / upper) / (1 / lower - 1 / upper)
        few, many = at[lower], at[upper]
        return {
            key: many.get(key, 0.0) + (few.get(key, 0.0) - many.get(key, 0.0)) * weight
            for key in {**few, **many}
        }

    def _dollars(self, function: Priced, used: Used, rate: float) -> dict[str, float]:
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
            "DynamoDB": self._of_tables(used, "write_unit", rate)
            + self._of_tables(used, "read_unit", rate),
            "SNS": published * (sns["fifo_publish"] + gigabyte * sns["fifo_publish_gigabyte"])
            + delivered * (sns["fifo_delivery"] + gigabyte * sns["fifo_delivery_gigabyte"]),
            "CloudWatch Logs": logged / _GIGABYTE * priced["cloudwatch"]["log_gigabyte"],
        }
        if function.in_batches:
            bill["SQS"] += self.requests(function, used) * priced["sqs"]["standard_request"]
        return bill

    def _of_tables(self, used: Used, unit: str, rate: float) -> float:
        """Dollars for the read or the write units of an order."""
        priced, units = self.prices["dynamodb"], used[f"{unit}s"]
        if not self.provisioned_rate:
            return float(units * priced[unit])
        stock = sum(each for name, each in used.items() if name in _stock_units(unit))
        provisioned = (units - stock) / PROVISIONED_USE * self.provisioned_rate / rate
        an_hour = provisioned * priced[f"provisioned_{unit}_hour"]
        return float(stock * priced[unit] + an_hour / _SECONDS_PER_HOUR)

    def requests(self, function: Priced, used: Used) -> float:
        """SQS requests of an order: EventBridge sends each message, Lambda receives and deletes.

        It receives and deletes up to ten messages a request, however large its batches are.
        """
        most = self.prices["assumptions"]["messages_a_request"]
        taken = max(used["invocations"], function.events_of_an_order / most)
        return float(function.events_of_an_order + 2 * taken)

    def _seconds(self, used: Used, memory: int) -> float:
        assumed = self.prices["assumptions"]
        share = min(memory / assumed["full_cpu_megabytes"], 1.0)
        cpu = used["cpu_ms"] * assumed["cpu_scale"] / share
        return float((cpu + used["calls"] * assumed["aws_call_ms"]) / 1000)

    def _idle(self, rate: float) -> float:
        """Lambda asks empty queues, too: the less there is to do the more an order pays for it."""
        queues = sum(function.in_batches for function in self.functions)
        receives = queues * self.prices["assumptions"]["idle_receives_per_second"]
        return float(receives / rate * self.prices["sqs"]["standard_request"])


def _stock_units(unit: str) -> tuple[str, str]:
    """What the units of the stock are counted under, in our version and in the textbook's.

    It is paid by the request: how many items a batch writes depends on how many SKUs a shop has.
    """
    return f"{unit}s stock", f"{unit}s textbook-stock"


def _of(fill: Fill, function: Priced) -> float:
    return fill.get(function.name, 1.0) if isinstance(fill, Mapping) else fill


def _numbers(measured: Mapping[str, Any], name: str, batch: int | str) -> dict[str, float]:
    counted = measured["counts"][batch][name]
    timed = next(
        t for t in measured["per_order"] if (t["batch"], t["latency_ms"]) == (int(batch), 0)
    )
    published = counted["calls"].get("Publish", 0.0)
    each = {
        f"{kind} {of}": number
        for kind in ("calls", "write_units", "read_units")
        for of, number in counted[kind].items()
    }
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
        **each,
    }


def total(bill: Mapping[str, float]) -> float:
    """The sum of a bill."""
    return round(sum(bill.values()), 4)
