"""Logs and metrics, to standard output, in the formats CloudWatch reads.

A log line is a JSON object with the keys that Powertools for AWS Lambda writes. A line of metrics
says whose they are, and each metric has a filter in the template (``AWS::Logs::MetricFilter``) that
takes it out. An embedded metric needs no filter, but more than four times the bytes; and Powertools
costs a cold start more than all our own code: docs/decisions.md has the numbers.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orders.aws.context import Context

Level = Literal["INFO", "WARNING", "ERROR"]

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_threshold = _LEVELS.index(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
_service: Final = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "orders")
_encode: Final = msgspec.json.Encoder().encode
_request_id = ""


def begin(context: Context) -> None:
    """Start an invocation: log lines about failures carry its request id."""
    global _request_id  # noqa: PLW0603 - an environment runs one invocation at a time
    _request_id = context.aws_request_id


def info(message: str, **facts: str | int | None) -> None:
    """Log that something happened; a fact that is None is left out."""
    # Every order has such a line from every function, so it is short. CloudWatch has its time, and
    # its log stream the invocation: the lines between START and REPORT.
    _log("INFO", message, facts)


def warning(message: str, **facts: str | int | None) -> None:
    """Log that something failed and will be tried again."""
    _log("WARNING", message, {**facts, "request_id": _request_id})


def error(message: str, **facts: str | int | None) -> None:
    """Log that something failed and needs a person, or another call."""
    _log("ERROR", message, {**facts, "request_id": _request_id})


def count(**counts: int) -> None:
    """Report how often things happened in this invocation, as one line of metrics.

    Args:
        **counts: the number by metric name; a metric of which there were none is left out.
    """
    if happened := {name: number for name, number in counts.items() if number}:
        gauge(**happened)


def gauge(**levels: int) -> None:
    """Report how many there are now, as one line of metrics; zero is reported, too.

    Args:
        **levels: the number by metric name.
    """
    _write({"metrics": _service, **levels})


def _log(level: Level, message: str, facts: Mapping[str, str | int | None]) -> None:
    if _LEVELS.index(level) < _threshold:
        return
    known = {name: value for name, value in facts.items() if value is not None}
    _write({"level": level, "message": message, **known})


def _write(line: dict[str, Any]) -> None:
    # One write a line: what a function says before it dies must be out, and whole.
    sys.stdout.write(_encode(line).decode() + "\n")
    sys.stdout.flush()
