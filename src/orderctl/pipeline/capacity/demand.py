"""What each part of the pipeline must do at a rate of orders, beside what it may."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from orderctl.pipeline.capacity.bill import OURS, PROVISIONED_USE, Bill, Priced
from orderctl.pipeline.capacity.quotas import Quota, Quotas

Kind = Literal["parameter", "quota", "fixed", "advice"]
"""What limits a part: a parameter of the template, a quota that AWS raises, or one that it does
not. Advice does not limit it: DynamoDB grows by itself, and nobody says how Lambda packs logs."""

_POLLERS: Final = 5
"""How many pollers of a queue Lambda begins with; they collect at the same time."""
_POLL_SECONDS: Final = 0.05
"""How long a poller takes from one look to the next, where there is no batching window."""
_BATCHES_A_POLLER: Final = 10
_FINISHING_SECONDS: Final = 3.0
"""How long before its timeout a function takes up no more messages."""
_TRANSACTION_SECONDS: Final = 0.03
"""How long a transaction holds the items that it names."""
_STOCK: Final = "stock"
_STOCK_UNITS: Final = 2
"""The write units of a stock item in a transaction."""
_FULLEST: Final = 100
"""Larger batches are done a hundred messages at a time."""
SHELVES: Final = "shelves"
"""Stands for the parameter: a SKU's are set by `orderctl stock set --shelves`."""
_HIGHEST: Final = 10_000_000.0
_PRECISION: Final = 1e-6
_BATCH_SIZES: Final = {"payments-processor": "PaymentsBatchSize"}
_INVENTORY: Final = "inventory-processor"
_PAYMENTS: Final = "payments-processor"


@dataclass(frozen=True, slots=True)
class Load:
    """What the pipeline is to bear."""

    rate: float
    """Orders a second, all the time."""
    parameters: Mapping[str, str]
    """The template's, each with its value."""
    charge_ms: float = 0.0
    """How long the card processor takes to answer."""
    sku_share: float = 0.1
    """The share of the orders that have the busiest SKU."""
    shelves: int = 1
    """Over how many items its stock is spread."""

    def number(self, parameter: str) -> float:
        """A parameter's value."""
        return float(self.parameters[parameter])

    @property
    def window(self) -> float:
        """How long a poller collects messages for a batch, in seconds."""
        return max(self.number("BatchingWindowSeconds"), _POLL_SECONDS)

    def fill(self, function: Priced) -> float:
        """How many messages a batch of a function has: what comes while a poller collects."""
        if not function.in_batches:
            return 1.0
        size = self.number(_BATCH_SIZES.get(function.name, "BatchSize"))
        coming = self.rate * function.events_of_an_order * self.window / _POLLERS
        return max(1.0, min(coming, size, _FULLEST))


@dataclass(frozen=True, slots=True)
class Part:
    """What one part must do, and what it may."""

    name: str
    demand: float
    limit: float
    unit: str
    kind: Kind
    limited_by: str
    """The parameter, or the quota as AWS names it."""
    how: str
    """How the demand was worked out."""
    page: str | None = None
    """Where the limit is documented."""
    needs: int | None = None
    """The value of the parameter with which it would do."""

    @property
    def share(self) -> float:
        """The demand as a share of the limit."""
        return self.demand / self.limit


@dataclass(frozen=True, slots=True)
class Demand:
    """Works out what a load asks of each part."""

    bill: Bill
    quotas: Quotas
    load: Load

    def fills(self) -> dict[str, float]:
        """How many messages a batch has, by the function that reads a queue."""
        return {f.name: self.load.fill(f) for f in self._consumers()}

    def dollars_a_million(self) -> dict[str, float]:
        """What a million orders cost at this load, by service."""
        return self.bill.per_million(OURS, rate=self.load.rate, fill=self.fills())

    def dollars_a_month(self) -> float:
        """What a month at this load costs."""
        return self.bill.per_month(OURS, rate=self.load.rate, fill=self.fills())

    def of_an_order(self) -> dict[str, dict[str, float]]:
        """What an order takes of each function: calls, units and the like, as counted."""
        return {f.name: self._used(f) for f in self.bill.functions}

    def parts(self) -> Iterator[Part]:
        """Each part, in the order in which an order meets them."""
        yield from self._api()
        yield from self._lambda()
        yield from self._queues()
        yield from self._bus()
        yield from self._updates()
        yield from self._tables()
        yield from self._stock()
        yield self._logs()

    def _consumers(self) -> Sequence[Priced]:
        return [function for function in self.bill.functions if function.in_batches]

    def _used(self, function: Priced) -> dict[str, float]:
        return self.bill.used(function, OURS, self.load.fill(function))

    def _sum(self, key: str) -> float:
        """How much of something an order takes of all functions."""
        return sum(self._used(function).get(key, 0.0) for function in self.bill.functions)

    def _seconds(self, function: Priced) -> float:
        """How long an execution of a function takes."""
        fill = self.load.fill(function)
        memory = self.bill.memory[function.name]
        charging = fill * self.load.charge_ms if function.name == _PAYMENTS else 0.0
        return (self.bill.duration_ms(function, OURS, fill, memory) + charging) / 1000

    def _executions(self, function: Priced) -> float:
        """How many executions of a function run at once, on average."""
        return self.load.rate * self._used(function)["invocations"] * self._seconds(function)

    def _part(self, name: str, key: str, each: float, of: str) -> Part:
        """A part that is limited by a quota, and asked for something by each order."""
        quota = self.quotas[key]
        how = f"{each:.3g} {of} an order"
        return self._quota_part(name, quota, self.load.rate * each, how)

    def _quota_part(self, name: str, quota: Quota, demand: float, how: str) -> Part:
        kind: Kind = "quota" if quota.adjustable else "fixed"
        return Part(name, demand, quota.limit, quota.unit, kind, quota.name, how, quota.page)

    def _parameter_part(
        self, name: str, parameter: str, demand: float, unit: str, how: str, *, times: int = 1
    ) -> Part:
        limit = self.load.number(parameter) * times
        needs = math.ceil(demand / times)
        return Part(name, demand, limit, unit, "parameter", parameter, how, needs=needs)

    def _api(self) -> Iterator[Part]:
        rate = self.load.rate
        how = "1 request an order; more if customers look at their orders"
        yield self._parameter_part("API: a method", "ApiRateLimit", rate, "requests/s", how)
        yield self._part("API: the account", "api_requests", 1.0, "request")

    def _lambda(self) -> Iterator[Part]:
        functions = {f.name: self._executions(f) for f in self.bill.functions}
        quota = self.quotas["lambda_executions"]
        how = ", ".join(f"{name} {number:.3g}" for name, number in functions.items())
        yield self._quota_part("Lambda: executions", quota, sum(functions.values()), how)
        each = self.quotas["lambda_requests_an_execution"]
        for function in self.bill.functions:
            if not function.in_batches and function.events_of_an_order == 1:
                yield Part(
                    f"Lambda: calls of {function.name}",
                    self.load.rate,
                    each.limit * quota.limit,
                    each.unit,
                    "quota",
                    quota.name,
                    f"{each.limit:g} for each concurrent execution of the account",
                    each.page,
                )

    def _queues(self) -> Iterator[Part]:
        for function in self._consumers():
            fill, seconds = self.load.fill(function), self._seconds(function)
            at_once = self._executions(function)
            how = f"batches of {fill:.3g}, {seconds:.3g} s each"
            name = f"consumer: {function.name}"
            if self.load.number("ConsumerMinimumPollers"):
                pollers = "ConsumerMaximumPollers"
                yield self._parameter_part(
                    name, pollers, at_once, "at once", how, times=_BATCHES_A_POLLER
                )
            else:
                yield self._parameter_part(name, "ConsumerConcurrency", at_once, "at once", how)
                quota = self.quotas["mapping_executions"]
                yield self._quota_part(f"{name}, at most", quota, at_once, how)
            yield self._parameter_part_of_timeout(function)
            hidden = self.load.rate * function.events_of_an_order * (self.load.window + seconds)
            quota = self.quotas["sqs_in_flight"]
            how = f"collected for {self.load.window:g} s, worked on for {seconds:.3g} s"
            yield self._quota_part(f"queue of {function.name}", quota, hidden, how)

    def _parameter_part_of_timeout(self, function: Priced) -> Part:
        """A full batch must be done in time, whatever the rate: the rest counts as received."""
        size = self.load.number(_BATCH_SIZES.get(function.name, "BatchSize"))
        memory = self.bill.memory[function.name]
        full = min(size, _FULLEST)
        each = self.bill.duration_ms(function, OURS, full, memory) / full
        charging = self.load.charge_ms if function.name == _PAYMENTS else 0.0
        name, seconds = "ConsumerTimeoutSeconds", size * (each + charging) / 1000
        return Part(
            f"a full batch of {function.name}",
            seconds,
            self.load.number(name) - _FINISHING_SECONDS,
            "s",
            "parameter",
            name,
            f"{size:g} messages of {each + charging:.3g} ms; the last {_FINISHING_SECONDS:g} s "
            "are for publishing",
            needs=math.ceil(seconds + _FINISHING_SECONDS),
        )

    def _bus(self) -> Iterator[Part]:
        calls = self._sum("calls PutEvents")
        yield self._part("EventBridge: PutEvents", "events_put", calls, "calls")
        delivered = float(
            sum(f.events_of_an_order for f in self.bill.functions if f.name != self._first_function)
        )
        yield self._part("EventBridge: deliveries", "events_invocations", delivered, "deliveries")

    @property
    def _first_function(self) -> str:
        """The one that the API calls, and no event."""
        return self.bill.functions[0].name

    def _updates(self) -> Iterator[Part]:
        published = self._sum("published")
        yield self._part("SNS: order-updates.fifo", "sns_fifo_messages", published, "messages")
        delivered = self._sum("delivered")
        yield self._part("SQS: order-updates.fifo", "sqs_fifo_calls", delivered, "calls")

    def _tables(self) -> Iterator[Part]:
        used = [self._used(function) for function in self.bill.functions]
        writes = _by_table(used, "write_units")
        reads = _by_table(used, "read_units")
        for table, units in writes.items():
            yield self._table(table, f"DynamoDB: {table}", "write units", units)
        for table, units in reads.items():
            yield self._table(table, f"DynamoDB: {table}, reads", "read units", units)
        yield self._account("DynamoDB: what is provisioned", "write units", writes)
        yield self._account("DynamoDB: what is provisioned, reads", "read units", reads)
        yield self._at_once(writes)
        for table, units in writes.items():
            if " (index " in table:
                yield self._index_key(table, units)

    def _table(self, table: str, name: str, of: str, units: float) -> Part:
        """A table: the units that it is asked for, or those that it is provisioned with."""
        quota = self.quotas[f"table_{of.replace(' ', '_')}"]
        demand, how = self.load.rate * units, f"{units:.3g} {of} an order"
        if self._provisioned and table != _STOCK:
            demand = self._provisioned * units / PROVISIONED_USE
            how += f", provisioned for {self._provisioned:g} orders a second"
        return self._quota_part(name, quota, demand, how)

    def _account(self, name: str, of: str, units: Mapping[str, float]) -> Part:
        """What all tables are provisioned with; nothing if they are paid by the request."""
        quota = self.quotas[f"account_{of.replace(' ', '_')}"]
        each = sum(number for table, number in units.items() if table != _STOCK)
        how = f"{each:.3g} {of} an order, provisioned for {self._provisioned:g} orders a second"
        return self._quota_part(name, quota, self._provisioned * each / PROVISIONED_USE, how)

    @property
    def _provisioned(self) -> float:
        """For how many orders a second the tables are provisioned, but that of the stock."""
        return self.load.number("ProvisionedOrdersPerSecond")

    def _at_once(self, writes: Mapping[str, float]) -> Part:
        """The table that is asked for most, by its write units of an order."""
        provisioned = self._provisioned
        asked = {of: units for of, units in writes.items() if not provisioned or of != _STOCK}
        table, units = max(asked.items(), key=lambda item: item[1])
        name, demand = "DynamoDB: the busiest table, at once", self.load.rate * units
        quota = self.quotas["table_write_units_at_once"]
        if provisioned:
            return Part(
                name,
                demand,
                provisioned * units / PROVISIONED_USE,
                quota.unit,
                "parameter",
                "ProvisionedOrdersPerSecond",
                f"{table}: {units:.3g} write units an order, {1 - PROVISIONED_USE:.0%} to spare",
                needs=math.ceil(self.load.rate),
            )
        return Part(
            name,
            demand,
            max(quota.limit, self.load.number("WarmWriteUnits")),
            quota.unit,
            "advice",
            "WarmWriteUnits",
            f"{table}: {units:.3g} write units an order; it grows within minutes if asked for more",
            quota.page,
            math.ceil(demand),
        )

    def _index_key(self, table: str, units: float) -> Part:
        quota, keys = self.quotas["partition_write_units"], self.load.number("UnfinishedOrderKeys")
        return Part(
            f"DynamoDB: a key of {table}",
            self.load.rate * units / keys,
            quota.limit,
            quota.unit,
            "parameter",
            "UnfinishedOrderKeys",
            f"{units:.3g} write units an order over {keys:g} keys",
            quota.page,
            math.ceil(self.load.rate * units / quota.limit),
        )

    def _stock(self) -> Iterator[Part]:
        """The busiest SKU: a batch writes its item once, however many of its orders have it."""
        (inventory,) = (f for f in self.bill.functions if f.name == _INVENTORY)
        load, quota = self.load, self.quotas["partition_write_units"]
        fill = load.fill(inventory)
        having = 1 - (1 - load.sku_share) ** fill
        moves = load.rate / fill * having / load.shelves
        how = (
            f"{load.sku_share:.0%} of the orders, in {having:.0%} of the batches, "
            f"over {load.shelves} shelves"
        )
        name = "stock: an item of the busiest SKU"
        yield self._shelf_part(name, moves * _STOCK_UNITS, quota.limit, quota.unit, how)
        how = f"{moves:.3g} transactions a second, {_TRANSACTION_SECONDS * 1000:g} ms each"
        yield self._shelf_part(
            f"{name}, held", moves * _TRANSACTION_SECONDS, 1.0, "s a second", how
        )

    def _shelf_part(self, name: str, demand: float, limit: float, unit: str, how: str) -> Part:
        needs = math.ceil(self.load.shelves * demand / limit)
        page = self.quotas["partition_write_units"].page
        return Part(name, demand, limit, unit, "parameter", SHELVES, how, page, needs)

    def _logs(self) -> Part:
        quota, each = self.quotas["log_calls"], self._sum("invocations")
        how = f"{each:.3g} invocations an order, one call each at most"
        called = self.load.rate * each
        return Part(
            *("CloudWatch Logs", called, quota.limit, quota.unit, "advice", quota.name),
            how,
            quota.page,
        )


def _by_table(used: Sequence[Mapping[str, float]], kind: str) -> dict[str, float]:
    """Units of an order by table, of all functions."""
    found: dict[str, float] = {}
    for each in used:
        for key, units in each.items():
            what, _, table = key.partition(" ")
            if what == kind and table:
                found[table] = found.get(table, 0.0) + units
    return found


def parts(bill: Bill, quotas: Quotas, load: Load) -> list[Part]:
    """Each part at a load, in the order in which an order meets them."""
    return list(Demand(bill, quotas, load).parts())


def first_to_give(found: Sequence[Part]) -> Part:
    """The part of which most is asked, beside what it may; advice does not count."""
    return max((part for part in found if part.kind != "advice"), key=lambda part: part.share)


def highest_rates(parts_at: Callable[[float], Sequence[Part]]) -> dict[str, tuple[float, Part]]:
    """The highest rates, and what gives at each.

    Args:
        parts_at: the parts at a rate.

    Returns:
        By what is as it is: "parameters" and all quotas; the "quotas" alone, with parameters
        raised; and what is "fixed", with the quotas raised as well.
    """
    limits: dict[str, tuple[Kind, ...]] = {
        "parameters": ("parameter", "quota", "fixed"),
        "quotas": ("quota", "fixed"),
        "fixed": ("fixed",),
    }
    return {name: _highest(parts_at, kinds) for name, kinds in limits.items()}


def _highest(
    parts_at: Callable[[float], Sequence[Part]], kinds: Sequence[Kind]
) -> tuple[float, Part]:
    """The highest rate at which none of these limits is passed: halving finds it."""

    def worst(rate: float) -> Part:
        counted = (part for part in parts_at(rate) if part.kind in kinds)
        return max(counted, key=lambda part: part.share)

    low, high = 0.0, _HIGHEST
    while high - low > max(low, 1.0) * _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if worst(middle).share <= 1 else (low, middle)
    return low, worst(high)
