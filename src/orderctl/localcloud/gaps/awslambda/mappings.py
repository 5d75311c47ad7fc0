"""When an event source mapping takes a batch from its queue.

MiniStack 1.5.33 takes what is there at once, whatever the mapping's batching window, and takes
nothing for a function without free reserved concurrency.

AWS ("Using Lambda with Amazon SQS", sections "Batching behavior" and "Configuring scaling behavior
for Amazon SQS event source mappings", Lambda developer guide) collects messages until there are
BatchSize of them or the window is over; it runs at most MaximumConcurrency batches at once; and it
does not look at the function's reserved concurrency: what it hands to a function without a free
place is throttled, counts as received, and comes back after its visibility timeout.

The seam is the function that says how many batches of a mapping may run at once: MiniStack asks it
right before it takes one. While a window is open the answer is none.
"""

import time
from typing import Any

from ministack.services import lambda_svc

from orderctl.localcloud import seams


def install() -> None:
    """Make SQS event source mappings follow these rules."""
    seams.original(lambda_svc, "_ESM_SQS_DEFAULT_CONCURRENCY")
    seams.replace(lambda_svc, "_sqs_esm_concurrency", _batches_at_once)


def _batches_at_once(
    mapping: dict[str, Any],
    _function: dict[str, Any],
    _configuration: dict[str, Any],
    queue: dict[str, Any] | None = None,
) -> int:
    if queue is not None and _is_collecting(mapping, queue["messages"]):
        return 0
    if queue is not None and queue["is_fifo"]:
        return 1  # as MiniStack has it: a batch spans groups, and two at once would reorder one
    limit = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency")
    return int(limit or lambda_svc._ESM_SQS_DEFAULT_CONCURRENCY)


def _is_collecting(mapping: dict[str, Any], messages: list[dict[str, Any]]) -> bool:
    """Whether a batch is not full and its window, from the first message on, is not over."""
    window = mapping.get("MaximumBatchingWindowInSeconds") or 0
    if not window:
        return False
    now = time.time()
    waiting = [message["visible_at"] for message in messages if message["visible_at"] <= now]
    return len(waiting) < mapping["BatchSize"] and bool(waiting) and now - min(waiting) < window
