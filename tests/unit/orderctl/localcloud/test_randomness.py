"""Random bytes come from a supply, and each is given out once."""

from __future__ import annotations

import uuid

import pytest

from orderctl.localcloud import randomness
from orderctl.localcloud.randomness import Supply


def test_all_bytes_are_the_kernels_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ask(size: int) -> bytes:
        asked.append(size)
        return bytes([len(asked)]) * size

    monkeypatch.setattr(randomness, "_BYTES_AT_ONCE", 10)
    monkeypatch.setattr(randomness, "_ask_kernel", ask)
    supply = Supply()
    assert [supply.take(size) for size in (4, 6, 3)] == [b"\1" * 4, b"\1" * 6, b"\2" * 3]
    assert supply.take(8) == b"\3" * 8, "what is left does not do, and is not used"
    assert supply.take(11) == b"\4" * 11, "more than a supply"
    assert asked == [10, 10, 10, 11]


def test_no_bytes_come_twice() -> None:
    supply = Supply()
    taken = [supply.take(16) for _ in range(5_000)]
    assert len({*taken}) == len(taken)


def test_an_id_is_a_random_uuid() -> None:
    ids = [randomness.new_uuid() for _ in range(1_000)]
    for text in ids:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
    assert len({*ids}) == len(ids)
    assert {text[19] for text in ids} == {*"89ab"}
