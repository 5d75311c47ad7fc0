"""The stack's functions, and their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderctl.pipeline.logs import FunctionLog
from orderctl.pipeline.steps import STEPS

if TYPE_CHECKING:
    import boto3

    from orderctl.pipeline.stack import Stack

_FUNCTION = "AWS::Lambda::Function"


class Functions:
    """The functions of one stack, and their logs."""

    def __init__(self, session: boto3.Session, stack: Stack) -> None:
        """Take the stack."""
        self._session = session
        self._stack = stack

    def names(self) -> list[str]:
        """The names of the stack's functions."""
        found = self._stack.resources.values()
        return sorted(each.physical_id for each in found if each.type == _FUNCTION)

    def steps(self) -> dict[str, str]:
        """The step of each function, by the function's name."""
        found = self._stack.resources
        return {
            found[step.function].physical_id: step.name for step in STEPS if step.function in found
        }

    def log(self, function: str) -> FunctionLog:
        """The log of a function, by its name."""
        settings = self._session.client("lambda").get_function_configuration(FunctionName=function)
        group = settings.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function}")
        return FunctionLog(self._session.client("logs"), group, function)
