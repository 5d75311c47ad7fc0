"""The console in a real browser, on the whole pipeline."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar

import pytest
from playwright.sync_api import Browser

from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline import Pipeline
from support.browser import chromium, needs_chromium, opened, served, shows
from support.hostile import IN_A_MESSAGE
from support.pipeline import STACK, PipelineUnderTest, eventually

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(STACK is not None, reason="it would operate the stack that is tried"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(cloud: LocalCloud) -> Iterator[str]:
    with served(lambda: Pipeline(cloud.session(), cloud.state.stack_name)) as address:
        yield address


def test_an_order_is_placed_and_followed_to_its_end(
    browser: Browser, address: str, pipeline: PipelineUnderTest
) -> None:
    with opened(browser, address) as page:
        page.locator("#connection[data-state=live]").wait_for()
        page.locator("#picture-wide .card[data-step=payments]").wait_for()
        page.get_by_role("link", name="Operate").click()
        page.get_by_label("Order id").fill("seen-1")
        page.get_by_role("button", name="Place it").click()
        page.get_by_text("Accepted: seen-1").wait_for()
        page.goto(address.partition("?")[0] + "orders/seen-1")
        shows(page, "confirmed")
        assert page.locator(".waterfall svg").count() == 1
        assert page.locator("body").evaluate("body => body.scrollWidth <= innerWidth")


@pytest.mark.long
def test_a_dead_letter_is_seen_changed_redriven_and_purged(
    browser: Browser, address: str, pipeline: PipelineUnderTest
) -> None:
    body = {"detail-type": "order.placed", "detail": {"order_id": "parked-1", "why": IN_A_MESSAGE}}
    queue = pipeline.dead_letters.queue("PaymentsDLQ")
    pipeline.sqs.send_message(QueueUrl=queue._url, MessageBody=json.dumps(body))
    with opened(browser, address) as page:
        page.get_by_role("link", name="Dead letters").click()
        page.get_by_role("row", name="parked-1").get_by_role("link").first.click()
        changed = json.dumps({**body, "source": "com.myapp.orders"})
        page.locator("textarea").fill(changed)
        page.get_by_role("button", name="Redrive the changed copy").click()
        page.get_by_text("as you changed it").wait_for()
        eventually(queue.depth)  # it is no order yet, and is parked again
        page.goto(address.partition("?")[0] + "dead-letters")
        page.get_by_text("Purge payments-dlq").click()
        page.get_by_label("To confirm, type payments-dlq").fill("payments-dlq")
        page.get_by_role("button", name="Delete for good").click()
        page.get_by_text("Deleted 1 from payments-dlq.").wait_for()
    eventually(lambda: not queue.depth())


@pytest.mark.long
def test_a_paused_consumer_is_seen_without_a_reload(
    browser: Browser, address: str, pipeline: PipelineUnderTest
) -> None:
    with opened(browser, address, width=400, dark=True) as page:
        card = page.locator("#picture-narrow .card[data-step=inventory]")
        card.wait_for()
        pipeline.consumer("inventory").switch(on=False)
        try:
            card.locator(".chip", has_text="paused").wait_for()
        finally:
            pipeline.consumer("inventory").switch(on=True)
        card.locator(".chip", has_text="paused").wait_for(state="detached")
        assert page.locator("body").evaluate("body => body.scrollWidth <= innerWidth")


@pytest.mark.long
def test_two_hundred_viewers_cost_the_pipeline_what_one_does(address: str) -> None:
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.open(address).close()
    got: list[bytes] = []

    def view() -> None:
        with opener.open(address.partition("?")[0] + "live", timeout=60) as stream:
            while True:
                line = stream.readline()
                if line.startswith(b"event: flow"):
                    got.append(line)
                    return

    viewers = [threading.Thread(target=view) for _ in range(200)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join(60)

    assert len(got) == 200
