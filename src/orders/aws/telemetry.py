"""Logs and metrics, to standard output, in the shapes CloudWatch reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from orders.aws.context import Context

NAMESPACE: Final = "OrderPipeline"

# The log group names the function and CloudWatch stamps the time of arrival, so a line carries
# neither the service nor the place in the code: log volume is often the largest cost of a function.
_logger: Final = Logger(
    service="orders",
    log_record_order=["level", "message", "order_id"],
    use_rfc3339=True,
    utc=True,
    location=None,
)
_logger.remove_keys(["service"])

_metrics: Final = Metrics(
    namespace=NAMESPACE, service=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "orders")
)


def begin(context: Context) -> None:
    """Start an invocation: every log line of it carries its request id."""
    _logger.append_keys(request_id=context.aws_request_id)


def info(message: str, **facts: str | int | None) -> None:
    """Log that something happened; a fact that is None is left out."""
    _logger.info(message, extra=_known(facts))


def warning(message: str, **facts: str | int | None) -> None:
    """Log that something failed and will be tried again."""
    _logger.warning(message, extra=_known(facts))


def error(message: str, **facts: str | int | None) -> None:
    """Log that something failed and needs a person, or another call."""
    _logger.error(message, extra=_known(facts))


def _known(facts: dict[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in facts.items() if value is not None}


def count(**counts: int) -> None:
    """Report how often things happened in this invocation, as one CloudWatch embedded metric line.

    Args:
        **counts: the number by metric name; a metric of which there were none is left out.
    """
    if happened := {name: number for name, number in counts.items() if number}:
        gauge(**happened)


def gauge(**levels: int) -> None:
    """Report how many there are now, as one CloudWatch embedded metric line; zero is told, too.

    Args:
        **levels: the number by metric name.
    """
    for name, number in levels.items():
        _metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
    _metrics.flush_metrics()
