"""Follows the bus while somebody looks, so that orders are seen moving."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError

from orderctl.console.collector import Open, explained
from orderctl.console.watching import AFTER_A_FAILURE_SECONDS, Watching
from orderctl.errors import OrderctlError
from orderctl.pipeline.feed import Feed, SeenEvent

_WAIT_SECONDS: Final = 2
_PAUSE_SECONDS: Final = 0.4
"""Between two receives: each takes ten events, so more of them are not all shown."""
_TOO_LATE: Final = timedelta(seconds=20)
_MOST_SECONDS_UNANSWERED: Final = 240.0
"""A feed's queue keeps what passes for five minutes: longer ago than that, begin anew."""


class Follower(Watching):
    """A thread that receives the events of the bus, from a rule and a queue of its own.

    Both are there only while somebody looks. When more events pass than it may receive, it drops
    those that are late by starting anew.
    """

    def __init__(self, open_pipeline: Open, tell: Callable[[Sequence[SeenEvent]], None]) -> None:
        """Take what opens the pipeline, and who is told of events, from the thread."""
        super().__init__("follower")
        self._open = open_pipeline
        self._tell = tell

    def stop(self) -> None:
        """End the thread, and wait until its rule and queue are gone."""
        super().stop()
        self._thread.join(_WAIT_SECONDS + 5)

    def _work(self) -> None:
        try:
            with explained(), self._open().feeds.follow() as feed:
                self._follow(feed)
        except OrderctlError:  # the collector says why
            self._stopped.wait(AFTER_A_FAILURE_SECONDS)

    def _follow(self, feed: Feed) -> None:
        """Tell what passes; while nobody answers, the feed's queue keeps it."""
        answered = time.monotonic()
        while self._wanted.is_set() and not self._stopped.is_set():
            try:
                events = feed.next(_WAIT_SECONDS)
            except BotoCoreError:
                if time.monotonic() - answered > _MOST_SECONDS_UNANSWERED:
                    raise
                self._stopped.wait(AFTER_A_FAILURE_SECONDS)
                continue
            answered = time.monotonic()
            if events:
                self._tell(events)
            if any(e.at and not e.replay and datetime.now(UTC) - e.at > _TOO_LATE for e in events):
                return
            time.sleep(_PAUSE_SECONDS)
