"""The local cloud: orders to their ends at rising rates, and what the emulator can do at best."""

from __future__ import annotations

import http.client
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bench.figures import Progress, percentile, spread
from bench.processes import ROOT
from bench.setting import ON_THE_WAY
from bench.workload import STOCK, orders
from orderctl.deploying import package
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline.pipeline import Pipeline
from orderctl.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_RATES: Final = (5, 10, 20, 40, 80, 160)
_READERS: Final = 3
_SENDERS: Final = 24
_PATIENCE_SECONDS: Final = 120.0
_SATURATED: Final = 0.85
"""Below this share of the rate, the pipeline does not keep up."""
_DRIVERS: Final = 2
"""As many callers as it takes to keep the emulator busy; more only take its CPU."""
_BURST: Final = 20
"""Orders of a burst, for each second that a rate is kept up."""
# Where /proc/PID/stat has them, counted behind the program's name.
_PARENT: Final = 1
_USER_TICKS: Final = 11
_MESSAGES: Final = sum(f.events_of_an_order for f in ON_THE_WAY if f.in_batches)
"""How many messages of an order are taken off queues."""
_PARAMETERS: Final = {"ChargeFailureRate": "0", "ApiRateLimit": "1000", "ApiBurstLimit": "2000"}
"""No order is tried again, and none is turned away: what the cloud can do is measured."""


@dataclass(slots=True)
class _Ends:
    """When each order ended: when a shop's own service has read so on the queue of the updates."""

    client: SQSClient
    queue_url: str
    at: dict[str, float] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watch(self) -> Iterator[None]:
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


def free_ports(port: int | None) -> list[int] | None:
    """A port alone, or any free one."""
    return None if port is None else [port]


def measure(
    seconds: float, repetitions: int, port: int | None, report_progress: Progress
) -> dict[str, Any]:
    """Send orders at rising rates until they do not end as fast as they come; then all at once.

    The emulator's ceiling is measured in turn with the bursts, on a cloud of its own, so that what
    else the machine does hits both.

    Args:
        seconds: how long each rate is kept up.
        repetitions: how many bursts there are, and runs at the ceiling.
        port: where the local cloud listens; any free port when not given.
        report_progress: called with how much is done, of how much.

    Returns:
        The rates and what became of them, the bursts, and the emulator's ceiling.
    """
    with (
        LocalCloud(ports=free_ports(port)) as cloud,
        LocalCloud(ports=free_ports(port and port + 1)) as bare,
    ):
        for one in (cloud, bare):
            prepare(one)
        _take_functions_out(bare)
        _send(cloud, 10, 2.0)  # the first orders meet cold functions
        levels: list[dict[str, Any]] = []
        for rate in _RATES:
            levels.append(_send(cloud, int(rate * seconds), rate))
            report_progress(len(levels), len(_RATES))
            if levels[-1]["ended_per_second"] < rate * _SATURATED:
                break
        bursts: list[dict[str, Any]] = []
        ceiling: list[dict[str, Any]] = []
        for number in range(repetitions):
            bursts.append(send_burst(cloud, int(_BURST * seconds)))
            ceiling.append(_at_ceiling(bare, seconds / 2, bursts[-1]["batch_fill"]))
            report_progress(number + 1, repetitions)
    ours = spread([burst["ended_per_second"] for burst in bursts])
    most = spread([run["orders_per_second"] for run in ceiling])
    return {
        "rates": levels,
        "bursts": bursts,
        "ceiling": ceiling,
        "orders_per_second": ours,
        "ceiling_orders_per_second": most,
        "share_of_ceiling": round(ours["median"] / most["median"], 3),
    }


def prepare(cloud: LocalCloud) -> None:
    """Deploy the pipeline, and fill the stock."""
    cloud.deploy(package.build(package.Target.this_machine()), parameters=_PARAMETERS)
    stock = Pipeline(cloud.session(), cloud.state.stack_name).stock
    for sku, available in STOCK.items():
        stock.put(sku, available)


def send_burst(cloud: LocalCloud, count: int) -> dict[str, Any]:
    """Send orders all at once, and watch them end."""
    return _send(cloud, count, math.inf)


def _send(cloud: LocalCloud, count: int, rate: float) -> dict[str, Any]:
    """Send orders at a rate, whatever becomes of them, and watch them end."""
    made = orders(count)
    invoked, cpu = _consumer_invocations(cloud), _cpu(cloud)
    ends = _Ends(cloud.session().client("sqs"), cloud.outputs["OrderUpdatesQueueUrl"])
    senders = _Senders(cloud.outputs["ApiUrl"])
    with ends.watch(), ThreadPoolExecutor(_SENDERS) as pool:
        started = time.monotonic()
        placing = []
        for number, order in enumerate(made):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            placing.append(pool.submit(senders.place, order))
        for future in placing:
            future.result()
        wait_until(
            lambda: len(ends.at) >= len(made), patience_seconds=_PATIENCE_SECONDS, poll_seconds=0.05
        )
    used = {name: seconds - cpu[name] for name, seconds in _cpu(cloud).items()}
    # From when it should have been sent: a caller that had to wait for its turn is late, too.
    took = [
        ends.at[order["order_id"]] - (started + number / rate)
        for number, order in enumerate(made)
        if order["order_id"] in ends.at
    ]
    elapsed = max(ends.at.values(), default=math.inf) - started
    return {
        "rate": rate if rate < math.inf else None,
        "orders": len(made),
        "ended": len(took),
        "ended_per_second": round(len(took) / elapsed, 2),
        "cpu_ms_per_order": _per_order(used, count),
        "batch_fill": round(_MESSAGES * count / (_consumer_invocations(cloud) - invoked), 2),
        **{f"p{p}_seconds": round(percentile(took, p / 100), 3) for p in (50, 95, 99) if took},
    }


def _consumer_invocations(cloud: LocalCloud) -> int:
    """How often the functions behind queues have been invoked so far."""
    metrics, now = cloud.session().client("cloudwatch"), datetime.now(UTC)
    points = [
        point
        for function in ON_THE_WAY
        if function.in_batches
        for point in metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[{"Name": "FunctionName", "Value": function.name}],
            StartTime=now - timedelta(days=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
    ]
    return int(sum(point["Sum"] for point in points))


def _at_ceiling(bare: LocalCloud, seconds: float, fill: float) -> dict[str, Any]:
    """Make the AWS calls of orders with no function in between, as fast as they go.

    Args:
        bare: a cloud with the stack, and without the functions.
        seconds: for how long.
        fill: how many messages a batch holds: as many as the functions got, for the same calls.
    """
    command = (sys.executable, "-m", "bench.driver", str(seconds), str(min(round(fill), 10)))
    cpu = _cpu(bare)
    running = [
        subprocess.Popen(
            command, env=_environment(bare), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(_DRIVERS)
    ]
    done = [json.loads(process.communicate()[0]) for process in running]
    count = sum(d["orders"] for d in done)
    used = {
        "emulator": _cpu(bare)["emulator"] - cpu["emulator"],
        "callers": sum(d["cpu"] for d in done),
    }
    return {
        "orders_per_second": round(sum(d["orders"] / d["seconds"] for d in done), 2),
        "calls_per_order": round(sum(d["calls"] for d in done) / count, 1),
        "cpu_ms_per_order": _per_order(used, count),
    }


def _cpu(cloud: LocalCloud) -> dict[str, float]:
    """Seconds of CPU that the emulator and the functions' processes, its children, have used."""
    server = cloud.state.pid
    used = {"emulator": 0.0, "functions": 0.0}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        ticks = int(fields[_USER_TICKS]) + int(fields[_USER_TICKS + 1])
        if stat.parent.name == str(server):
            used["emulator"] = ticks / os.sysconf("SC_CLK_TCK")
        elif fields[_PARENT] == str(server):
            used["functions"] += ticks / os.sysconf("SC_CLK_TCK")
    return used


def _per_order(seconds: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: round(used * 1000 / count, 1) for name, used in seconds.items()}


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
