"""Passes what happens on to every open page, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Final

BEAT_SECONDS: Final = 5.0
"""How often a page gets a sign of life at least; console.js waits for three of them."""
_BEAT: Final = "event: beat\ndata:\n\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page gets at once: the name of an event, and its data."""

    event: str
    data: str

    @property
    def text(self) -> str:
        """As it is sent: a line of the data in each line of the event."""
        lines = "".join(f"data: {line}\n" for line in self.data.split("\n"))
        return f"event: {self.event}\n{lines}\n"


@dataclass(slots=True)
class Hub:
    """The open pages, and what each has still to get. Used in one event loop only.

    Of frames with the same event a page that is slow gets only the newest, so none falls behind.
    """

    audience: Callable[[bool], None]
    """Is told when the first page opens and when the last one closes."""
    _last: dict[str, str] = field(default_factory=dict)
    _waiting: list[_Page] = field(default_factory=list)

    def tell(self, frame: Frame, *, lasting: bool) -> None:
        """Send a frame to every page.

        Args:
            frame: what to send.
            lasting: whether a page that opens later gets it, too, as the state of things.
        """
        text = frame.text
        if lasting:
            if self._last.get(frame.event) == text:
                return
            self._last[frame.event] = text
        for page in self._waiting:
            page.put(frame.event, text)

    async def follow(self) -> AsyncGenerator[str, None]:
        """What one page gets, until it closes."""
        page = _Page(dict(self._last))
        self._waiting.append(page)
        self.audience(True)
        try:
            yield "retry: 1000\n\n"
            while True:
                yield await page.take()
        finally:
            self._waiting.remove(page)
            self.audience(bool(self._waiting))


class _Page:
    def __init__(self, due: dict[str, str]) -> None:
        self._due = due
        self._news = asyncio.Event()
        if due:
            self._news.set()

    def put(self, event: str, text: str) -> None:
        self._due[event] = text
        self._news.set()

    async def take(self) -> str:
        """What is due, or a sign of life after a while."""
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return _BEAT
        self._news.clear()
        due, self._due = self._due, {}
        return "".join(due.values())
