"""Every open page gets what it has still to get, and no page holds up another."""

from __future__ import annotations

import asyncio

from orderctl.console.live import Frame, Hub


def run(coroutine: object) -> None:
    asyncio.run(coroutine)  # type: ignore[arg-type]


def test_a_page_starts_with_the_state_of_things_and_goes_on() -> None:
    async def story() -> None:
        hub = Hub(lambda _wanted: None)
        hub.tell(Frame("flow", "one"), lasting=True)
        hub.tell(Frame("events", "missed"), lasting=False)
        page = hub.follow()
        assert (await anext(page)).startswith("retry:")
        assert await anext(page) == "event: flow\ndata: one\n\n"
        hub.tell(Frame("flow", "two\nlines"), lasting=True)
        assert await anext(page) == "event: flow\ndata: two\ndata: lines\n\n"
        await page.aclose()

    run(story())


def test_a_slow_page_skips_to_the_newest() -> None:
    async def story() -> None:
        hub = Hub(lambda _wanted: None)
        page = hub.follow()
        await anext(page)
        for number in range(1000):
            hub.tell(Frame("flow", str(number)), lasting=True)
        assert await anext(page) == "event: flow\ndata: 999\n\n"
        await page.aclose()

    run(story())


def test_what_is_the_same_is_not_sent_again() -> None:
    async def story() -> None:
        hub = Hub(lambda _wanted: None)
        page = hub.follow()
        await anext(page)
        for text in ("same", "same", "other"):
            hub.tell(Frame("flow", text), lasting=True)
        assert "other" in await anext(page)
        await page.aclose()

    run(story())


def test_the_pipeline_is_read_only_while_somebody_looks() -> None:
    said: list[bool] = []

    async def story() -> None:
        hub = Hub(said.append)
        pages = [hub.follow() for _ in range(200)]
        for page in pages:
            await anext(page)
        assert set(said) == {True}
        for page in pages:
            await page.aclose()

    run(story())
    assert said[-1] is False
    assert said.count(False) == 1
