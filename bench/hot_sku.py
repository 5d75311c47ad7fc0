"""`make hot-sku`: one SKU that everybody wants, end to end on the local cloud.

As many orders for one SKU as for 500, in turn; then more orders for one SKU than there are pieces,
with cancels in between, while its number of shelves goes up and down. A transaction of the local
cloud holds its items, as on AWS. Nothing may be parked or oversold, and the books must balance.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bench.soak import wait_for_the_end
from orderctl.deploying import package
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline.audit import audit
from orderctl.pipeline.order_files import Outgoing, prepare
from orderctl.pipeline.pipeline import Pipeline
from orderctl.pipeline.sender import Result, Sender
from orderctl.pipeline.stock import StockError

_CALLERS: Final = 16
_MANY: Final = 500
_PARAMETERS: Final = {"ChargeFailureRate": "0", "ApiRateLimit": "10000", "ApiBurstLimit": "5000"}


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of some orders."""

    seconds: float
    """From the first call to the end of the last order."""
    parked: int
    """Messages at most at a time."""
    statuses: Counter[str]


def play(pipeline: Pipeline, orders: Sequence[Outgoing], cancelled: Sequence[Outgoing]) -> Ended:
    """Send orders, cancel some of them meanwhile, and wait until all have ended."""
    began = time.monotonic()
    result, api = Result(None), pipeline.api_client(_CALLERS)
    cancels = threading.Thread(target=_cancel, args=(pipeline, cancelled))
    cancels.start()
    Sender(api.post, _CALLERS).send(iter(orders), result, lambda: None)
    cancels.join()
    left, parked = wait_for_the_end(pipeline)
    seconds = time.monotonic() - began
    assert not any(left.values()), left
    assert result.taken == len(orders), f"{result.taken} orders were taken"
    ids = [order.order_id for order in orders]
    statuses = Counter(order["status"] for order in pipeline.orders.find(ids).values())
    return Ended(seconds, parked, statuses)


def _cancel(pipeline: Pipeline, orders: Sequence[Outgoing]) -> None:
    """Cancel orders one after the other, as soon as each is there."""
    api = pipeline.api_client(1)
    for order in orders:
        for _ in range(600):
            if api.cancel(order.order_id).status != HTTPStatus.NOT_FOUND:
                break
            time.sleep(0.1)


@contextmanager
def shelves_moving(pipeline: Pipeline, sku: str) -> Iterator[None]:
    """Change a SKU's number of shelves all the time."""
    enough = threading.Event()

    def move() -> None:
        for count in itertools.cycle((5, 1, 3, 8, 2)):
            with contextlib.suppress(StockError):  # it is tried again
                pipeline.stock.set_shelves(sku, count)
            if enough.wait(0.5):
                return

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def orders_for(skus: Sequence[str], count: int) -> list[Outgoing]:
    """Orders of one piece each."""
    return [
        prepare({"amount": 12.5, "items": [{"sku": skus[n % len(skus)], "quantity": 1}]})
        for n in range(count)
    ]


def run(count: int, transaction_ms: int, shelves: int) -> int:
    """Run it, and print what came of it; 0 if nothing was parked and the books balance."""
    with LocalCloud(transaction_ms=transaction_ms) as cloud:
        cloud.deploy(package.build(package.Target.this_machine()), parameters=_PARAMETERS)
        pipeline = Pipeline(cloud.session(), cloud.state.stack_name)
        many = [f"cold-{n}" for n in range(_MANY)]
        for sku in many:
            pipeline.stock.put(sku, count)
        pipeline.stock.put("hot", count * 2, shelves=shelves)
        pipeline.stock.put("scarce", count // 4)
        warm = orders_for(many, 32)
        play(pipeline, warm, [])
        cold = play(pipeline, orders_for(many, count), [])
        hot = play(pipeline, orders_for(["hot"], count), [])
        orders = orders_for(["scarce"], count)
        with shelves_moving(pipeline, "scarce"):
            scarce = play(pipeline, orders, random.sample(orders, count // 10))
        report = audit(pipeline)
        left = pipeline.stock.available()
    for name, ended in (("500 SKUs", cold), ("one SKU", hot), ("scarce", scarce)):
        ends = ", ".join(f"{n:,} {status}" for status, n in sorted(ended.statuses.items()))
        rate = count / ended.seconds
        print(f"{name:<10} {count:,} orders, {rate:.0f} a second, {ended.parked} parked: {ends}")
    print(f"ratio      {cold.seconds / hot.seconds:.2f} of the speed with 500 SKUs")
    sold = scarce.statuses["confirmed"]
    print(f"scarce     {count // 4:,} pieces: {sold:,} sold, {left['scarce']:,} left")
    print(f"audit      {len(report.findings)} findings, {report.in_flight} not judged")
    balances = sold + left["scarce"] == count // 4 and not report.findings
    return int(not balances or any(ended.parked for ended in (cold, hot, scarce)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--transaction-ms", type=int, default=12)
    parser.add_argument("--shelves", type=int, default=1, help="of the SKU with plenty of stock")
    options = parser.parse_args()
    sys.exit(run(options.orders, options.transaction_ms, options.shelves))


if __name__ == "__main__":
    main()
