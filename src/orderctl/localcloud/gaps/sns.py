"""FIFO topics: those that a template made, and what they remember.

MiniStack 1.5.33 knows a FIFO topic by an attribute that only its CreateTopic sets. One that
CloudFormation made passes for a standard topic: no message is dropped as a duplicate, and a
missing group id is no error. On AWS the name tells: a FIFO topic's ends in `.fifo`, and no other
topic's does ("Message ordering and deduplication strategies using FIFO topics", SNS developer
guide).

For every message it copies all that a topic remembers of the last five minutes, which takes
longer with each order. Each is remembered equally long, so the first ones are the first to go.
"""

import time
from typing import Any

from ministack.services import sns

from orderctl.localcloud import seams


def install() -> None:
    """Tell FIFO topics by their names, and let them forget one message at a time."""
    seams.replace(sns, "_is_fifo_topic", _is_fifo)
    seams.replace(sns, "_prune_sns_dedup", forget)


def _is_fifo(topic: dict[str, Any]) -> bool:
    arn: str = topic["arn"]
    return arn.endswith(".fifo")


def forget(topic: dict[str, Any]) -> None:
    """Drop what a topic has remembered long enough."""
    remembered: dict[str, dict[str, Any]] = topic.setdefault("dedup_cache", {})
    while remembered:
        oldest = next(iter(remembered))
        if remembered[oldest]["expire"] > time.time():
            return
        del remembered[oldest]
