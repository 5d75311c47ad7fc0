"""A thread that works only while somebody looks."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Final

AFTER_A_FAILURE_SECONDS: Final = 3.0
"""How long to rest before the next try."""


class Watching(ABC):
    """Works again and again while it is wanted, until it is stopped."""

    def __init__(self, name: str) -> None:
        """Name the thread."""
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; it does nothing until somebody looks."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the work that is under way."""
        self._stopped.set()
        self._wanted.set()

    def want(self, wanted: bool) -> None:
        """Say whether anybody looks."""
        if wanted:
            self._wanted.set()
        elif not self._stopped.is_set():
            self._wanted.clear()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wanted.wait()
            if not self._stopped.is_set():
                self._work()

    @abstractmethod
    def _work(self) -> None:
        """Work once, and rest if need be."""
