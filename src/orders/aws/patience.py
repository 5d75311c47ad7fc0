"""Patience: what AWS refuses for a transient reason is tried again in the same invocation.

The SDK repeats calls that failed, and does not look into answers: a call that answers 200 can
refuse single statements, keys or entries. A table or bus that ramps up does so for seconds, and
must not use up the few deliveries that a message has.
"""

from __future__ import annotations

from random import uniform
from time import sleep
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orders.aws.context import Context

T = TypeVar("T")
AnswerT = TypeVar("AnswerT")

TRIES: Final = 5
"""How often something is tried in an invocation, the first time included."""
_FIRST_PAUSE_SECONDS: Final = 0.1
"""It doubles with each try: in all some 1.5 seconds, as throughput is counted by the second."""

SPARED_MILLISECONDS: Final = 5000
"""How long before its timeout a function stops waiting: 2 seconds before it stops taking up work,
so that waiting for one order leaves the others of the batch their time."""

HELD: Final = "TransactionConflict"
"""The code of what another transaction holds."""
UNPROCESSED: Final = "UnprocessedKeys"
"""Stands for the code of a key that ``BatchGetItem`` left out."""

TRANSIENT_CODES: Final = frozenset(
    {
        # Statements: BatchStatementError in the DynamoDB API reference. Transactions have some of
        # these as cancellation reasons.
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        HELD,
        UNPROCESSED,
        # Entries: "retryable errors" of PutEventsResultEntry in the EventBridge API reference.
        "InternalFailure",
        "ThrottlingException",
        # Whole calls, after the SDK's own tries.
        "InternalException",
        "ProvisionedThroughputExceededException",
    }
)
"""The codes of refusals that a later try may not meet. The write may have been made even so."""


class Patience:
    """Waits between the tries of one thing: mostly twice as long each time, spread at random."""

    def __init__(
        self,
        context: Context,
        first_pause: float = _FIRST_PAUSE_SECONDS,
        *,
        growth: float = 2.0,
        shortest_pause: float = 0.0,
        tries: int = TRIES,
    ) -> None:
        """Begin before the first try.

        Args:
            context: the invocation's, which says how much time is left.
            first_pause: in seconds.
            growth: how many times as long a pause is as the one before.
            shortest_pause: in seconds; then they become no shorter.
            tries: how many at most.
        """
        self._context = context
        self._pause = first_pause
        self._growth = growth
        self._shortest_pause = shortest_pause
        self._tries_left = tries - 1

    def wait(self) -> bool:
        """Wait for a while after a try; False, at once, when tries or time are used up."""
        seconds = self._pause * uniform(0.5, 1.5)  # noqa: S311 - no secret
        left = self._context.get_remaining_time_in_millis() - seconds * 1000
        if not self._tries_left or left < SPARED_MILLISECONDS:
            return False
        sleep(seconds)
        self._tries_left -= 1
        self._pause = max(self._pause * self._growth, self._shortest_pause)
        return True


def try_all(
    things: Sequence[T],
    attempt: Callable[[Sequence[T]], list[AnswerT]],
    context: Context,
    first_pause: float = _FIRST_PAUSE_SECONDS,
) -> list[AnswerT]:
    """Try things together; then again those that were refused for a transient reason.

    Args:
        things: such as the entries of a call.
        attempt: tries some of them; answers for each, mostly with None or the code of a refusal.
        context: the invocation's.
        first_pause: before the second try, in seconds.

    Returns:
        For each thing the last answer; what is no transient code is final.
    """
    answers = attempt(things)
    patience = Patience(context, first_pause)
    while (
        left := [n for n, answer in enumerate(answers) if answer in TRANSIENT_CODES]
    ) and patience.wait():
        for n, answer in zip(left, attempt([things[n] for n in left]), strict=True):
            answers[n] = answer
    return answers
