"""Measures how long a function takes, and what it costs, at each memory size.

Orders go through the whole pipeline, so a function gets its usual events and batches, and every
order ends. Lambda's reports say how long each invocation took; they are logged meanwhile.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from orderctl.errors import OrderctlError
from orderctl.pipeline import reading
from orderctl.pipeline.capacity import bill
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    from orderctl.pipeline.pipeline import Pipeline

_REPORTED: Final = {"LogFormat": "JSON", "SystemLogLevel": "INFO"}
"""With these settings Lambda logs a report of every invocation."""
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
    """In MB; None when that is not known."""
    dollars_per_million: float
    """Lambda's price of this function per million orders."""


_NAMES: Final = {
    "duration_ms": "durationMs",
    "billed_ms": "billedDurationMs",
    "used_megabytes": "maxMemoryUsedMB",
    "init_ms": "initDurationMs",
}


class Report(msgspec.Struct, frozen=True, rename=_NAMES):
    """What Lambda measured of an invocation (``ReportMetrics``, Lambda Telemetry API schema)."""

    duration_ms: float
    billed_ms: float
    used_megabytes: int
    init_ms: float | None = None


def read_report(line: str) -> Report | None:
    """What a line of the log reports of an invocation; None for any other line."""
    fields = reading.parse_json_object(line)
    if fields.get("type") != "platform.report":
        return None
    record = fields.get("record")
    metrics = record.get("metrics") if isinstance(record, Mapping) else None
    try:
        return msgspec.convert(metrics, Report)
    except msgspec.ValidationError:
        return None


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
        """Have invocations reported in the block; restore the function after it, in any case."""
        before = self._configuration()
        logging = before.get("LoggingConfig", {"LogFormat": "Text"})
        try:
            self._configure(LoggingConfig={**logging, **_REPORTED})
            yield
        finally:
            self._configure(MemorySize=before["MemorySize"], LoggingConfig=logging)

    def trial(self, memory: int, orders: int) -> Trial:
        """Send orders through the pipeline with the function at a memory size.

        Args:
            memory: in MB.
            orders: how many.

        Raises:
            OrderctlError: an order was not accepted or has not ended, or nothing was logged.
            ClientError, BotoCoreError: a call failed.
        """
        self._configure(MemorySize=memory)
        since = int(time.time() * 1000)
        self._send(orders)
        reports = self._reports(since)
        if not reports:
            raise OrderctlError(
                f"{self.function} has logged no invocation: is its consumer paused?"
            )
        durations = [report.duration_ms for report in reports]
        inits = [report.init_ms for report in reports if report.init_ms]
        return Trial(
            memory=memory,
            orders=orders,
            invocations=len(reports),
            median_ms=statistics.median(durations),
            slowest_ms=max(durations),
            init_ms=statistics.median(inits) if inits else None,
            peak_memory=max(report.used_megabytes for report in reports) or None,
            dollars_per_million=round(self._dollars(memory, reports) / orders * _MILLION, 4),
        )

    def _configuration(self) -> Any:  # noqa: ANN401 - the service's answer
        functions = self.pipeline.session.client("lambda")
        try:
            return functions.get_function_configuration(FunctionName=self.function)
        except functions.exceptions.ResourceNotFoundException as error:
            raise OrderctlError(f"There is no function {self.function}.") from error

    def _configure(self, **settings: Any) -> None:  # noqa: ANN401 - the service's
        functions = self.pipeline.session.client("lambda")
        functions.update_function_configuration(FunctionName=self.function, **settings)
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

    def _reports(self, since: int) -> list[Report]:
        """The reports since a time, once no more of them come."""
        found: list[Report] = []
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < self.settled_seconds:
            time.sleep(_POLL_SECONDS)
            now = self._look(since)
            if len(now) > len(found):
                found, quiet_since = now, time.monotonic()
        return found

    def _look(self, since: int) -> list[Report]:
        pages = (
            self.pipeline.session.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{self.function}", startTime=since)
        )
        lines = (event["message"] for page in pages for event in page["events"])
        return [report for line in lines if (report := read_report(line))]

    def _dollars(self, memory: int, reports: Sequence[Report]) -> float:
        price = prices()
        architecture = self._configuration().get("Architectures", ["x86_64"])[0]
        key = "gigabyte_second" + ("_x86_64" if architecture == "x86_64" else "")
        seconds = sum(report.billed_ms for report in reports) / 1000
        gigabytes = memory / _MEGABYTES_PER_GIGABYTE
        return seconds * gigabytes * price[key] + len(reports) * price["request"]


def all_ended(ids: Sequence[str], found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each order was found, and the tracker has decided it."""
    return all(id_ in found and found[id_]["status"] != "placed" for id_ in ids)


def prices() -> dict[str, float]:
    """Lambda's prices."""
    table: dict[str, dict[str, float]] = bill.prices()
    return table["lambda"]
