"""FIFO topics that a template made.

MiniStack 1.5.33 knows a FIFO topic by an attribute that only its CreateTopic sets. One that
CloudFormation made passes for a standard topic: no message is dropped as a duplicate, and a
missing group id is no error. On AWS the name tells: a FIFO topic's ends in `.fifo`, and no other
topic's does ("Message ordering and deduplication strategies using FIFO topics", SNS developer
guide).
"""

from typing import Any

from ministack.services import sns

from orderctl.localcloud import seams


def install() -> None:
    """Tell FIFO topics by their names."""
    seams.replace(sns, "_is_fifo_topic", _is_fifo)


def _is_fifo(topic: dict[str, Any]) -> bool:
    arn: str = topic["arn"]
    return arn.endswith(".fifo")
