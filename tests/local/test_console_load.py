"""The console with many viewers and with many orders: what it asks of AWS, and how quick it is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orderctl.console.collector import ON_AWS, ON_LOCAL_CLOUD, Pace
from orderctl.console.orders_page import A_PAGE, LOOKED_AT
from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline import Pipeline
from support import many_orders
from support.browser import chromium, needs_chromium, opened, served
from support.command_line import PROGRAM
from support.pipeline import STACK, eventually
from support.viewers import watching

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(STACK is not None, reason="it would fill the stack that is tried"),
]
VIEWERS = 200
SECONDS = 12
ORDERS = 10_000


class Calls:
    """Counts what a console asks of AWS."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self.count = 0

    def open_pipeline(self) -> Pipeline:
        session = self._cloud.session()
        session.events.register("before-send", self._called)
        return Pipeline(session, self._cloud.state.stack_name)

    def _called(self, **_call: Any) -> None:  # noqa: ANN401 - botocore's
        self.count += 1

    def a_second(self) -> float:
        """The calls of a second, over some."""
        before, started = self.count, time.monotonic()
        time.sleep(SECONDS)
        return (self.count - before) / (time.monotonic() - started)


@pytest.mark.parametrize(
    ("pace", "may_change", "most"),
    [(ON_LOCAL_CLOUD, True, 20), (ON_AWS, True, 8), (ON_AWS, False, 8)],
    ids=["local", "AWS", "AWS, read-only"],
)
def test_two_hundred_viewers_cost_the_pipeline_what_one_does(
    cloud: LocalCloud, pace: Pace, may_change: bool, most: float
) -> None:
    calls = Calls(cloud)
    with served(calls.open_pipeline, pace=pace, may_change=may_change) as address:
        assert calls.a_second() == 0  # nobody looks
        with watching(address, 1) as viewers:
            eventually(lambda: all(viewers.pictures))
            of_one = calls.a_second()
        with watching(address, VIEWERS) as viewers:
            eventually(lambda: all(viewers.pictures))
            of_all = calls.a_second()
        print(f"{of_one:.1f} calls a second for one, {of_all:.1f} for {VIEWERS}")
        assert 0 < of_one < most
        assert of_all < most
        eventually(lambda: calls.a_second() == 0)  # all have gone, and are let go


def test_viewers_who_come_and_go_leave_nothing_behind(
    cloud: LocalCloud, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [PROGRAM, "console", "--port", "4599"], env=environment, stdout=subprocess.PIPE, text=True
    ) as console:
        assert console.stdout
        address = console.stdout.readline().split()[-1]
        megabytes = []
        for _ in range(5):
            with watching(address, VIEWERS) as viewers:
                eventually(partial(all, viewers.pictures))
            eventually(lambda: _connections(console.pid) < VIEWERS // 10)
            megabytes.append(_megabytes(console.pid))
        console.terminate()
    print(megabytes)
    # It takes what it needs for so many within the first rounds, in a step or two.
    assert megabytes[-1] - megabytes[2] < 5, megabytes


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _connections(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def full_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of its own, with so many orders on record."""
    with LocalCloud(StateDirectory(tmp_path_factory.mktemp("full"))) as cloud:
        cloud.deploy(package.build(Target.this_machine()), parameters={"ChargeFailureRate": "0"})
        many_orders.put(Pipeline(cloud.session(), cloud.state.stack_name), "bulk", ORDERS)
        yield cloud


@needs_chromium
def test_ten_thousand_orders_do_not_slow_it(full_cloud: LocalCloud) -> None:
    pipeline = Calls(full_cloud).open_pipeline()
    with (
        chromium() as browser,
        served(Calls(full_cloud).open_pipeline) as address,
        opened(browser, address) as page,
    ):
        base = address.partition("?")[0]
        page.locator("#picture-wide .card[data-step=payments]").wait_for()
        for path, shows in (
            ("orders", "50 orders, placed in the last day, and more on the next page."),
            ("orders?status=cancelled&age=1h", "50 orders, placed in the last day, and more"),
            ("orders?sku=lamp&reason=STOCK", "50 orders, placed in the last day, and more"),
            ("orders?text=customer-4321", f"1 order among the newest {LOOKED_AT:,} that were"),
            ("orders?text=customer-9876", f"No order fits among the newest {LOOKED_AT:,} that"),
            ("orders?text=bulk-9876", "1 order, placed in the last day."),
            ("orders/bulk-4321", "bulk-4321"),
        ):
            began = time.monotonic()
            page.goto(base + path)
            print(path, f"{time.monotonic() - began:.2f} s", len(page.content()))
            assert time.monotonic() - began < 10, path
            assert shows in page.locator("main").inner_text()
            assert len(page.content()) < 50_000, path
        page.goto(f"{base}orders")
        assert page.locator("tbody tr").count() == A_PAGE
        page.get_by_role("link", name="Older").click()
        page.get_by_role("link", name="bulk-50", exact=True).wait_for()
        page.get_by_role("link", name="Newest").click()
        page.get_by_label("Status").select_option("cancelled")
        page.wait_for_url("**/orders?*status=cancelled*")
        page.get_by_label("SKU").fill("lamp")
        page.wait_for_url("**/orders?*sku=lamp*")
        page.reload()
        assert page.get_by_label("SKU").input_value() == "lamp"
        assert page.locator(".status:not(.cancelled)").count() == 0
        page.goto(f"{base}orders?text=customer-9876")
        page.get_by_role("link", name="Look further back").click()
        page.get_by_text("bulk-9876").wait_for()
        page.goto(base)
        page.locator("#picture-wide .card[data-step=payments]").wait_for()
        page.evaluate(_WATCH_FRAMES)
        for number in range(50):
            pipeline.api.place({"order_id": f"passing-{number}", "amount": 1})
        page.locator(".events").get_by_text("passing-49").first.wait_for()
        print("slowest frame", page.evaluate("slowest"))
        assert page.evaluate("slowest") < 500
        heap = page.evaluate("performance.memory.usedJSHeapSize")
        assert heap < 60_000_000


_WATCH_FRAMES = """() => {
  window.slowest = 0;
  let last = performance.now();
  const look = (now) => {
    window.slowest = Math.max(window.slowest, now - last);
    last = now;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
