"""Reads what is parked in a dead-letter queue, each message with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from orderctl.pipeline import reasons
from orderctl.pipeline.dead_letters import event_in, order_id_in

if TYPE_CHECKING:
    from orderctl.pipeline.dead_letters import DeadLetterQueue
    from orderctl.pipeline.pipeline import Pipeline
    from orderctl.pipeline.queues import Message
    from orderctl.pipeline.reasons import Reason
    from orderctl.pipeline.steps import Step

# The clocks of the queue and of the log may differ.
_CLOCK_SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Parked:
    """A message in a dead-letter queue."""

    queue: str
    message: Message
    order_id: str | None
    event: str
    reason: Reason


@contextmanager
def peek(
    pipeline: Pipeline,
    queue: DeadLetterQueue,
    *,
    most: int | None = None,
    matches: Callable[[Message], bool] = lambda _message: True,
) -> Iterator[list[Parked]]:
    """Read messages without taking them; they are visible to others again after the block.

    Reading is a receive. That does no harm here: a dead-letter queue parks nothing further.

    Args:
        pipeline: the pipeline of the queue.
        queue: the queue.
        most: about how many messages to read; all by default.
        matches: which messages to return.
    """
    with queue.peek(most) as messages:
        yield _with_reasons(pipeline, queue, [m for m in messages if matches(m)])


def _with_reasons(
    pipeline: Pipeline, queue: DeadLetterQueue, messages: Sequence[Message]
) -> list[Parked]:
    if not messages:
        return []
    reason = _reasoner(pipeline, queue.step, messages)
    return [
        Parked(
            queue.name,
            message,
            order_id_in(message.body),
            reasons.event_name(event_in(message.body)),
            reason(message),
        )
        for message in messages
    ]


def _reasoner(
    pipeline: Pipeline, step: Step, messages: Sequence[Message]
) -> Callable[[Message], Reason]:
    """A function that finds a message's reason; it depends on the step that parks messages."""
    if step.event_source and step.function:
        function = pipeline.stack.physical_id(step.function)
        since = min(message.sent_at for message in messages) - _CLOCK_SKEW
        failures = reasons.failures(pipeline.functions.log(function), since)
        return lambda message: reasons.of_consumed(message, failures, function)
    if step.function:
        return lambda message: reasons.of_invocation(message.body)
    if step.queue:
        return lambda message: reasons.of_update(message.attributes)
    return lambda message: reasons.of_undelivered(message.attributes)
