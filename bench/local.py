"""The local cloud: orders to their ends at rising rates, and what the emulator can do at best."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bench.figures import Told, percentile
from bench.processes import ROOT
from bench.workload import STOCK, orders
from orderctl import package
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline import Pipeline

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_RATES: Final = (5, 10, 20, 40, 80, 160)
_READERS: Final = 3
_SENDERS: Final = 24
_PATIENCE_SECONDS: Final = 60.0
_SATURATED: Final = 0.85
"""Below this share of the rate, the pipeline does not keep up."""
_DRIVERS: Final = (1, 2, 3)
_PARAMETERS: Final = {"ChargeFailureRate": "0"}


@dataclass(slots=True)
class _Ends:
    """When each order ended: when a shop's own service has read so on the queue of the updates."""

    client: SQSClient
    queue_url: str
    at: dict[str, float] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Read the updates for as long as the block takes."""
        readers = [threading.Thread(target=self._read) for _ in range(_READERS)]
        for reader in readers:
            reader.start()
        try:
            yield
        finally:
            self._stopped.set()
            for reader in readers:
                reader.join()

    def _read(self) -> None:
        while not self._stopped.is_set():
            messages = self.client.receive_message(
                QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            ).get("Messages", [])
            now = time.monotonic()
            for message in messages:
                update = json.loads(message["Body"])
                if update["status"] != "placed":
                    self.at.setdefault(update["order_id"], now)
            if messages:
                self.client.delete_message_batch(
                    QueueUrl=self.queue_url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                        for number, message in enumerate(messages)
                    ],
                )


@dataclass(slots=True)
class _Senders:
    """Callers of the API, each with a connection of its own."""

    url: str
    _own: threading.local = field(default_factory=threading.local)

    def place(self, order: Mapping[str, Any]) -> float:
        """Place an order, and say when it was sent."""
        address = urlsplit(self.url)
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(address.netloc, timeout=30)
        connection: http.client.HTTPConnection = self._own.connection
        sent = time.monotonic()
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"{address.path}/orders", json.dumps(order), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.ACCEPTED:
            raise RuntimeError(f"the API answered {answer.status}")
        return sent


def measure(seconds: float, port: int | None, told: Told) -> dict[str, Any]:
    """Send orders at rising rates until they do not end as fast as they come.

    Args:
        seconds: how long each rate is kept up.
        port: where the local cloud listens; any free port when not given.
        told: is told how much is done.

    Returns:
        The rates and what became of them, and the emulator's ceiling.
    """
    with LocalCloud(port=port) as cloud:
        cloud.deploy(package.build(package.Target.this_machine()), parameters=_PARAMETERS)
        pipeline = Pipeline(cloud.session(), cloud.outputs)
        pipeline.set_stock(STOCK)
        _at_rate(cloud, 5, 2.0)  # the first orders meet cold functions
        levels = []
        for number, rate in enumerate(_RATES):
            levels.append(_at_rate(cloud, rate, seconds))
            told(number + 1, len(_RATES) + 1)
            if levels[-1]["ended_per_second"] < rate * _SATURATED:
                break
        ceiling = _ceiling(cloud, seconds)
        told(1, 1)
    best = max(level["ended_per_second"] for level in levels)
    most = max(run["orders_per_second"] for run in ceiling)
    return {
        "rates": levels,
        "ceiling": ceiling,
        "orders_per_second": best,
        "ceiling_orders_per_second": most,
        "share_of_ceiling": round(best / most, 3),
    }


def _at_rate(cloud: LocalCloud, rate: float, seconds: float) -> dict[str, Any]:
    """Send orders at a rate, whatever becomes of them, and watch them end."""
    made = orders(int(rate * seconds))
    ends = _Ends(cloud.session().client("sqs"), cloud.outputs["OrderUpdatesQueueUrl"])
    senders = _Senders(cloud.outputs["ApiUrl"])
    with ends.watched(), ThreadPoolExecutor(_SENDERS) as pool:
        started = time.monotonic()
        placing = []
        for number, order in enumerate(made):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            placing.append(pool.submit(senders.place, order))
        sent = [future.result() for future in placing]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(ends.at) < len(made) and time.monotonic() < deadline:
            time.sleep(0.05)
    # From when it should have been sent: a caller that had to wait for its turn is late, too.
    took = [
        ends.at[order["order_id"]] - (started + number / rate)
        for number, order in enumerate(made)
        if order["order_id"] in ends.at
    ]
    elapsed = max(ends.at.values(), default=started) - started
    return {
        "rate": rate,
        "orders": len(made),
        "ended": len(took),
        "sent_late_seconds": round(max(sent) - started - (len(made) - 1) / rate, 3),
        "ended_per_second": round(len(took) / elapsed, 2) if took else 0.0,
        **{f"p{p}_seconds": round(percentile(took, p / 100), 3) for p in (50, 95, 99) if took},
    }


def _ceiling(cloud: LocalCloud, seconds: float) -> list[dict[str, Any]]:
    """Make the same AWS calls for orders with no function in between, as fast as they go."""
    _take_functions_out(cloud)
    runs = []
    for drivers in _DRIVERS:
        command = (sys.executable, "-m", "bench.driver", str(seconds))
        processes = [
            subprocess.Popen(
                command,
                env=_environment(cloud),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(drivers)
        ]
        outputs = [json.loads(process.communicate()[0]) for process in processes]
        runs.append(
            {
                "processes": drivers,
                "orders_per_second": round(sum(o["orders"] / o["seconds"] for o in outputs), 2),
                "calls_per_order": round(
                    sum(o["calls"] for o in outputs) / sum(o["orders"] for o in outputs), 1
                ),
            }
        )
    return runs


def _take_functions_out(cloud: LocalCloud) -> None:
    """Leave the tables, the bus, the queues and the topic, and have nobody act on them."""
    functions = cloud.session().client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    events = cloud.session().client("events")
    bus = cloud.outputs["EventBusName"]
    for rule in events.list_rules(EventBusName=bus)["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]
        for target in targets:
            if ":lambda:" in target["Arn"]:
                events.remove_targets(Rule=rule["Name"], EventBusName=bus, Ids=[target["Id"]])
    time.sleep(1)  # what was being polled comes to its end


def _environment(cloud: LocalCloud) -> dict[str, str]:
    """What a driver needs: the functions' variables, and the way to the cloud."""
    variables: dict[str, str] = {}
    functions = cloud.session().client("lambda")
    for function in functions.list_functions()["Functions"]:
        configured = functions.get_function_configuration(FunctionName=function["FunctionName"])
        variables |= configured["Environment"]["Variables"]
    credentials = cloud.session().get_credentials()
    assert credentials is not None
    return {
        **variables,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "PAYMENTS_QUEUE_URL": cloud.outputs["PaymentsQueueUrl"],
        "INVENTORY_QUEUE_URL": cloud.outputs["InventoryQueueUrl"],
        "OUTCOMES_QUEUE_URL": cloud.outputs["OutcomesQueueUrl"],
        "UPDATES_QUEUE_URL": cloud.outputs["OrderUpdatesQueueUrl"],
    }
