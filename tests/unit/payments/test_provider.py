from __future__ import annotations

from decimal import Decimal

import pytest

from orders.payments.provider import (
    Charged,
    Declined,
    ProcessorFailedError,
    SimulatedCardProcessor,
)

KEYS = [f"order-{number}" for number in range(1000)]


def answer(processor: SimulatedCardProcessor, key: str) -> Charged | Declined:
    return processor.charge(key, Decimal("1.00"), "USD")


def test_the_same_key_always_gets_the_same_answer() -> None:
    processor = SimulatedCardProcessor(failure_rate=0, decline_rate=0.5)
    assert [answer(processor, key) for key in KEYS] == [answer(processor, key) for key in KEYS]


def test_different_keys_are_different_charges() -> None:
    processor = SimulatedCardProcessor(failure_rate=0, decline_rate=0)
    assert len({answer(processor, key) for key in KEYS}) == len(KEYS)


def test_the_decline_rate_is_the_share_of_cards() -> None:
    processor = SimulatedCardProcessor(failure_rate=0, decline_rate=0.3)
    declined = sum(isinstance(answer(processor, key), Declined) for key in KEYS)
    assert 250 < declined < 350


def test_an_attempt_fails_when_the_draw_falls_below_the_failure_rate() -> None:
    draws = iter([0.0999, 0.1])
    processor = SimulatedCardProcessor(0.1, 0, draw=lambda: next(draws))
    with pytest.raises(ProcessorFailedError):
        answer(processor, "a")
    assert isinstance(answer(processor, "a"), Charged)


def test_a_cancel_may_fail_too() -> None:
    with pytest.raises(ProcessorFailedError):
        SimulatedCardProcessor(failure_rate=1, decline_rate=0).cancel("a")
    SimulatedCardProcessor(failure_rate=0, decline_rate=1).cancel("a")
