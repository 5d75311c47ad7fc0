"""What goes wrong when a function calls AWS: one error, whichever client made the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONDITION_FAILED = "ConditionalCheckFailedException"


class AwsError(Exception):
    """AWS refused a call, or gave no answer to it.

    Its text has the code and the operation alone: what AWS says may quote the request.
    """

    def __init__(
        self,
        code: str,
        operation: str,
        *,
        message: str = "",
        status: int = 0,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what went wrong.

        Args:
            code: what AWS answered, such as ``ThrottlingException``; or what else happened, by
                the name that the SDK has for it, such as ``ReadTimeoutError``.
            operation: such as ``PutItem``.
            message: what AWS said. It may quote the request: do not log it.
            status: of the HTTP answer; 0 if there was none.
            answer: what else the answer has, such as ``CancellationReasons``.
        """
        super().__init__(f"{code} from {operation}")
        self.code = code
        self.operation = operation
        self.message = message
        self.status = status
        self.answer: Mapping[str, Any] = answer or {}

    @property
    def is_condition_failed(self) -> bool:
        """Whether a single write was not made because its condition did not hold."""
        return self.code == _CONDITION_FAILED


def reason(error: Exception) -> str:
    """A short text that says what went wrong, for a log line."""
    return str(error) if isinstance(error, AwsError) else f"{type(error).__name__}: {error}"
