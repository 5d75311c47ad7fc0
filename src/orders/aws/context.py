"""The context of an invocation."""

from __future__ import annotations

from typing import Final, Protocol

FINISHING_MILLISECONDS: Final = 3000
"""How long before its timeout a function stops taking up work, to record what it has done."""


class Context(Protocol):
    """The part of Lambda's context object that the functions use."""

    @property
    def aws_request_id(self) -> str:
        """Names the invocation; Lambda's own log lines carry it too."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds left until the function times out."""
        ...


def time_is_up(context: Context) -> bool:
    """Whether the function should finish what it has begun and take up nothing new."""
    return context.get_remaining_time_in_millis() < FINISHING_MILLISECONDS
