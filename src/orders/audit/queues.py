"""What is on its way, as the queues' attributes say: no message is received."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orders.audit.decisions import Queues

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_COUNTS: Final[Sequence[QueueAttributeNameType]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class QueueDepths:
    """Counts messages."""

    client: Callable[[], SQSClient]
    consumed: Sequence[str]
    """The URLs of the consumers' queues."""
    dead_letter: Sequence[str]
    """The URLs of the dead-letter queues in which an order's messages are parked."""

    def look(self) -> Queues:
        """What is on its way now.

        Messages of which none is being worked on wait for a consumer that is paused, or that
        cannot work. Which orders are parked is not known: while any is, none is judged by what
        its message may put right.

        Raises:
            AwsError: a call failed.
        """
        waiting = [self._counts(url) for url in self.consumed]
        is_parked = any(sum(self._counts(url)) for url in self.dead_letter)
        return Queues(
            is_waiting=any(sum(counts) for counts in waiting),
            is_paused=any(visible and not in_work for visible, in_work, _ in waiting),
            parked=None if is_parked else (),
        )

    def _counts(self, url: str) -> tuple[int, int, int]:
        answer = self.client().get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)
        visible, in_work, delayed = (int(answer["Attributes"][name]) for name in _COUNTS)
        return visible, in_work, delayed
