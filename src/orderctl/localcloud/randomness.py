"""Random bytes from a supply, for the ids of requests, messages and events.

`os.urandom` asks the kernel, and lets other threads run meanwhile. Then the event loop waits for
its turn again: four times a request, a tenth of its time in all. Here the kernel is asked for many
bytes at once, and each of them is given out once.
"""

import os
import threading

from ministack.core import responses

from orderctl.localcloud import seams

_BYTES_AT_ONCE = 16 * 1024

_ask_kernel = os.urandom


class Supply:
    """Random bytes of the kernel."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._bytes = b""
        self._given = 0

    def take(self, size: int, /) -> bytes:
        """So many bytes, as from `os.urandom`."""
        if size > _BYTES_AT_ONCE:
            return _ask_kernel(size)
        with self._lock:
            if self._given + size > len(self._bytes):
                self._bytes, self._given = _ask_kernel(_BYTES_AT_ONCE), 0
            start, self._given = self._given, self._given + size
            return self._bytes[start : self._given]


def install() -> None:
    """Have `os.urandom` give out bytes from a supply, in this process and not in its children."""
    os.urandom = Supply().take
    os.register_at_fork(after_in_child=_ask_the_kernel_again)
    seams.replace_everywhere(responses, "new_uuid", new_uuid)


def new_uuid() -> str:
    """A random UUID (RFC 9562, version 4) as text, without an object of it in between."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _ask_the_kernel_again() -> None:
    os.urandom = _ask_kernel
