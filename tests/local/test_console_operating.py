"""The console operates the pipeline: what one types and presses in a browser, and what follows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from orderctl.console.sessions import hurried
from orderctl.deploying import package
from orderctl.deploying.package import Target
from orderctl.localcloud.lifecycle import LocalCloud
from orderctl.localcloud.state import StateDirectory
from orderctl.pipeline import Pipeline
from orderctl.pipeline.incidents import INCIDENTS, Incidents
from support.browser import chromium, needs_chromium, opened, served
from support.command_line import PROGRAM
from support.pipeline import STACK, eventually

pytestmark = [
    pytest.mark.long,
    needs_chromium,
    pytest.mark.skipif(STACK is not None, reason="it would operate the stack that is tried"),
]
QUICK = {"RetryDelaySeconds": "0", "ChargeFailureRate": "0", "BreakerTries": "10"}
MINUTE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def own_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of its own: incidents and outages would disturb other tests."""
    with LocalCloud(StateDirectory(tmp_path_factory.mktemp("operated"))) as cloud:
        cloud.deploy(package.build(Target.this_machine()), parameters=QUICK)
        yield cloud


@pytest.fixture
def operated(own_cloud: LocalCloud) -> Pipeline:
    return Pipeline(own_cloud.session(), own_cloud.state.stack_name)


@pytest.fixture
def address(own_cloud: LocalCloud) -> Iterator[str]:
    def open_pipeline() -> Pipeline:
        return Pipeline(hurried(own_cloud.session()), own_cloud.state.stack_name)

    with served(open_pipeline, practises=True) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address) as page:
        page.get_by_role("link", name="Operate").click()
        yield page


def press(page: Page, name: str) -> str:
    """Press a button, and return what the console says of it."""
    page.get_by_role("button", name=name, exact=True).click()
    said = page.locator("main > .notice").first
    said.wait_for()
    return said.inner_text()


def test_the_order_form_names_what_is_wrong_and_keeps_what_was_typed(page: Page) -> None:
    page.get_by_label("Amount").fill("twelve")
    page.get_by_label("Order id").fill("mine")
    page.get_by_label("SKU").first.fill("<script>\"'\u202e")
    assert "Amount: 'twelve' is not an amount. Write it as in 12.50." in press(page, "Place it")
    assert page.get_by_label("SKU").first.input_value() == "<script>\"'\ufffd"
    page.get_by_label("Amount").fill("12.505")
    page.get_by_label("SKU").first.fill("mug")
    assert "amount" in press(page, "Place it")
    assert page.get_by_label("Order id").input_value() == "mine"
    page.get_by_label("Amount").fill("12.50")
    page.get_by_label("Quantity").fill("0")
    assert "quantity" in press(page, "Place it")
    page.get_by_label("Quantity").fill("1")
    assert "Accepted: mine." in press(page, "Place it")
    page.get_by_role("link", name="See it").click()
    page.get_by_role("heading", name="mine").wait_for()


def test_stock_is_set_added_and_spread(page: Page, operated: Pipeline) -> None:
    panel = page.locator(".panel", has=page.get_by_role("heading", name="Stock"))

    def change(number: str, how: str) -> str:
        panel.get_by_label("SKU").fill("lamp")
        panel.get_by_label("Number").fill(number)
        return press(page, how)

    assert "There is no SKU lamp" in change("3", "Add")
    assert "lamp: 30 available, none before." in change("30", "Set")
    assert "lamp: 27 available, 30 before." in change("-3", "Add")
    assert "lamp stands on 3 shelves" in change("3", "Spread over shelves")
    assert operated.stock.shelves("lamp").count == 3
    assert operated.stock.available()["lamp"] == 27
    assert "Number: 'x' is not a whole number. Write it as in 12." in change("x", "Set")
    assert "0 or more" in change("-1", "Set")


def test_a_consumer_is_paused_and_resumed(page: Page, operated: Pipeline) -> None:
    assert "inventory is paused." in press(page, "Pause inventory")
    assert operated.consumer("inventory").state() == "Disabled"
    row = page.get_by_role("row", name="inventory")
    assert "Disabled" in row.inner_text()
    assert "inventory takes messages again." in press(page, "Resume inventory")
    assert "Enabled" in row.inner_text()


def test_a_replay_is_estimated_confirmed_and_done(page: Page, operated: Pipeline) -> None:
    operated.api.place({"order_id": "replayed", "amount": 1})
    eventually(lambda: operated.orders.find(["replayed"])["replayed"]["status"] == "confirmed")
    panel = page.locator(".panel", has=page.get_by_role("heading", name="Replay"))
    assert panel.get_by_role("button").count() == 1
    panel.get_by_label("From").fill("soon")
    assert "From: " in press(page, "How many events?")
    assert panel.get_by_label("From").input_value() == "soon"
    panel.get_by_label("From").fill("1h")
    panel.get_by_label("To").fill("0m")
    assert "Nothing was started yet." in press(page, "How many events?")
    panel.get_by_role("button", name="Replay 2").click()
    page.get_by_text("Started ").wait_for()
    assert panel.get_by_role("button").count() == 1


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_is_started_seen_and_ended(page: Page, operated: Pipeline, name: str) -> None:
    operated.stock.put("mug", 100)
    page.goto(page.url)
    page.get_by_label("Incident").select_option(name)
    page.get_by_label("Seconds").fill("300")
    assert f"{name} goes on for 300 s." in press(page, "Make it happen")
    assert not page.get_by_role("button", name="Make it happen").count()
    page.get_by_role("link", name="Flow").click()
    page.locator("#news", has_text=f"{name} goes on, made on purpose").wait_for()
    page.get_by_role("link", name="Operate").click()
    assert f"{name} has ended." in press(page, "End it now")
    eventually(lambda: Incidents(operated).undo_left() == [], 60)


def test_an_incident_goes_on_and_ends_without_a_page(
    browser: Browser, address: str, operated: Pipeline
) -> None:
    operated.stock.put("mug", 100)
    with opened(browser, address) as page:
        page.get_by_role("link", name="Operate").click()
        page.get_by_label("Incident").select_option("stock-out")
        page.get_by_label("Seconds").fill("8")
        press(page, "Make it happen")
    before = {**operated.stock.available()}
    assert 0 in before.values()
    eventually(lambda: operated.stock.available().get("mug") == 100)


def test_an_outage_and_its_end_are_seen(browser: Browser, address: str, operated: Pipeline) -> None:
    orders = [f"outage-{number}" for number in range(30)]
    later = [f"later-{number}" for number in range(10)]
    with opened(browser, address) as page:
        news = page.locator("#news")
        card = page.locator("#picture-wide .card[data-step=payments]")
        card.wait_for()
        with Incidents(operated).happening("card-outage"):
            for order_id in orders:
                operated.api.place({"order_id": order_id, "amount": 1})
            news.get_by_text("The circuit of payments is open").wait_for(timeout=MINUTE)
            card.locator(".chip", has_text="circuit open").wait_for()
            for order_id in later:
                operated.api.place({"order_id": order_id, "amount": 1})
            expect(card.locator(".value").first).to_have_text(re.compile("[1-9][0-9]"))
            news.get_by_text("Alarm payments-circuit").wait_for(timeout=2 * MINUTE)
        card.locator(".chip").wait_for(state="detached", timeout=3 * MINUTE)
        news.get_by_text("Alarm payments-circuit").wait_for(state="detached", timeout=MINUTE)
    # What was parked before the circuit opened is sent back by the caretaker, after a pause.
    everything = [*orders, *later]
    eventually(
        lambda: {o["status"] for o in operated.orders.find(everything).values()} == {"confirmed"},
        400,
    )


def test_a_cloud_that_stands_still_is_told_of_and_caught_up_with(
    browser: Browser, address: str, own_cloud: LocalCloud, operated: Pipeline
) -> None:
    with opened(browser, address) as page:
        page.locator("#picture-wide .card[data-step=payments]").wait_for()
        os.kill(own_cloud.state.pid, signal.SIGSTOP)
        try:
            page.locator("#news", has_text="The pipeline could not be read: this is old.").wait_for(
                timeout=MINUTE
            )
        finally:
            os.kill(own_cloud.state.pid, signal.SIGCONT)
        page.locator("#news", has_text="could not be read").wait_for(
            state="detached", timeout=MINUTE
        )
        operated.api.place({"order_id": "after-it", "amount": 1})
        page.locator(".events").get_by_text("after-it").first.wait_for(timeout=MINUTE)


def test_a_console_that_ends_is_told_of_and_found_again(
    browser: Browser, own_cloud: LocalCloud
) -> None:
    environment = os.environ | {"ORDERCTL_STATE_DIR": str(own_cloud.directory.path)}
    command = [str(PROGRAM), "console", "--port", "4598", "--read-only"]

    @contextmanager
    def console() -> Iterator[tuple[subprocess.Popen[str], str]]:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as it:
            assert it.stdout
            try:
                yield it, it.stdout.readline().split()[-1]
            finally:
                it.kill()

    context = browser.new_context()
    page = context.new_page()
    connection, live = page.locator("#connection"), page.locator("#connection[data-state=live]")
    with console() as (process, address):
        page.goto(address)
        live.wait_for()
        process.send_signal(signal.SIGSTOP)
        connection.get_by_text("connection lost at").wait_for(timeout=MINUTE)
        process.send_signal(signal.SIGCONT)
        live.wait_for(timeout=MINUTE)
    connection.get_by_text("connection lost at").wait_for(timeout=MINUTE)
    with console() as (_, address):
        connection.get_by_text("another console runs here now").wait_for(timeout=MINUTE)
        context.new_page().goto(address)
        live.wait_for(timeout=MINUTE)
    context.close()


def test_a_console_that_only_reads_shows_orders_moving_and_what_it_cannot(
    browser: Browser, own_cloud: LocalCloud, operated: Pipeline
) -> None:
    def open_pipeline() -> Pipeline:
        return Pipeline(own_cloud.session(), own_cloud.state.stack_name)

    with served(open_pipeline, may_change=False) as address, opened(browser, address) as page:
        page.locator("#picture-wide .card[data-step=payments]").wait_for()
        page.get_by_text("For every event, start it with --allow-changes.").wait_for()
        page.evaluate(_COUNT_DOTS)
        operated.api.place({"order_id": "only-read", "amount": 1})
        row = page.locator(".events li", has_text="only-read")
        row.filter(has_text="order.confirmed").wait_for(timeout=MINUTE)
        row.filter(has_text="order.placed").wait_for()
        page.wait_for_function("window.dots > 0")
    rules = operated.session.client("events").list_rules(
        EventBusName=operated.stack.outputs["EventBusName"], NamePrefix="orderctl-feed-"
    )
    assert rules["Rules"] == []


_COUNT_DOTS = """() => {
  window.dots = 0;
  new MutationObserver((changes) => {
    for (const change of changes) window.dots += change.addedNodes.length;
  }).observe(document.querySelector(".dots.wide"), { childList: true });
}"""


def test_dead_letters_are_redriven_one_by_one_and_together(page: Page, operated: Pipeline) -> None:
    queue = operated.dead_letters.queue("InventoryDLQ")
    sqs = operated.session.client("sqs")
    evil = "</pre><script>evil()</script>\u202e" + "long" * 100
    for number in range(3):
        sqs.send_message(QueueUrl=queue._url, MessageBody=f"{evil} {number}")
    page.get_by_role("link", name="Dead letters").click()
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    page.locator("textarea").fill("")
    page.locator("textarea").fill("not good \U0001f600 either")
    page.get_by_role("button", name="Redrive the changed copy").click()
    page.get_by_text("as you changed it").wait_for()
    eventually(lambda: queue.depth() == 3)
    page.reload()
    page.get_by_role("button", name="Redrive all of this reason").first.click()
    page.get_by_text("Redrove ").wait_for()
    eventually(lambda: queue.depth() == 3)
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    logged = page.get_by_role("region", name="Log lines")
    logged.get_by_text("ERROR message cannot be read").first.wait_for()
    page.goto(page.url.partition("dead-letters")[0] + "dead-letters")
    page.get_by_text("Purge inventory-dlq").click()
    page.get_by_label("To confirm, type inventory-dlq").fill("inventory")
    page.get_by_role("button", name="Delete for good").click()
    refused = page.get_by_text("Nothing was deleted: type inventory-dlq to confirm.")
    refused.wait_for()
    assert refused.evaluate("notice => notice === document.activeElement")
    assert page.get_by_label("To confirm, type inventory-dlq").input_value() == "inventory"
    page.get_by_label("To confirm, type inventory-dlq").fill("inventory-dlq")
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("Deleted 3 from inventory-dlq.").wait_for()
    page.get_by_text("Nothing is parked.").wait_for()
