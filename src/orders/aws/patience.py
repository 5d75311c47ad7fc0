"""Patience: what AWS refuses for a passing reason is tried again in the same invocation.

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

TRIES: Final = 5
"""How often something is tried in an invocation, the first time included."""
_FIRST_PAUSE_SECONDS: Final = 0.1
"""It doubles with each try: in all some 1.5 seconds, as throughput is counted by the second."""

PATIENT_MILLISECONDS: Final = 5000
"""How long before its timeout a function stops waiting: 2 seconds before it stops taking up work,
so that waiting for one order leaves the others of the batch their time."""

UNPROCESSED: Final = "UnprocessedKeys"
"""Stands for the code of a key that ``BatchGetItem`` left out."""

PASSING: Final = frozenset(
    {
        # Statements: BatchStatementError in the DynamoDB API reference. Transactions have some of
        # these as cancellation reasons.
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
        UNPROCESSED,
        # Entries: "retryable errors" of PutEventsResultEntry in the EventBridge API reference.
        "InternalFailure",
        "ThrottlingException",
        # Whole calls, after the SDK's own tries.
        "InternalException",
        "ProvisionedThroughputExceededException",
    }
)
"""The codes of refusals that a later try may not meet. Some may hide a write that was made."""


class Patience:
    """Waits between the tries of one thing: twice as long each time, at random distances."""

    def __init__(self, context: Context, first_pause: float = _FIRST_PAUSE_SECONDS) -> None:
        """Begin before the first try.

        Args:
            context: the invocation's, which says how much time is left.
            first_pause: in seconds.
        """
        self._context = context
        self._pause = first_pause
        self._tries_left = TRIES - 1

    def wait(self) -> bool:
        """Wait for a while after a try; False, at once, when tries or time are used up."""
        seconds = self._pause * uniform(0.5, 1.5)  # noqa: S311 - no secret
        left = self._context.get_remaining_time_in_millis() - seconds * 1000
        if not self._tries_left or left < PATIENT_MILLISECONDS:
            return False
        sleep(seconds)
        self._tries_left -= 1
        self._pause *= 2
        return True


def try_all(
    things: Sequence[T], attempt: Callable[[Sequence[T]], list[str | None]], context: Context
) -> list[str | None]:
    """Try things together; then again those that were refused for a passing reason.

    Args:
        things: such as the entries of a call.
        attempt: tries some of them; answers for each None, or the code it was refused with.
        context: the invocation's.

    Returns:
        For each thing None, or the code it was refused with the last time.
    """
    codes = attempt(things)
    patience = Patience(context)
    while (left := [n for n, code in enumerate(codes) if code in PASSING]) and patience.wait():
        for n, code in zip(left, attempt([things[n] for n in left]), strict=True):
            codes[n] = code
    return codes
