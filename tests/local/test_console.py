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

SUM_SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifted += entry.value;
  }).observe({ type: "layout-shift" });
}"""


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
        for step in ("order-api", "payments", "inventory", "tracker"):
            rows = page.locator(f".waterfall tbody[data-step={step}]")
            assert rows.locator("tr.work").count() >= 1
            assert rows.locator("tr.call").count() >= 2
        charge = page.locator(".waterfall tbody[data-step=payments]")
        assert charge.locator("tr.queue").count() == 1
        assert "order.placed attempt 1charged" in charge.locator("tr.work").inner_text()
        call = charge.get_by_role("row", name="PutEvents")
        assert call.get_by_role("rowheader").inner_text() == "PutEventsorder-eventsok"
        assert call.get_by_role("cell").last.inner_text().endswith(" ms")
        page.get_by_label("calls, each on the scale of its attempt").uncheck()
        assert not call.is_visible()
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
def test_a_waiting_order_s_page_goes_on_without_a_reload_and_stands_still(
    browser: Browser, address: str, pipeline: PipelineUnderTest
) -> None:
    (order_id,) = pipeline.ids(1)
    consumer = pipeline.consumer("payments")
    consumer.switch(on=False)
    try:
        pipeline.api.place({"order_id": order_id, "amount": 1})
        eventually(lambda: pipeline.orders.find([order_id])[order_id].get("inventory"))
        with opened(browser, address, width=400, dark=True) as page:
            page.goto(f"{address.partition('?')[0]}orders/{order_id}")
            waiting = page.locator("[data-step=payments] tr.queue", has_text="so far")
            page.locator("[data-step=tracker] tr.work").wait_for()
            calls = page.get_by_label("calls, each on the scale of its attempt")
            calls.uncheck()
            before = waiting.inner_text()
            page.evaluate(SUM_SHIFTS)
            eventually(lambda: waiting.inner_text() != before)
            # A number that grows by a digit may move; a row of the table would be ten times this.
            assert page.evaluate("shifted") < 0.005
            assert not calls.is_checked()
            assert page.locator(".waits", has_text="its consumer is paused").count() == 1
            consumer.switch(on=True)
            page.locator("h1 .confirmed").wait_for()
            page.locator("#order:not([data-again])").wait_for()
            assert waiting.count() == 0
            assert page.locator("body").evaluate("body => body.scrollWidth <= innerWidth")
    finally:
        consumer.switch(on=True)


@pytest.mark.long
def test_the_page_of_a_parked_order_says_which_call_was_refused(
    browser: Browser, address: str, pipeline: PipelineUnderTest
) -> None:
    (order_id,) = pipeline.ids(1)
    with pipeline.without_permission("PaymentsRole", "dynamodb:PartiQLInsert"):
        pipeline.api.place({"order_id": order_id, "amount": 1})
        eventually(lambda: pipeline.dead_letters.depths()["payments-dlq"] == 1)
    with opened(browser, address) as page:
        page.goto(f"{address.partition('?')[0]}orders/{order_id}")
        payments = page.locator("[data-step=payments]")
        payments.locator("tr.parked", has_text="so far").wait_for()
        assert payments.locator("tr.work.failed").count() == 3
        assert "refused: AccessDenied" in payments.locator("tr.call.failed").first.inner_text()
        page.get_by_role("link", name="See it and redrive it").click()
        page.get_by_role("button", name="Redrive it as it is").click()
        page.goto(f"{address.partition('?')[0]}orders/{order_id}")
        page.locator("h1 .confirmed").wait_for()
        assert "so far" not in payments.locator("tr.parked").inner_text()
        assert "charged" in payments.locator("tr.work").last.inner_text()


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
