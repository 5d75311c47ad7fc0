from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import botocore.session
import pytest

from orders.aws.patience import TRANSIENT_CODES, TRIES, Patience, try_all
from support.lambdas import Context


class Refusing:
    """Refuses things as it is told, call by call; then nothing more."""

    def __init__(self, *codes: dict[str, str]) -> None:
        self.calls: list[list[str]] = []
        self._codes = list(codes)

    def __call__(self, things: Sequence[str]) -> list[str | None]:
        self.calls.append(list(things))
        codes = self._codes.pop(0) if self._codes else {}
        return [codes.get(thing) for thing in things]


def test_what_is_taken_is_tried_once_and_nobody_looks_at_the_clock() -> None:
    attempt = Refusing()
    hasty: Context = None  # type: ignore[assignment]
    assert try_all("abc", attempt, hasty) == [None, None, None]
    assert attempt.calls == [["a", "b", "c"]]


def test_only_what_was_refused_for_a_passing_reason_is_tried_again(pauses: list[float]) -> None:
    attempt = Refusing(
        {"b": "ThrottlingError", "c": "DuplicateItem", "d": "UnprocessedKeys"},
        {"d": "InternalFailure"},
    )
    assert try_all("abcd", attempt, Context()) == [None, None, "DuplicateItem", None]
    assert attempt.calls == [["a", "b", "c", "d"], ["b", "d"], ["d"]]
    assert len(pauses) == 2


def test_a_second_try_may_be_refused_for_another_reason() -> None:
    """As a write is that was made though its answer said otherwise."""
    attempt = Refusing({"a": "InternalServerError"}, {"a": "DuplicateItem"})
    assert try_all("a", attempt, Context()) == ["DuplicateItem"]


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES))
def test_what_is_refused_for_long_is_given_up_for_now(code: str, pauses: list[float]) -> None:
    attempt = Refusing(*[{"a": code}] * 100)
    assert try_all("a", attempt, Context()) == [code]
    assert len(attempt.calls) == TRIES == len(pauses) + 1


def test_what_passes_is_as_the_api_references_have_it() -> None:
    """A code that is missing here uses up a message's deliveries in a second."""
    statements = {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
    final = {
        "AccessDenied",
        "ConditionalCheckFailed",
        "DuplicateItem",
        "ItemCollectionSizeLimitExceeded",
        "ResourceNotFound",
        "ValidationError",
    }
    model = botocore.session.get_session().get_service_model("dynamodb")
    known: Any = model.shape_for("BatchStatementErrorCodeEnum")
    assert set(known.enum) == statements | final
    entries = {"InternalFailure", "ThrottlingException", "InternalException"}
    keys = {"UnprocessedKeys", "ProvisionedThroughputExceededException"}
    assert statements | entries | keys == TRANSIENT_CODES


def test_the_pauses_double_and_are_spread(pauses: list[float]) -> None:
    for _ in range(200):
        patience = Patience(Context(remaining_milliseconds=60_000), first_pause=1)
        while patience.wait():
            pass
    for number in range(TRIES - 1):
        made = pauses[number :: TRIES - 1]
        assert 2**number * 0.5 <= min(made) < 2**number * 0.7
        assert 2**number * 1.3 < max(made) <= 2**number * 1.5


def test_nothing_waits_that_has_no_time_left_to_be_tried_again(pauses: list[float]) -> None:
    attempt = Refusing(*[{"a": "ThrottlingError"}] * 100)
    assert try_all("a", attempt, Context(remaining_milliseconds=5049)) == ["ThrottlingError"]
    assert (len(attempt.calls), pauses) == (1, [])
