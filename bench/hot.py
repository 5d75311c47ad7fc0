"""A rush for one SKU, beside one for 500: what its shelves and fuller batches do about it.

Inventory alone is at work, on the local cloud, where transactions hold their items as on AWS. Its
queue is filled while it is paused; then it takes what is there. All rushes of a batch size are sent
to one cloud, one after the other.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.figures import Progress
from bench.local import free_ports
from bench.workload import placed_events
from orderctl.deploying import package
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline.pipeline import Pipeline
from orderctl.waiting import wait_until

_TRANSACTION_MS: Final = 12
_SHELVES: Final = (1, 4, 20)
_MANY: Final = 500
_BATCHES: Final = {10: 0, 100: 1}
"""The batching window in seconds, by the batch size."""
_PLENTY: Final = 1_000_000
_MESSAGES_A_CALL: Final = 10
_PATIENCE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Rush:
    """What became of one."""

    skus: int
    shelves: int
    batch: int
    orders: int
    per_second: float
    """Orders reserved."""
    transactions_per_order: float
    """Those that were done."""
    conflicts: int
    """How often an item was held by another transaction."""
    parked: int


def measure(orders: int, port: int | None, report_progress: Progress) -> list[dict[str, Any]]:
    """Send rushes to the local cloud.

    Args:
        orders: how many in each, of one line.
        port: where the local cloud listens; any free port when not given.
        report_progress: called with how many rushes are done, of how many.

    Returns:
        What became of each, in JSON's terms.
    """
    rushes: list[dict[str, Any]] = []
    kinds = [(_MANY, 1), *((1, shelves) for shelves in _SHELVES)]
    for batch, window in _BATCHES.items():
        with LocalCloud(ports=free_ports(port), transaction_ms=_TRANSACTION_MS) as cloud:
            sale = _Sale(cloud, batch, window)
            sale.run(_MANY, 1, 2 * batch)  # the first orders meet cold functions
            for skus, shelves in kinds:
                rushes.append(asdict(sale.run(skus, shelves, orders)))
                report_progress(len(rushes), len(kinds) * len(_BATCHES))
    return rushes


class _Sale:
    """A local cloud in which inventory alone is at work."""

    def __init__(self, cloud: LocalCloud, batch: int, window: int) -> None:
        parameters = {"BatchSize": f"{batch}", "BatchingWindowSeconds": f"{window}"}
        cloud.deploy(package.build(package.Target.this_machine()), parameters=parameters)
        self._outputs = cloud.outputs
        self._batch = batch
        self._pipeline = Pipeline(cloud.session(), cloud.state.stack_name)
        session = cloud.session()
        self._sqs = session.client("sqs")
        self._dynamodb = session.client("dynamodb")
        self._cloudwatch = session.client("cloudwatch")
        self._many = [f"one-of-many-{number}" for number in range(_MANY)]
        table = session.resource("dynamodb").Table(self._outputs["StockTableName"])
        with table.batch_writer() as batch_writer:
            for name in self._many:
                batch_writer.put_item(Item={"sku": name, "available": _PLENTY})
        self._switch("tracker", on=False)

    def run(self, skus: int, shelves: int, orders: int) -> Rush:
        """Sell, and wait until all is reserved or parked."""
        names = self._many
        if skus == 1:
            names = [f"on-{shelves}-shelves"]
            self._pipeline.stock.put(names[0], _PLENTY, shelves=shelves)
        self._switch("inventory", on=False)
        self._fill([names[number % skus] for number in range(orders)])
        done, met, reserved = self._transactions(), self._conflicts(), self._reserved()
        began = time.monotonic()
        self._switch("inventory", on=True)
        wait_until(
            lambda: self._reserved() + self._parked() >= reserved + orders,
            patience_seconds=_PATIENCE_SECONDS,
            poll_seconds=_POLL_SECONDS,
        )
        seconds = time.monotonic() - began
        return Rush(
            skus,
            shelves,
            self._batch,
            orders,
            round(orders / seconds, 1),
            round((self._transactions() - done) / orders, 3),
            round(self._conflicts() - met),
            self._parked(),
        )

    def _switch(self, consumer: str, *, on: bool) -> None:
        self._pipeline.consumer(consumer).switch(on=on)

    def _fill(self, skus: Sequence[str]) -> None:
        """Put orders of one line on the queue, as the bus does."""
        for start in range(0, len(skus), _MESSAGES_A_CALL):
            self._sqs.send_message_batch(
                QueueUrl=self._outputs["InventoryQueueUrl"],
                Entries=[
                    {"Id": str(number), "MessageBody": json.dumps(_placed(sku))}
                    for number, sku in enumerate(skus[start : start + _MESSAGES_A_CALL])
                ],
            )

    def _reserved(self) -> int:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._outputs["ReservationsTableName"], Select="COUNT"
        )
        return sum(page["Count"] for page in pages)

    def _parked(self) -> int:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._outputs["InventoryDLQUrl"],
            AttributeNames=["ApproximateNumberOfMessages"],
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def _transactions(self) -> float:
        of = {"TableName": self._outputs["ReservationsTableName"]}
        of["Operation"] = "TransactWriteItems"
        return self._sum("SuccessfulRequestLatency", "SampleCount", of)

    def _conflicts(self) -> float:
        of = {"TableName": self._outputs["StockTableName"]}
        return self._sum("TransactionConflict", "Sum", of)

    def _sum(self, metric: str, statistic: Any, dimensions: Mapping[str, str]) -> float:  # noqa: ANN401
        now = datetime.now(UTC)
        points = self._cloudwatch.get_metric_statistics(
            Namespace="AWS/DynamoDB",
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        values: list[Any] = [point.get(statistic) for point in points]
        return float(sum(values))


def _placed(sku: str) -> dict[str, Any]:
    order = {"order_id": str(uuid.uuid4()), "amount": 5, "items": [{"sku": sku, "quantity": 1}]}
    return placed_events([order])[0]


def rows(rushes: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """The rushes as a table."""
    yield (
        *("SKUs", "shelves", "batches of", "orders", "reserved a second"),
        *("transactions an order", "conflicts", "parked"),
    )
    for rush in rushes:
        yield (
            *(str(rush[name]) for name in ("skus", "shelves", "batch", "orders")),
            f"{rush['per_second']:.0f}",
            f"{rush['transactions_per_order']:.2f}",
            *(str(rush[name]) for name in ("conflicts", "parked")),
        )
