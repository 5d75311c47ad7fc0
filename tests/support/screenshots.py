"""Makes the pictures of the console in docs/images, from a real run: `make screenshots`."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page

from orderctl import paths
from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline import Pipeline
from support.browser import chromium, opened, served

_IMAGES = paths.ROOT / "docs" / "images"
_ORDERS = 150
_A_SECOND = 5
_HEIGHT = 640


def main() -> None:
    """Start the pipeline, let orders flow while its charges fail, and take the pictures."""
    _IMAGES.mkdir(parents=True, exist_ok=True)
    with LocalCloud() as cloud:
        parameters = {"ChargeFailureRate": "0.2", "ChargeDeclineRate": "0.05"}
        cloud.deploy(package.build(Target.this_machine()), parameters=parameters)

        def open_pipeline() -> Pipeline:
            return Pipeline(cloud.session(), cloud.state.stack_name)

        pipeline = open_pipeline()
        pipeline.stock.put("mug", 500)
        sending = threading.Thread(target=_send, args=(open_pipeline(),))
        with chromium() as browser, served(open_pipeline) as address:
            with opened(browser, address) as page:
                page.locator("#picture-wide").wait_for()
                sending.start()
                confirmed = page.locator("#picture-wide .card[data-step=tracker] .value")
                confirmed.filter(has_text="/min").first.wait_for()
                page.wait_for_timeout(5_000)
                page.locator(".dots.wide .dot").nth(3).wait_for()
                _take(page, "flow")
            with opened(browser, address, width=400, dark=True) as page:
                page.locator("#picture-narrow").wait_for()
                _take(page, "flow-narrow-dark")
            sending.join()
            with opened(browser, address) as page:
                page.goto(f"{address.partition('?')[0]}orders/{_tried_again(pipeline)}")
                page.locator(".waterfall").wait_for()
                _take(page, "order")


def _send(pipeline: Pipeline) -> None:
    for number in range(_ORDERS):
        order = {"order_id": f"order-{number}", "amount": 10 + number}
        pipeline.api.place({**order, "items": [{"sku": "mug", "quantity": 1}]})
        time.sleep(1 / _A_SECOND)


def _tried_again(pipeline: Pipeline) -> str:
    """An order whose charge succeeded after a failure."""
    ids = [f"order-{number}" for number in range(_ORDERS)]
    payments = pipeline.orders.payments(ids)
    return max(ids, key=lambda id_: int(payments.get(id_, {}).get("attempt", 0)))


def _take(page: Page, name: str) -> None:
    path: Path = _IMAGES / f"{name}.png"
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": _width(page), "height": _HEIGHT})
    sys.stdout.write(f"{paths.display_path(path)}\n")


def _width(page: Page) -> int:
    size = page.viewport_size
    return size["width"] if size else 0


if __name__ == "__main__":
    main()
