"""Answers that are shared by all who ask within a moment, so that many readers cost one reading."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_FRESH_SECONDS: Final = 2.0
_MOST: Final = 50


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made_at: float = -_FRESH_SECONDS
    content: str = ""


class Shared:
    """The newest pages, by their address; for many threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def get(self, address: str, make: Callable[[], str]) -> str:
        """A page that is fresh, or made now; whoever asks meanwhile waits for the same."""
        with self._lock:
            if address not in self._entries and len(self._entries) >= _MOST:
                self._entries.clear()
            entry = self._entries.setdefault(address, _Entry())
        with entry.lock:
            if time.monotonic() - entry.made_at >= _FRESH_SECONDS:
                entry.content = make()
                entry.made_at = time.monotonic()
            return entry.content

    def forget(self) -> None:
        """Make every page anew: something is being changed."""
        with self._lock:
            self._entries.clear()
