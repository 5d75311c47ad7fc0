"""The context of an invocation."""

from __future__ import annotations

from typing import Protocol


class Context(Protocol):
    """The part of Lambda's context object that the functions use."""

    @property
    def aws_request_id(self) -> str:
        """Names the invocation; Lambda's own log lines carry it too."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds left until the function times out."""
        ...
