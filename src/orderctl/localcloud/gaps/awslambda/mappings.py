"""When an event source mapping takes a batch from its queue.

MiniStack 1.5.33 takes what is there at once, whatever the mapping's batching window, and never more
than ten messages; it takes nothing for a function without free reserved concurrency, and knows no
provisioned pollers.

AWS ("Using Lambda with Amazon SQS", sections "Batching behavior" and "Configuring scaling behavior
for Amazon SQS event source mappings", Lambda developer guide) collects messages until there are
BatchSize of them, the window is over or they fill the 6 MB of an invocation; it runs at most
MaximumConcurrency batches at once, or ten for each provisioned poller; and it does not look at the
function's reserved concurrency: what it hands to a function without a free place is throttled,
counts as received, and comes back after its visibility timeout.

The seams are the function that says how many batches of a mapping may run at once, which MiniStack
asks right before it takes one (while a window is open the answer is none), and the one that takes
its messages.
"""

import time
from typing import Any

from ministack.services import lambda_svc, sqs

from orderctl.localcloud import seams

_BATCHES_A_POLLER = 10
_INVOCATION_BYTES = 6_000_000
_ENVELOPE_BYTES = 1_000
"""What Lambda adds to a message's body: ids, the receipt handle, attributes; about."""


def install() -> None:
    """Make SQS event source mappings follow these rules."""
    seams.replace(sqs, "_receive_messages_for_esm", _take_batch)
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
    if pollers := mapping.get("ProvisionedPollerConfig"):
        return int(pollers["MaximumPollers"]) * _BATCHES_A_POLLER
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


def _take_batch(queue_url: str, most: int) -> list[dict[str, Any]]:
    """Take up to that many messages, as MiniStack takes up to ten."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        hidden = int(queue["attributes"].get("VisibilityTimeout", "30"))
        taken: list[dict[str, Any]] = sqs._collect_msgs(queue, _fitting(queue, most), hidden)
        return taken


def _fitting(queue: dict[str, Any], most: int) -> int:
    """How many of the visible messages, but no more than `most`, fit into an invocation."""
    now, total, fitting = time.time(), 0, 0
    for message in queue["messages"]:
        if message["visible_at"] <= now:
            total += len(message["body"].encode()) + _ENVELOPE_BYTES
            if fitting == most or (fitting and total > _INVOCATION_BYTES):
                break
            fitting += 1
    return fitting
