"""Debian's Chromium, driven by Playwright, and a console to open in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from orderctl.console import app, server
from orderctl.console.collector import ON_LOCAL_CLOUD, Pace
from orderctl.console.key import Key
from orderctl.console.listening import listen
from orderctl.pipeline import Pipeline
from orderctl.waiting import wait_until

_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    _CHROMIUM is None, reason="there is no Chromium here (Debian's package chromium), and no Chrome"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(
    open_pipeline: Callable[[], Pipeline],
    *,
    may_change: bool = True,
    practises: bool = False,
    pace: Pace = ON_LOCAL_CLOUD,
) -> Iterator[str]:
    """A console in a thread; yields its address, with the secret."""
    key, ready, over = Key(), threading.Event(), threading.Event()
    defects: list[BaseException] = []
    with listen(None) as listener:
        port = listener.getsockname()[1]
        options = app.Options(
            "order-pipeline",
            "the local cloud",
            pace,
            may_change,
            port,
            key,
            defects.append,
            practises,
        )
        thread = threading.Thread(
            target=server.serve,
            args=(
                listener,
                app.build(open_pipeline, options),
                ready.set,
                lambda: not over.is_set(),
            ),
        )
        thread.start()
        try:
            assert ready.wait(30)
            yield key.address(port)
        finally:
            over.set()
            thread.join(30)
    assert not defects


@contextmanager
def opened(
    browser: Browser,
    address: str,
    *,
    width: int = 1280,
    dark: bool = False,
    prepare: Callable[[Page], None] = lambda _page: None,
) -> Iterator[Page]:
    """A page of its own, on which nothing may go wrong unseen.

    Args:
        browser: what opens it.
        address: the console's, with its secret.
        width: of the window.
        dark: whether the dark theme is asked for.
        prepare: is called with the page before it is opened.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        reduced_motion="no-preference",
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(address[:20]) else faults.append(r.url))
    prepare(page)
    try:
        page.goto(address)
        yield page
    finally:
        context.close()
    assert not faults


def shows(page: Page, text: str, seconds: float = 30) -> None:
    """Load a page again and again until it shows a text."""

    def look() -> bool:
        page.reload()
        return text in page.locator("main").inner_text()

    assert wait_until(look, patience_seconds=seconds, poll_seconds=0.3), f"{text!r} is not shown"
