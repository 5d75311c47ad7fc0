"""Percent-encoding as AWS wants it; `urllib.parse` would cost a cold start 2 ms."""

from __future__ import annotations

from functools import cache
from typing import Final

_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


def quote(text: str, safe: str = "") -> str:
    """Every byte of a text that is not unreserved as ``%XX``, but for the characters in safe."""
    return "".join(map(_table(safe).__getitem__, text.encode()))


@cache
def _table(safe: str) -> list[str]:
    kept = _UNRESERVED | set(safe.encode())
    return [chr(byte) if byte in kept else f"%{byte:02X}" for byte in range(256)]
