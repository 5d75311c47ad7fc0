"""Percent-encoding is the standard library's."""

from __future__ import annotations

from urllib import parse

import pytest

from orders.aws.wire.quoting import quote

EVERY_BYTE = "".join(map(chr, range(128))) + "äß€🍏"


@pytest.mark.parametrize("safe", ["", "/", "/:"])
def test_every_character_is_quoted_as_it_is_there(safe: str) -> None:
    assert quote(EVERY_BYTE, safe) == parse.quote(EVERY_BYTE, safe)


def test_nothing_is_safe_by_itself() -> None:
    assert quote("/a b") == "%2Fa%20b"
