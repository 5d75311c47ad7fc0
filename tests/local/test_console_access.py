"""The console for everybody: at both widths, in both themes, by keyboard, with a screen reader."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.pipeline import Pipeline
from support.accessibility import (
    MOST_SHIFT,
    nameless,
    shift,
    tab_stops,
    too_faint,
    too_wide,
    watch_shifts,
)
from support.browser import chromium, needs_chromium, opened, served
from support.hostile import IN_A_MESSAGE, WELL_FORMED
from support.pipeline import STACK, PipelineUnderTest, eventually

pytestmark = [
    pytest.mark.long,
    needs_chromium,
    pytest.mark.skipif(STACK is not None, reason="it would operate the stack that is tried"),
]
MARKUP = "</td></svg></textarea><script>evil()</script><img src=x onerror=evil()>\"' onload='evil()"
EVIL = f"{MARKUP}{WELL_FORMED}{'long' * 200}"
PAGES = ("", "orders?since=30d", "orders/{order}", "dead-letters", "operate", "film")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(cloud: LocalCloud) -> Iterator[str]:
    def open_pipeline() -> Pipeline:
        return Pipeline(cloud.session(), cloud.state.stack_name)

    with served(open_pipeline, practises=True) as address:
        yield address


@pytest.fixture
def order_id(pipeline: PipelineUnderTest) -> Iterator[str]:
    """An order in whose record everything is hostile, and a dead letter of the same kind."""
    order_id = f"hostile-{uuid.uuid4().hex[:8]}"
    pipeline.api.place({"order_id": order_id, "amount": 1})
    eventually(lambda: pipeline.orders.find([order_id])[order_id]["status"] == "confirmed")
    key = {"order_id": {"S": order_id}}
    table = pipeline.stack.outputs["OrdersTableName"]
    pipeline.dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET reason = :e, customer_id = :e, payment = :e, #items = :items",
        ExpressionAttributeNames={"#items": "items"},
        ExpressionAttributeValues={
            ":e": {"S": EVIL},
            ":items": {"L": [{"M": {"sku": {"S": EVIL}, "quantity": {"N": "1"}}}]},
        },
    )
    parked = {
        "detail-type": MARKUP + IN_A_MESSAGE,
        "detail": {"order_id": order_id, "why": MARKUP + IN_A_MESSAGE},
    }
    queue = pipeline.dead_letters.queue("PaymentsDLQ")
    pipeline.sqs.send_message(QueueUrl=queue._url, MessageBody=json.dumps(parked))
    yield order_id
    pipeline.dynamodb.delete_item(TableName=table, Key=key)
    for name in ("PaymentsTableName", "ReservationsTableName"):
        pipeline.dynamodb.delete_item(TableName=pipeline.stack.outputs[name], Key=key)


def watched(page: Page) -> None:
    """Have the page note what moves, and what hostile text would call."""
    watch_shifts(page)
    page.add_init_script("window.evil = () => { window.harmed = true; };")


def settled(page: Page, base: str, path: str) -> None:
    """Open a page, and wait until it has what comes later."""
    page.goto(base + path)
    if not path:
        page.locator(".picture .card[data-step=payments]").first.wait_for(state="attached")
        page.wait_for_timeout(4_000)
    if path == "film":
        page.locator("#play:enabled").wait_for(timeout=60_000)


def assert_good(page: Page, where: str) -> None:
    assert not too_wide(page), where
    assert not nameless(page), where
    assert not too_faint(page), where
    assert shift(page) < MOST_SHIFT, (where, shift(page))
    assert not page.evaluate("window.harmed"), where


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_can_be_read_and_stands_still(
    browser: Browser, address: str, order_id: str, width: int, dark: bool
) -> None:
    base = address.partition("?")[0]
    with opened(browser, address, width=width, dark=dark, prepare=watched) as page:
        for path in PAGES:
            settled(page, base, path.format(order=order_id))
            assert_good(page, path)
        page.goto(f"{base}dead-letters")
        page.get_by_role("row", name=order_id).get_by_role("link").first.click()
        page.locator("textarea").wait_for()
        assert_good(page, "a dead letter")


def test_every_control_is_reached_with_tab_and_shows_it(
    browser: Browser, address: str, order_id: str
) -> None:
    base = address.partition("?")[0]
    with opened(browser, address) as page:
        for path in PAGES:
            settled(page, base, path.format(order=order_id))
            page.evaluate(_OPEN_ALL)
            stops = tab_stops(page)
            assert stops[0] == "a Skip to the content"
            assert len(stops) == page.evaluate(_COUNT_CONTROLS), (path, stops)


def test_the_focus_stays_while_the_picture_changes(
    browser: Browser, address: str, pipeline: PipelineUnderTest
) -> None:
    ids = iter(pipeline.ids(500))
    with opened(browser, address) as page:

        def passes() -> str:
            """Have an order pass by; the first ones may do so before the bus is followed."""
            for order_id in ids:
                pipeline.api.place({"order_id": order_id, "amount": 1})
                page.wait_for_timeout(500)
                if page.locator(".events").get_by_role("link", name=order_id).count():
                    return order_id
            raise AssertionError("no order passed by")

        page.locator("#as-table summary").focus()
        page.keyboard.press("Enter")
        first = passes()
        assert page.evaluate("document.activeElement.localName") == "summary"
        assert page.locator("#as-table[open]").count() == 1, "the table has closed by itself"
        page.locator(".events").get_by_role("link", name=first).first.focus()
        passes()
        assert page.evaluate("document.activeElement.textContent") == first


def test_a_film_is_played_by_keyboard(browser: Browser, address: str) -> None:
    base = address.partition("?")[0]
    with opened(browser, address) as page:
        page.goto(f"{base}film")
        page.get_by_label("Seed").fill("19")
        page.get_by_label("Sabotage").select_option(index=1)
        page.get_by_label("Sabotage").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator("#play:enabled").wait_for(timeout=60_000)
        page.get_by_role("link", name="Seed").focus()
        page.keyboard.press("Enter")
        page.locator("#verdict", has_text="A rule notices").wait_for(timeout=60_000)
        page.get_by_role("button", name="Next fault").focus()
        page.keyboard.press("Enter")
        assert page.locator("#lines .failed").count()
        page.get_by_role("button", name="Play").focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Pause").wait_for()
        page.get_by_label("Position").focus()
        page.keyboard.press("End")
        page.get_by_role("button", name="Play").wait_for()
        end = page.get_by_label("Position").get_attribute("max")
        assert page.locator("#moment").inner_text().endswith(f"of {int(end or 0) + 1}")


_OPEN_ALL = "() => document.querySelectorAll('details').forEach((each) => { each.open = true; })"
_COUNT_CONTROLS = """() => [...document.querySelectorAll(
  'a[href], button, input, select, textarea, summary, [tabindex="0"]'
)].filter((each) => each.type !== 'hidden' && !each.disabled && each.getClientRects().length)
  .length"""
