"""Measures how long a function takes, and what it costs, at each memory size.

Orders go through the whole pipeline, so a function gets its usual events and batches, and every
order ends. Lambda's REPORT lines say how long each invocation took.
"""

from __future__ import annotations

import re
import statistics
import time
import tomllib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from orderctl import paths
from orderctl.errors import OrderctlError
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    from orderctl.pipeline.pipeline import Pipeline


_REPORT = re.compile(
    r"REPORT RequestId: \S+\s+Duration: (?P<duration>\d{1,12}(?:\.\d+)?) ms\s+"
    r"Billed Duration: (?P<billed>\d{1,12}) ms\s+Memory Size: \d+ MB\s+"
    r"Max Memory Used: (?P<used>\d{1,12}) MB"
    r"(?:\s+Init Duration: (?P<init>\d{1,12}(?:\.\d+)?) ms)?"
)
_Report = dict[str, Any]
_PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 1.0
_MEGABYTES_PER_GIGABYTE = 1024
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Trial:
    """The measurements at one memory size."""

    memory: int
    """In MB."""
    orders: int
    invocations: int
    median_ms: float
    slowest_ms: float
    init_ms: float | None
    """The median of the cold starts; None when there was none."""
    peak_memory: int | None
    """How long without a new log line to wait: CloudWatch Logs may be late."""
    dollars_per_million: float
    """Lambda's price of this function per million orders."""


@dataclass(frozen=True, slots=True)
class Tuner:
    """Tries memory sizes on one function of a deployed pipeline."""

    pipeline: Pipeline
    function: str
    """Its name, with the stack's prefix."""
    settled_seconds: float = 10.0
    """How long without a new log line means that all are there: CloudWatch Logs may be late."""

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the function's memory size after the block, whatever happens in it."""
        before = self._configuration()["MemorySize"]
        try:
            yield
        finally:
            self._set_memory(before)

    def trial(self, memory: int, orders: int) -> Trial:
        """Send orders through the pipeline with the function at a memory size.

        Args:
            memory: in MB.
            orders: how many.

        Raises:
            OrderctlError: an order was not accepted or has not ended, or nothing was logged.
            ClientError, BotoCoreError: a call failed.
        """
        self._set_memory(memory)
        since = int(time.time() * 1000)
        self._send(orders)
        reports = self._reports(since)
        if not reports:
            raise OrderctlError(
                f"{self.function} has logged no invocation: is its consumer paused?"
            )
        durations = [float(report["duration"]) for report in reports]
        inits = [float(report["init"]) for report in reports if report["init"]]
        return Trial(
            memory=memory,
            orders=orders,
            invocations=len(reports),
            median_ms=statistics.median(durations),
            slowest_ms=max(durations),
            init_ms=statistics.median(inits) if inits else None,
            peak_memory=max(int(report["used"]) for report in reports) or None,
            dollars_per_million=round(self._dollars(memory, reports) / orders * _MILLION, 4),
        )

    def _configuration(self) -> Any:  # noqa: ANN401 - the service's answer
        functions = self.pipeline.session.client("lambda")
        try:
            return functions.get_function_configuration(FunctionName=self.function)
        except functions.exceptions.ResourceNotFoundException as error:
            raise OrderctlError(f"There is no function {self.function}.") from error

    def _set_memory(self, memory: int) -> None:
        functions = self.pipeline.session.client("lambda")
        functions.update_function_configuration(FunctionName=self.function, MemorySize=memory)
        functions.get_waiter("function_updated_v2").wait(FunctionName=self.function)

    def _send(self, count: int) -> None:
        """Place orders one after the other, and wait until the tracker has decided each."""
        name = uuid.uuid4().hex[:8]
        ids = [f"tune-{name}-{number}" for number in range(count)]
        for order_id in ids:
            status = self.pipeline.api.place({"order_id": order_id, "amount": 1}).status
            if status != HTTPStatus.ACCEPTED:
                raise OrderctlError(f"The API answered {status} instead of 202.")
        ended = wait_until(
            lambda: all_ended(ids, self.pipeline.orders.find(ids)),
            patience_seconds=_PATIENCE_SECONDS,
            poll_seconds=_POLL_SECONDS,
        )
        if not ended:
            raise OrderctlError(
                "Not every order has ended. See what is missing with: orderctl orders --stuck"
            )

    def _reports(self, since: int) -> list[_Report]:
        """The REPORT lines since a time, once no more of them come."""
        found: list[_Report] = []
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < self.settled_seconds:
            time.sleep(_POLL_SECONDS)
            now = self._look(since)
            if len(now) > len(found):
                found, quiet_since = now, time.monotonic()
        return found

    def _look(self, since: int) -> list[_Report]:
        pages = (
            self.pipeline.session.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{self.function}", startTime=since)
        )
        lines = (event["message"] for page in pages for event in page["events"])
        return [match.groupdict() for line in lines if (match := _REPORT.match(line))]

    def _dollars(self, memory: int, reports: Sequence[_Report]) -> float:
        price = prices()
        architecture = self._configuration().get("Architectures", ["x86_64"])[0]
        key = "gigabyte_second" + ("_x86_64" if architecture == "x86_64" else "")
        seconds = sum(int(report["billed"]) for report in reports) / 1000
        gigabytes = memory / _MEGABYTES_PER_GIGABYTE
        return seconds * gigabytes * price[key] + len(reports) * price["request"]


def all_ended(ids: Sequence[str], found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each order was found, and the tracker has decided it."""
    return all(id_ in found and found[id_]["status"] != "placed" for id_ in ids)


def prices() -> dict[str, float]:
    """Lambda's prices, from the table in bench/."""
    table: dict[str, dict[str, float]] = tomllib.loads(paths.PRICES.read_text())
    return table["lambda"]
